"""Starting campaigns: every candidate gets its workflow once, whoever asks and however often."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Thread

import pytest
from fireworks import Firework, Workflow
from fireworks.core.rocket_launcher import launch_rocket
from fireworks.fw_config import QUEUE_JOBNAME_MAXLEN
from small_campaign import write_campaign
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.config.yaml_file import CampaignFileError
from campaign.firetasks import Finish, RecordCalculation, Retrain, RunCalculation, Screen, Train
from campaign.running_campaign import start_campaign
from campaign.scheduling.queue_share import BROUGHT_FORWARD
from campaign.scheduling.submit import submit_ready, submit_step
from campaign.scheduling.workflows import job_name, stage_workflow, step_workflow
from campaign.spec.reader import read_campaign_file
from campaign.spec.stored_spec import StoredSpecError
from campaign.steps.start import CampaignExistsError
from campaign.store.campaigns import Campaign, OpenCampaign, UnknownCampaignError
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import LaunchPadNotReadyError, initialise_launchpad
from campaign.store.states import STAGES
from campaign.store.steps import Step
from esnet.files.output_folder import OutputPlaceError
from workflows.identity import job_uuid

pytestmark = pytest.mark.mongo
TIMES = ("created_on", "updated_on")
OWN_LAUNCHPAD = {"_add_launchpad_and_fw_id": True}


def documents_with_two_calculations(launchpad):
    grouped = launchpad.fireworks.aggregate(
        [
            {"$match": {"spec.document": {"$exists": True}}},
            {"$group": {"_id": {"d": "$spec.document", "s": "$spec.stage"}, "n": {"$sum": 1}}},
            {"$match": {"n": {"$ne": 2}}},  # one firework that calculates, one that records
        ]
    )
    return list(grouped)


def test_adding_the_same_campaign_twice_adds_nothing_and_says_so(store, launchpad, small_spec):
    first = start_campaign(store, launchpad, small_spec())
    assert first.added == 3
    before = launchpad.fireworks.count_documents({})
    second = start_campaign(store, launchpad, small_spec())
    assert second.added == 0
    assert "nothing was added" in second.message
    assert launchpad.fireworks.count_documents({}) == before
    # 3 candidates and 2 references, two fireworks each
    assert before == 10


def test_a_campaign_of_before_keeps_its_built_in_data(store, launchpad, small_spec):
    """Its document and its file name no version: the volumes and carbon's crystal are those that it began with."""
    candidates = {"prototypes": ["B1", "B2", "B3"], "elements": ["Al", "C"]}
    first = start_campaign(store, launchpad, small_spec(candidates=candidates, built_in=1))
    assert first.added == 3
    store.campaigns.update_one({"_id": "small"}, {"$unset": {"spec.built_in": ""}})
    again = start_campaign(store, launchpad, small_spec(candidates=candidates))
    assert (again.added, again.known) == (0, 3)
    assert Campaign.read(store, "small").spec.built_in == 1
    with pytest.raises(CampaignExistsError, match=r"built_in \(stored 1, in the file 2\)"):
        start_campaign(store, launchpad, small_spec(candidates=candidates, built_in=2))


def test_a_new_campaign_has_the_newest_built_in_data(store, launchpad, small_spec):
    candidates = {"prototypes": ["B1", "B2", "B3"], "elements": ["Al", "C"]}
    start_campaign(store, launchpad, small_spec(candidates=candidates))
    assert Campaign.read(store, "small").spec.built_in == 2
    assert start_campaign(store, launchpad, small_spec(candidates=candidates)).added == 0


