"""What is asked all the time reads no more documents of a large campaign than of a small one."""

import hashlib

import pytest
from prepared import BATCHES, with_model

from campaign.budget.at_launch import hold_at_launch
from campaign.references.reference_sets import freeze_reference_set
from campaign.scheduling.advance import advance
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.candidates import read_ready, ready_ids
from campaign.store.collections import now
from campaign.store.reuse.sources import calculation_keys, read_to_calculate
from campaign.store.states import STAGES
from campaign.views.figures.timeline import MOST_ATTEMPTS
from campaign.views.server.candidates import CandidatePages
from campaign.views.server.now import FirstScreens
from campaign.views.status.counts import campaign_status
from campaign.views.status.report import status_report

pytestmark = pytest.mark.mongo

NUMBER = 1000
#: Documents of candidates that a call may read, whatever their number.
FEW = 40


@pytest.fixture
def large(store, launchpad, small_spec):
    """A campaign with a budget and 1,000 candidates, 500 of them relaxed or rejected, 400 in the IS-DOS."""
    spec = small_spec(**BATCHES, budget={"cpu_hours": 1000.0})
    with_model(store, launchpad, spec)
    one = store.candidates.find_one({"role": "screened", "state": "dos_running"})
    stable = {"e_form_per_atom": -0.2, "e_above_hull": 0.0, "stable": True, "time": now()}
    decision = {"promoted": True, "audit": False, "outcome": "promoted", "relax_cpu_s": 10.0}
    parts = {
        "relaxed": {
            "decision": decision,
            "prediction": {"e_form_per_atom": -0.2, "e_above_hull": 0.0},
            "result": stable,
        },
        "rejected": {
            "decision": decision | {"promoted": False},
            "prediction": {"e_form_per_atom": 0.2, "e_above_hull": 0.3},
        },
        "dos_running": {},
        "dos_done": {},
        "relax_running": {"decision": decision, "prediction": {"e_form_per_atom": -0.2, "e_above_hull": 0.0}},
    }
    states = ["relaxed"] * 250 + ["rejected"] * 250 + ["dos_running"] * 400 + ["dos_done"] * 80 + ["relax_running"] * 20
    store.candidates.insert_many(
        one | {"_id": f"copy-{n}", "state": state, "batch": n // 5} | parts[state] for n, state in enumerate(states)
    )
    store.candidates.delete_many({"role": "screened", "_id": {"$not": {"$regex": "^copy-"}}})
    store.attempts.insert_many(
        {
            **{"_id": f"{n}.1", "campaign": "small", "document": f"copy-{n}", "stage": "relax", "fw_id": -n},
            **{"outcome": "completed", "ended": now(), "cpu_s": 10.0, "gpu_s": 0.0},
        }
        for n in range(250)
    )
    steps = [
        {"_id": f"small/screen/{n}", "campaign": "small", "kind": "screen", "state": "done", "created": now()}
        for n in range(100)
    ]
    store.insert_missing(store.steps, steps)
    sizes = {"batch_sizes": [5] * (NUMBER // 5), "n_screened": NUMBER}
    store.campaigns.update_one({"_id": "small"}, {"$set": sizes})
    freeze_reference_set(Campaign.read(store, "small"))
    advance(OpenCampaign.open(store, launchpad, "small"))
    return "small"


def documents_read(store, collection, call):
    """Documents of a collection that MongoDB read for a call, with the worst query."""
    store.database.command("profile", 2)
    try:
        call()
    finally:
        store.database.command("profile", 0)
    name = f"{store.database.name}.{collection}"
    found = list(store.database["system.profile"].find({"ns": name, "docsExamined": {"$gt": 0}}))
    store.database["system.profile"].drop()
    worst = max(found, key=lambda each: each["docsExamined"], default={})
    return sum(each["docsExamined"] for each in found), (worst.get("planSummary"), worst.get("command"))


@pytest.mark.parametrize(("state", "to"), [("dos_running", "dos_done"), ("relax_running", "relaxed")])
def test_a_record_does_not_read_the_whole_campaign(store, launchpad, large, state, to):
    candidate = store.candidates.find_one({"campaign": large, "state": state})

    def record():
        stage = STAGES["dos" if to == "dos_done" else "relax"]
        store.move(candidate["_id"], stage, to=to, changes={"relaxation.energy": -8.0})
        advance(OpenCampaign.open(store, launchpad, large), batch=candidate["batch"])

    number, worst = documents_read(store, "candidates", record)
    assert number <= FEW, worst


def test_a_launch_does_not_read_the_whole_campaign(store, large):
    campaign = Campaign.read(store, large)
    candidate = store.candidates.find_one({"campaign": large, "state": "relax_running"})
    for stage in ("dos", "relax"):
        call = lambda stage=stage: hold_at_launch(campaign, candidate, STAGES[stage])  # noqa: E731
        assert documents_read(store, "candidates", call)[0] <= FEW
        assert documents_read(store, "attempts", call)[0] <= FEW


def test_a_part_of_a_submission_reads_its_own_candidates_alone(store, launchpad, large):
    """All that wait are in one range of an index, and the part is its beginning: as good a plan, for 100 results."""
    one = store.candidates.find_one({"campaign": large, "state": "dos_running"})
    store.candidates.insert_many(
        one | {"_id": hashlib.sha256(bytes([n % 256, n // 256])).hexdigest(), "state": "new", "calculation_key": str(n)}
        for n in range(3000)
    )
    part, stage, campaign = 300, STAGES["dos"], Campaign.read(store, large)

    def submit(session):
        ids = ready_ids(campaign, stage, references=False, limit=part)
        keys = calculation_keys(campaign, ids, references=False)
        assert len(read_to_calculate(campaign, ids, keys=keys, references=False)) == part
        assert len(read_ready(campaign, stage, ids, references=False, session=session)) == part

    number, worst = documents_read(store, "candidates", lambda: store.in_transaction(submit))
    assert number <= 4 * part, worst


def test_the_counts_of_every_second_come_from_indexes_alone(store, large):
    for collection in ("candidates", "attempts", "fireworks"):
        number, worst = documents_read(store, collection, lambda: campaign_status(Campaign.read(store, large)))
        assert number <= FEW, (collection, worst)


def test_a_status_reads_only_what_runs_has_failed_or_is_relaxed(store, large):
    number, worst = documents_read(store, "candidates", lambda: status_report(Campaign.read(store, large)))
    # 250 are relaxed and stable: for the errors, and for the newest of them
    assert number <= 4 * 250 + FEW, worst
    assert documents_read(store, "attempts", lambda: status_report(Campaign.read(store, large)))[0] <= FEW


def test_the_first_screen_reads_of_the_ledger_only_what_it_shows(store, large):
    store.attempts.insert_many(
        {
            **{"_id": f"{n}.1", "campaign": large, "document": "copy-1", "stage": "dos", "fw_id": -n, "host": "node1"},
            **{"outcome": "completed", "started": now(), "ended": now(), "cpu_s": 10.0, "gpu_s": 0.0},
        }
        for n in range(1000, 4000)
    )
    number, worst = documents_read(store, "attempts", lambda: FirstScreens(store).content(large))
    assert number <= MOST_ATTEMPTS + FEW, worst
    found, _ = documents_read(store, "candidates", lambda: FirstScreens(store).content(large))
    # beside what the status reads: the times of the 250 stable ones, and one name
    assert found <= 5 * 250 + FEW


def test_indexes_of_an_earlier_version_are_replaced(store):
    for keys in (["campaign", "state", "batch"], ["campaign", "rs_dos.state"], ["campaign", "result.e_hull"]):
        store.candidates.create_index([(key, 1) for key in keys])
    for _ in range(2):
        store.ensure_indexes()
    found = store.candidates.index_information()
    assert "campaign_1_state_1_batch_1" not in found
    assert "campaign_1_result.e_hull_1" not in found
    assert found["campaign_1_rs_dos.state_1"]["partialFilterExpression"] == {"state": "relaxed"}
    # each that holds the state is written with every move; that of prefilters in their campaigns alone
    everywhere = [index for index in found.values() if "prefilter.state" not in dict(index["key"])]
    assert sum("state" in dict(index["key"]) for index in everywhere) == 2


def test_the_page_of_a_candidate_reads_that_candidate_alone(store, large):
    store.candidates.update_one({"_id": "copy-300"}, {"$set": {"parent.name": "run1/gen_0300"}})
    pages = CandidatePages(store)
    for wanted in ("copy-300", "run1/gen_0300", "gen_0300"):
        for collection in ("candidates", "attempts", "features"):
            call = lambda wanted=wanted: pages.page(*pages.find(large, wanted))  # noqa: E731
            number, worst = documents_read(store, collection, call)
            assert number <= FEW, (wanted, collection, worst)
