"""Budgets: never exceeded, whoever decides at the same time; what they hold goes on when they are raised."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from predicted import store_predictions
from prepared import BATCHES, finish_dos, steps, with_model
from pymongo.collection import Collection

from campaign.budget.at_launch import hold_at_launch
from campaign.running_campaign import start_campaign
from campaign.scheduling.advance import advance
from campaign.scheduling.change_budget import BudgetError, change_budget
from campaign.steps.decide import make_decisions
from campaign.steps.finish import finish_campaign
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import CampaignStore, now
from campaign.store.states import STAGES
from campaign.store.usage import cost_by_stage
from campaign.views.budget import budget_report
from campaign.views.status.counts import campaign_status

pytestmark = pytest.mark.mongo

#: Everything is promising, and a relaxation is expected to cost 100 CPU-s.
WIDE = {"max_formation_energy": 20.0, "max_hull_energy": 20.0}


@pytest.fixture
def prepare(store, launchpad, small_spec):
    """Start the campaign of `prepared` with a budget and a policy."""

    def make(*, policy=WIDE, **budget):
        changes = BATCHES | {"budget": {"relax_cpu_s": 100.0, "dos_cpu_s": 10.0, **budget}, "policy": policy}
        return with_model(store, launchpad, small_spec(**changes))

    return make


def predict(store, launchpad, batch, *, energies=None):
    """Let a batch come to its Screen, and predict -0.5, -0.4, ... eV/atom in the order of the ids."""
    ids = sorted(finish_dos(store, batch=batch, number=5))
    advance(OpenCampaign.open(store, launchpad, "small"))
    step = f"small/screen/{batch}"
    said = dict(zip(ids, energies or [-0.5 + n / 10 for n in range(5)], strict=False))
    store_predictions(Campaign.read(store, "small"), step, ids, said)
    return step, ids


def screen(store, launchpad, batch, **more):
    step, ids = predict(store, launchpad, batch, **more)
    make_decisions(Campaign.read(store, "small"), step)
    store.close_step(step)
    advance(OpenCampaign.open(store, launchpad, "small"))
    return ids


def states(store, ids):
    found = {each["_id"]: each["state"] for each in store.candidates.find({"_id": {"$in": ids}})}
    return [found[name] for name in ids]


def relax(store, *, cpu_s, e_form=0.5, ids=None):
    """Let relaxations that are queued end, as if an engine had computed them."""
    query = {"state": "relax_running"} | ({"_id": {"$in": ids}} if ids else {})
    for number, document in enumerate(list(store.candidates.find(query).sort("_id"))):
        result = {
            "e_form_per_atom": e_form,
            "e_above_hull": e_form,
            "stable": e_form <= 0.0,
            "time": now() + timedelta(seconds=number),
        }
        store.candidates.update_one(
            {"_id": document["_id"]}, {"$set": {"state": "relaxed", "relaxation.energy": -7.0, "result": result}}
        )
        store.attempts.insert_one(
            {
                **{"_id": f"made-up.{document['_id']}", "campaign": "small", "document": document["_id"]},
                **{"stage": "relax", "outcome": "completed", "cpu_s": cpu_s, "ended": now()},
            }
        )


def promoted(store):
    return store.candidates.count_documents({"decision.promoted": True})


def test_the_best_are_promoted_and_the_rest_is_held(store, launchpad, prepare):
    prepare(relaxations=2)
    ids = screen(store, launchpad, 0)
    assert states(store, ids) == ["relax_running"] * 2 + ["held"] * 3
    reasons = [store.candidates.find_one({"_id": name})["decision"]["reason"] for name in ids]
    assert "no relaxation is left in the budget" in reasons[2]
    # and the next Screen counts what this one has promised
    assert set(states(store, screen(store, launchpad, 1))) == {"held"}
    assert promoted(store) == 2


def test_two_screens_at_once_do_not_spend_the_same_budget_twice(store, launchpad, prepare, database):
    prepare(relaxation_cpu_hours=450 / 3600)
    batches = [predict(store, launchpad, batch)[0] for batch in range(3)]

    def decide(step):
        own = CampaignStore(database.launchpad().db)
        return make_decisions(Campaign.read(own, "small"), step)

    with ThreadPoolExecutor(3) as pool:
        decisions = [decision for found in pool.map(decide, batches) for decision in found]
    assert len(decisions) == 15
    assert sum(decision.relax_cpu_s for decision in decisions if decision.relaxed) <= 450
    for step in batches:
        store.close_step(step)
    for _ in range(3):
        advance(OpenCampaign.open(store, launchpad, "small"))
    # what the Screens had set aside for each other and not used goes to the best that are held
    assert promoted(store) == 4
    assert store.candidates.count_documents({"state": "relax_running"}) == 4


@pytest.mark.parametrize("limit", [{"relaxation_cpu_hours": 450 / 3600}, {"cpu_hours": 730 / 3600}, {"relaxations": 4}])
def test_screens_share_what_limits_a_policy_that_takes_the_best_of_all(store, launchpad, prepare, limit):
    prepare(policy={"kind": "expected_yield", "uncertainty": 0.2}, **limit)
    sizes = store.campaigns.find_one({"_id": "small"})["batch_sizes"]
    assert sizes[:3] == [5, 5, 5]
    screen(store, launchpad, 0)
    assert promoted(store) == 1  # five of 16 have been looked at


class Killed(Exception):
    """As a kill -9 would: nothing after this write happens."""


@pytest.fixture
def kill_after(monkeypatch):
    """Let every write after the n-th raise, in this process."""
    allowed = {"left": math.inf}

    def counted(method):
        def write(self, *args, **kwargs):
            if allowed["left"] <= 0:
                raise Killed
            allowed["left"] -= 1
            return method(self, *args, **kwargs)

        return write

    for name in ("insert_one", "insert_many", "update_one", "update_many", "bulk_write", "find_one_and_update"):
        monkeypatch.setattr(Collection, name, counted(getattr(Collection, name)))
    # several writes for five candidates
    monkeypatch.setattr("campaign.store.collections._CHUNK", 2)

    def set_limit(number):
        allowed["left"] = number

    return set_limit


def whole_screen(store, launchpad, ids):
    said = dict(zip(ids, [-0.5, -0.1, math.nan, 30.0, -0.2], strict=True))
    loaded = Campaign.read(store, "small")
    store_predictions(loaded, "small/screen/0", ids, said)
    make_decisions(loaded, "small/screen/0")
    store.close_step("small/screen/0")
    advance(OpenCampaign.open(store, launchpad, "small"))


@pytest.mark.parametrize("killed_after", range(0, 14, 1))
def test_a_screen_killed_after_any_of_its_writes_decides_the_same_when_run_again(
    store, launchpad, prepare, kill_after, killed_after
):
    prepare(relaxation_cpu_hours=250 / 3600, policy=WIDE | {"audit": 0.6})
    ids = sorted(finish_dos(store, batch=0, number=5))
    advance(OpenCampaign.open(store, launchpad, "small"))
    kill_after(killed_after)
    try:
        whole_screen(store, launchpad, ids)
    except Killed:
        kill_after(math.inf)
        whole_screen(store, launchpad, ids)
    kill_after(math.inf)
    advance(OpenCampaign.open(store, launchpad, "small"))
    found = [store.candidates.find_one({"_id": name}) for name in ids]
    said = [(each["decision"]["outcome"], each["decision"]["audit"], each["decision"]["rank"]) for each in found]
    # -0.5 comes first; the second of 250 CPU-s goes to the audit, which draws by the ids
    assert said == [
        ("promoted", False, 1),
        ("held", False, 3),
        ("rejected", False, None),
        ("rejected", True, 4),
        ("held", False, 2),
    ]
    relaxed = [each["_id"] for each in found if each["state"] == "relax_running"]
    assert len(relaxed) == 2
    for name in relaxed:
        query = {"metadata.document": name, "metadata.stage": "relax"}
        assert launchpad.workflows.count_documents(query) == 1
    assert all(len(each.get("previous_decisions", [])) == 0 for each in found)


def test_held_candidates_go_on_when_the_budget_is_raised(store, launchpad, prepare):
    prepare(relaxations=1)
    ids = screen(store, launchpad, 0)
    said = change_budget(OpenCampaign.open(store, launchpad, "small"), {"relaxations": 3})
    assert "2 held candidates released, 2 stay held" in said
    assert states(store, ids) == ["relax_running"] * 3 + ["held"] * 2
    released = store.candidates.find_one({"_id": ids[1]})
    assert released["decision"]["outcome"] == "promoted"
    assert [earlier["outcome"] for earlier in released["previous_decisions"]] == ["held"]
    history = store.campaigns.find_one({"_id": "small"})["budget_history"]
    assert [entry["budget"]["relaxations"] for entry in history] == [3]


def test_what_relaxations_cost_less_than_expected_goes_to_the_next_best(store, launchpad, prepare):
    prepare(relaxation_cpu_hours=250 / 3600)
    ids = screen(store, launchpad, 0)
    assert states(store, ids) == ["relax_running"] * 2 + ["held"] * 3
    relax(store, cpu_s=40.0)
    advance(OpenCampaign.open(store, launchpad, "small"))
    # 170 CPU-s are left, and the three are now expected to cost 40 each
    assert states(store, ids) == ["relaxed"] * 2 + ["relax_running"] * 3


def test_what_relaxations_cost_more_than_expected_is_not_promised_to_the_next(store, launchpad, prepare):
    prepare(relaxation_cpu_hours=450 / 3600)
    ids = screen(store, launchpad, 0)
    assert states(store, ids) == ["relax_running"] * 4 + ["held"]
    relax(store, cpu_s=160.0, ids=ids[:2])
    change_budget(OpenCampaign.open(store, launchpad, "small"), {"relaxation_cpu_hours": 740 / 3600})
    # 420 CPU-s are left for the two that are queued, which are expected to cost 160 each, and 100 for a third
    assert states(store, ids) == ["relaxed"] * 2 + ["relax_running"] * 2 + ["held"]


def test_a_wrong_limit_is_refused_in_the_words_of_a_campaign_file_and_changes_nothing(store, launchpad, prepare):
    prepare(relaxations=1)
    with pytest.raises(BudgetError) as caught:
        change_budget(OpenCampaign.open(store, launchpad, "small"), {"relaxations": -1, "cpu_hours": "ten"})
    message = str(caught.value)
    assert "budget.relaxations: found -1; right: greater than or equal to 0" in message
    assert "budget.cpu_hours: found 'ten'; right: a number" in message
    assert "budget" not in store.campaigns.find_one({"_id": "small"})


@pytest.mark.parametrize(
    ("budget", "e_form", "reason"),
    [
        ({"stop_after_stable": 2}, -0.3, "2 stable materials found; the limit is 2"),
        ({"stop_after_no_discovery": 2}, 0.3, "the last 2 relaxations found nothing stable"),
    ],
)
def test_a_stop_rule_holds_what_comes_after_it(store, launchpad, prepare, budget, e_form, reason):
    prepare(relaxations=2, **budget)
    ids = screen(store, launchpad, 0)
    relax(store, cpu_s=50.0, e_form=e_form)
    change_budget(OpenCampaign.open(store, launchpad, "small"), {"relaxations": None})
    assert states(store, ids)[2:] == ["held"] * 3
    assert budget_report(Campaign.read(store, "small"))["closed"] == reason
    assert set(states(store, screen(store, launchpad, 1))) == {"held"}
    change_budget(OpenCampaign.open(store, launchpad, "small"), dict.fromkeys(budget))
    assert states(store, ids)[2:] == ["relax_running"] * 3


def test_nothing_is_submitted_after_the_budgets_date(store, launchpad, prepare):
    prepare(until=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    # not even an IS-DOS: they are held as soon as nothing else moves, and the campaign comes to its report
    assert store.candidates.count_documents({"state": "dos_running"}) == 0
    advance(OpenCampaign.open(store, launchpad, "small"))
    assert store.candidates.count_documents({"state": "held"}) == 16
    assert "small/report" in steps(store)
    finish_campaign(Campaign.read(store, "small"), "small/report")
    assert campaign_status(Campaign.read(store, "small")).is_finished
    change_budget(OpenCampaign.open(store, launchpad, "small"), {"until": None})
    assert store.candidates.count_documents({"state": "dos_running"}) == 16
    assert store.campaigns.find_one({"_id": "small"})["state"] == "running"
    assert "small/report" not in steps(store)


def test_the_hours_of_the_campaign_limit_its_dos_too(store, launchpad, small_spec):
    # three references and two bootstrap structures come first, each with a relaxation and an RS-DOS
    budget = {"cpu_hours": (5 * 110 + 75) / 3600, "relax_cpu_s": 100.0, "dos_cpu_s": 10.0}
    start_campaign(store, launchpad, small_spec(**(BATCHES | {"budget": budget})))
    queued = store.candidates.count_documents({"state": "dos_running"})
    assert queued == 7
    advance(OpenCampaign.open(store, launchpad, "small"))
    assert store.candidates.count_documents({"state": "dos_running"}) == queued


def test_a_relaxation_that_waited_in_the_queue_is_not_begun_after_a_stop_rule(store, launchpad, prepare):
    prepare(stop_after_stable=1)
    ids = screen(store, launchpad, 0)
    relax(store, cpu_s=50.0, e_form=-1.0, ids=ids[:1])
    late = store.candidates.find_one({"_id": ids[1]})
    assert "1 stable materials" in hold_at_launch(Campaign.read(store, "small"), late, STAGES["relax"])
    late = store.candidates.find_one({"_id": ids[1]})
    assert (late["state"], late["decision"]["outcome"]) == ("held", "held")
    change_budget(OpenCampaign.open(store, launchpad, "small"), {"stop_after_stable": None})
    again = store.candidates.find_one({"_id": ids[1]})
    assert again["state"] == "relax_running"
    assert again["relaxation"]["fw_id"] != late["relaxation"]["fw_id"]


def begin(store, name):
    """Ask, as a worker does, whether a relaxation may begin, and let it begin in the ledger."""
    document = store.candidates.find_one({"_id": name})
    refused = hold_at_launch(Campaign.read(store, "small"), document, STAGES["relax"])
    if refused is None:
        entry = {"_id": f"begun.{name}", "campaign": "small", "document": name, "stage": "relax"}
        store.attempts.insert_one(entry | {"outcome": "running", "cpu_s": 0.0})
    return refused


@pytest.mark.parametrize("limit", ["relaxation_cpu_hours", "cpu_hours"])
def test_hours_that_dearer_relaxations_have_spent_are_not_spent_again_by_those_that_waited(
    store, launchpad, prepare, limit
):
    prepare(relaxation_cpu_hours=500 / 3600)
    ids = screen(store, launchpad, 0)
    assert states(store, ids) == ["relax_running"] * 5
    spent = sum(cost["cpu_s"] for cost in cost_by_stage(Campaign.read(store, "small")).values())
    hours = (
        {"relaxation_cpu_hours": 500 / 3600} if limit == "relaxation_cpu_hours" else {"cpu_hours": (500 + spent) / 3600}
    )
    store.campaigns.update_one(
        {"_id": "small"}, {"$set": {"budget": {"dos_cpu_s": 10.0, "relax_cpu_s": 100.0, **hours}}}
    )
    relax(store, cpu_s=200.0, ids=ids[:1])  # twice what was expected
    assert begin(store, ids[1]) is None
    # 300 CPU-s are left, and what runs needs 200 of them
    assert "running calculations may need 0.0556 more" in begin(store, ids[2])
    held = store.candidates.find_one({"_id": ids[2]})
    assert (held["state"], held["decision"]["outcome"]) == ("held", "held")
    assert [(earlier["outcome"], earlier["step"]) for earlier in held["previous_decisions"]] == [
        ("promoted", "small/screen/0")
    ]
    # and it does not go to and fro between the queue and what is held
    advance(OpenCampaign.open(store, launchpad, "small"))
    assert store.candidates.find_one({"_id": ids[2]})["state"] == "held"


def test_the_audit_has_its_share_of_a_limited_budget_over_all_screens(store, launchpad, prepare):
    rejecting = {"max_formation_energy": -19.0, "max_hull_energy": 20.0, "audit": 0.5}
    prepare(relaxations=6, policy=rejecting)
    for batch in range(3):
        screen(store, launchpad, batch)
    drawn = [
        each for each in store.candidates.find({"decision": {"$exists": True}}) if "drawn" in each["decision"]["reason"]
    ]
    refused = store.candidates.count_documents({"decision.reason": {"$regex": "not audited"}})
    assert len(drawn) == store.candidates.count_documents({"decision.audit": True}) == 3
    assert refused > 0


def test_the_ledgers_total_is_the_sum_of_its_attempts(store, launchpad, prepare):
    prepare(relaxations=3)
    screen(store, launchpad, 0)
    relax(store, cpu_s=40.0)
    store.attempts.insert_one({"_id": "1.1", "campaign": "small", "stage": "dos", "outcome": "machine", "cpu_s": 7.5})
    store.attempts.insert_one({"_id": "2.1", "campaign": "small", "stage": "dos", "outcome": "lost", "cpu_s": None})
    store.attempts.insert_one({"_id": "3.1", "campaign": "other", "stage": "dos", "outcome": "lost", "cpu_s": 1e6})
    attempts = [entry.get("cpu_s") or 0.0 for entry in store.attempts.find({"campaign": "small"})]
    report = budget_report(Campaign.read(store, "small"))
    assert report["spent_cpu_hours"] * 3600 == pytest.approx(sum(attempts))
    assert sum(cost["cpu_s"] for cost in cost_by_stage(Campaign.read(store, "small")).values()) == pytest.approx(
        sum(attempts)
    )
    assert report["relaxations"] == 3
    assert report["expected"]["relax_learnt_from"] == 3


def test_every_candidate_is_in_exactly_one_known_state(store, launchpad, prepare):
    prepare(relaxations=4, policy={"max_formation_energy": -0.25, "max_hull_energy": 0.13, "audit": 0.5})
    for batch in range(4):
        screen(store, launchpad, batch)
    counts = store.state_counts("small")
    assert sum(counts.values()) == 18
    assert set(counts) <= {"relaxed", "relax_running", "rejected", "held"}
    assert counts["relax_running"] == 4


def test_a_spent_budget_does_not_keep_a_late_candidate_from_its_last_screen(store, launchpad, prepare):
    prepare(cpu_hours=20.0)
    finish_dos(store, batch=0, number=1)  # too few for its batch's Screen
    store.candidates.update_many({"state": "dos_running"}, {"$set": {"state": "new"}})
    store.campaigns.update_one({"_id": "small"}, {"$set": {"budget.cpu_hours": 0.0}})
    advance(OpenCampaign.open(store, launchpad, "small"))
    advance(OpenCampaign.open(store, launchpad, "small"))
    assert store.candidates.count_documents({"state": "held"}) == 15
    assert "small/screen/sweep-0" in steps(store) or "small/screen/3" in steps(store)