def test_other_settings_under_the_same_name_are_refused_by_field(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    changed = small_spec(policy={"max_formation_energy": -0.5, "max_hull_energy": 20.0})
    with pytest.raises(CampaignExistsError, match=r"policy\.max_formation_energy \(stored 20.0, in the file -0.5\)"):
        start_campaign(store, launchpad, changed)


def test_a_campaign_of_the_former_default_keeps_it_and_its_file_which_does_not_name_it_is_still_its_file(
    store, launchpad, small_spec
):
    start_campaign(store, launchpad, small_spec(screening={"min_completed_fraction": 0.95}))
    assert start_campaign(store, launchpad, small_spec()).added == 0
    assert Campaign.read(store, "small").spec.screening.min_completed_fraction == 0.95
    with pytest.raises(CampaignExistsError, match=r"min_completed_fraction \(stored 0.95, in the file 0.9\)"):
        start_campaign(store, launchpad, small_spec(screening={"min_completed_fraction": 0.9}))


def test_submitters_at_the_same_time_submit_every_candidate_once(store, launchpad, small_spec, database):
    spec = small_spec(
        name="many",
        candidates={"prototypes": ["B1", "B2", "B3", "L1_0", "L1_2"], "elements": ["Al", "Cu", "Ag", "Au", "Pd"]},
    )

    def start(_):
        own = database.launchpad()
        return start_campaign(CampaignStore(own.db), own, spec).added

    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(start, range(4)))
    total = store.candidates.count_documents({})
    assert sum(added) == total == 60
    assert documents_with_two_calculations(launchpad) == []
    assert launchpad.fireworks.count_documents({}) == 2 * (total + 5)
    assert launchpad.workflows.count_documents({}) == total + 5
    assert store.candidates.count_documents({"state": "new"}) == 0
    ids = [found["fw_id"] for found in launchpad.fireworks.find({}, ["fw_id"])]
    assert len(ids) == len(set(ids))


def test_outputs_that_a_deleted_campaign_has_left_are_not_taken_for_its_own(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    first = store.candidates.find_one({"state": "dos_running"})
    assert (first["is_dos"]["attempt"], "first_attempt" in first["is_dos"]) == (0, False)
    for name in store.database.list_collection_names():
        if not name.startswith("system."):
            store.database[name].delete_many({})
    initialise_launchpad(launchpad)
    jobs = [job_uuid(f"{first['_id']}:dos:{number}:static") for number in (0, 1)]
    store.database["outputs"].insert_many([{"uuid": uuid, "index": 1} for uuid in jobs])
    start_campaign(store, launchpad, small_spec())
    again = store.candidates.find_one({"_id": first["_id"]})
    # they stay where they are, for a campaign that has taken them over; this one computes its first try as number 2
    assert (again["is_dos"]["attempt"], again["is_dos"]["first_attempt"]) == (2, 2)
    others = store.candidates.find({"state": "relax_running"})
    assert {each["relaxation"]["attempt"] for each in others} == {0}


def test_a_claimed_candidate_always_has_its_firework(store, launchpad, small_spec):
    """One transaction: a document never says "running" without a workflow, nor the other way round."""
    start_campaign(store, launchpad, small_spec())
    for document in [*store.candidates.find(), *store.references.find()]:
        facts = document["is_dos"] if document["state"] == "dos_running" else document["relaxation"]
        firework = launchpad.fireworks.find_one({"fw_id": facts["fw_id"]})
        assert firework["spec"]["document"] == document["_id"]
        workflow = launchpad.workflows.find_one({"nodes": facts["fw_id"]})
        assert set(workflow["nodes"]) == {facts["fw_id"], facts["record_fw_id"]}


def test_a_step_is_submitted_once_for_its_id(store, launchpad, small_spec, database):
    start_campaign(store, launchpad, small_spec())

    def submit(_):
        own = database.launchpad()
        return submit_step(OpenCampaign.open(CampaignStore(own.db), own, "small"), Step.screen("small", 0))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(submit, range(8))) == [False] * 7 + [True]
    assert launchpad.fireworks.count_documents({"spec.step": "small/screen/0"}) == 1


def test_nothing_is_submitted_twice_when_nothing_is_new(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    assert submit_ready(OpenCampaign.open(store, launchpad, "small")) == 0


def test_a_campaign_that_lpad_added_says_what_became_of_it(store, launchpad, small_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fw_id = next(iter(launchpad.add_wf(Firework.from_file(str(small_file))).values()))
    with pytest.raises(UnknownCampaignError, match=rf"its StartCampaign \(firework {fw_id}\) is READY"):
        Campaign.read(store, "small")
    spec = {"campaign": {"candidates": {"prototypes": ["B2"], "elements": ["Al", "Xx"]}}}
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"spec.campaign": spec["campaign"]}})
    launch_rocket(launchpad, fw_id=fw_id, strm_lvl="CRITICAL")
    with pytest.raises(UnknownCampaignError, match=r"was rejected by its StartCampaign(.|\n)*'Xx'"):
        Campaign.read(store, "small")
    assert store.campaigns.count_documents({}) == 0


def test_a_database_without_launchpad_is_refused_with_the_remedy(database, small_spec):
    launchpad = database.launchpad()
    with pytest.raises(LaunchPadNotReadyError, match="campaign db start"):
        start_campaign(CampaignStore(launchpad.db), launchpad, small_spec())


def test_initialising_leaves_a_launchpad_in_use_alone(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    before = launchpad.fireworks.count_documents({})
    assert initialise_launchpad(launchpad) is False
    assert launchpad.fireworks.count_documents({}) == before


def test_a_stages_workflow_is_what_fireworks_would_have_written():
    document = {"_id": "a-1", "campaign": "small", "formula": "Al2Cu", "role": "screened"}
    for stage in STAGES.values():
        # named so that candidates of one formula differ; a reference has no prototype
        for role, more, which in (
            ("screened", {"prototype": "C1", "parent": {}}, " C1"),
            ("screened", {"prototype": "given", "parent": {"name": "run1/gen_0001"}}, " run1/gen_0001"),
            ("reference", {}, ""),
        ):
            given = document | {"role": role} | more
            ours = stage_workflow(given, stage, fw_ids=count(41))
            assert ours.fw_ids == [41, 42]
            assert_as_fireworks_writes(ours, by_fireworks(given, stage, name=f"Al2Cu{which} {stage.title}"))


def test_relaxations_start_in_the_order_of_the_policy():
    document = {"_id": "a-1", "campaign": "small", "formula": "Al2Cu", "role": "screened", "prototype": "C1"}

    def priority(stage, **fields):
        return stage_workflow(document | fields, STAGES[stage], fw_ids=count(41)).fireworks[0]["spec"]["_priority"]

    decided = [{"decision": {"rank": rank}} for rank in (1, 2, 3, 500, None)]
    order = [priority("relax", **fields) for fields in decided]
    assert order == sorted(set(order), reverse=True)
    assert order[0] < priority("relax", decision={"kind": "person", "rank": None}) < BROUGHT_FORWARD
    assert order[-1] == priority("relax") == priority("relax", decision=None) == 20
    assert priority("relax", role="reference") == 25
    assert priority("dos", **decided[0]) == 10


def test_a_steps_workflow_is_what_fireworks_would_have_written():
    for kind, task in (("train", Train), ("retrain", Retrain), ("screen", Screen), ("report", Finish)):
        ours = step_workflow("small", f"small/{kind}", kind=kind, category="screen", fw_ids=count(41))
        step = {"step": f"small/{kind}"}
        spec = {"campaign_name": "small", "_category": "screen", "_priority": 80, **OWN_LAUNCHPAD, **step}
        spec["_queueadapter"] = {"job_name": f"small-{kind}"}
        firework = Firework([task(**step)], spec=spec, name=f"small {kind}", fw_id=41)
        workflow = Workflow([firework], name=f"small {kind}", metadata={"campaign": "small", **step})
        assert_as_fireworks_writes(ours, workflow)


@pytest.mark.parametrize(
    ("campaign", "kind", "name"),
    [
        ("alloys", "dos", "alloys-dos"),
        ("alloys", "rs_dos", "alloys-rs-dos"),
        ("2026_alloys", "relax", "c2026_alloys-relax"),
        ("binary-alloys-of-all-metals", "retrain", "binary-alloy-retrain"),
    ],
)
def test_jobs_are_named_by_campaign_and_kind_of_work(campaign, kind, name):
    assert job_name(campaign, kind) == name
    assert len(name) <= QUEUE_JOBNAME_MAXLEN


def by_fireworks(document, stage, *, name):
    of_what = {"document": document["_id"], "stage": stage.name}
    common = {"campaign_name": "small", "_category": stage.category, **OWN_LAUNCHPAD, **of_what}
    priority = stage.priority + (5 if document["role"] == "reference" else 0)
    job = {"_queueadapter": {"job_name": f"small-{stage.name.replace('_', '-')}"}}
    spec = {"_priority": priority, **job, **common}
    calculation = Firework([RunCalculation(**of_what)], spec=spec, name=name, fw_id=41)
    common |= {"_category": "record", "_queueadapter": {"job_name": "small-record"}}
    record = Firework(
        [RecordCalculation(**of_what)],
        spec={"_priority": 90, "_allow_fizzled_parents": True, **common},
        name=f"{name}: record",
        fw_id=42,
    )
    metadata = {"campaign": "small", **of_what}
    return Workflow([calculation, record], {calculation: [record]}, name=name, metadata=metadata)


def assert_as_fireworks_writes(ours, workflow):
    for fw_id in workflow.root_fw_ids:
        workflow.id_fw[fw_id].state = "READY"
        workflow.fw_states[fw_id] = "READY"
    theirs = [firework.to_db_dict() for firework in sorted(workflow, key=lambda firework: firework.fw_id)]
    for mine, written in zip([ours.workflow, *ours.fireworks], [workflow.to_db_dict(), *theirs], strict=True):
        assert without_times(mine) == without_times(written)
        assert {key: type(mine[key]) for key in TIMES} == {key: type(written[key]) for key in TIMES}


def without_times(document):
    return {key: value for key, value in document.items() if key not in TIMES}


def test_a_date_that_has_passed_is_refused_at_submission_and_stops_no_campaign_that_runs(
    store, launchpad, launchpad_file, tmp_path
):
    file = write_campaign(tmp_path / "late.yaml", budget={"until": "2020-03-01T08:00:00Z"})
    for words in (["check", str(file)], ["submit", str(file), "-l", str(launchpad_file), "--engine-elsewhere"]):
        done = CliRunner().invoke(app, words)
        assert isinstance(done.exception, CampaignFileError), done.output
        assert "budget.until: found 2020-03-01" in str(done.exception)
    assert store.campaigns.count_documents({}) == 0
    start_campaign(store, launchpad, read_campaign_file(file))  # when its time had not come
    done = CliRunner().invoke(app, ["submit", str(file), "-l", str(launchpad_file), "--engine-elsewhere"])
    assert (done.exit_code, "nothing was added" in done.output) == (0, True)
    assert Campaign.read(store, "small").spec.budget.until is not None


def test_a_stored_campaign_with_wrong_settings_is_one_line(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    store.campaigns.update_one({"_id": "small"}, {"$set": {"spec.dft.encut": "high", "spec.screening.actorz": 1}})
    for read in (
        lambda: Campaign.read(store, "small"),
        lambda: OpenCampaign.open(store, launchpad, "small"),
        lambda: start_campaign(store, launchpad, small_spec()),
    ):
        with pytest.raises(StoredSpecError) as caught:
            read()
        message = str(caught.value)
        assert message.startswith("campaign 'small': its stored settings: dft.encut: found 'high'; right: a number")
        assert "screening.actorz: unknown key" in message
        assert "\n" not in message
    store.campaigns.update_one({"_id": "small"}, {"$unset": {"spec": 1}})
    with pytest.raises(StoredSpecError, match="campaign 'small': its stored settings"):
        Campaign.read(store, "small")


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_submitted(store, small_file, launchpad_file, tmp_path):
    (tmp_path / "file").write_text("")
    words = ["run", str(small_file), "--launchpad", str(launchpad_file), "--directory", str(tmp_path / "file" / "runs")]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, OutputPlaceError), done.output
    assert "runs/small cannot be created: Not a directory; use --directory" in str(done.exception)
    assert store.campaigns.count_documents({}) == 0


def test_a_submission_that_waits_for_another_writer_says_so(store, launchpad, small_spec, caplog):
    start_campaign(store, launchpad, small_spec())
    store.candidates.update_many({"state": "dos_running"}, {"$set": {"state": "new"}})
    submitted = []

    def submit() -> None:
        submitted.append(submit_ready(OpenCampaign.open(store, launchpad, "small")))

    with store.database.client.start_session() as session:
        session.start_transaction()
        # a process that was killed here would leave its transaction as this one is
        store.candidates.update_many({"state": "new"}, {"$set": {"note": 1}}, session=session)
        thread = Thread(target=submit)
        thread.start()
        deadline = time.monotonic() + 60
        while "the database is busy" not in caplog.text:
            assert time.monotonic() < deadline
            assert thread.is_alive()
            time.sleep(0.2)
        session.abort_transaction()
        thread.join(timeout=60)
    assert submitted[0] > 0
