"""The process that computed records; what a killed one leaves to be recorded is done by whoever comes first."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from aluminium import aluminium, calculate
from fireworks import FWAction, FWorker

from campaign.recovery.processes import announce_process
from campaign.recovery.recording import record_and_advance
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.store.states import STAGES
from launchers.workers.process_identity import this_process

pytestmark = pytest.mark.mongo

BIN = Path(sys.executable).parent
RELAX = STAGES["relax"]
FWORKER = "name: mine\ncategory: relax\nquery: '{}'\n"


@pytest.fixture
def element(store, launchpad, small_spec, engine):
    """The reference of a fresh campaign that waits for its relaxation, which the engine plays back."""
    start_campaign(store, launchpad, small_spec())
    return aluminium(store)


@pytest.fixture
def workers(element, tmp_path, launchpad_file):
    """Commands that run the reference's relaxation, by name."""
    fw_id = str(element["relaxation"]["fw_id"])
    (tmp_path / "fworker.yaml").write_text(FWORKER)
    files = ("-l", str(launchpad_file), "-w", "fworker.yaml")
    packed = (sys.executable, "-m", "launchers.cluster.multi_launch", *files)
    query = f'{{"fw_id": {fw_id}}}'
    return {
        "singleshot": (BIN / "rlaunch", *files, "singleshot", "--fw_id", fw_id),
        "rapidfire": (BIN / "rlaunch", *files, "rapidfire", "--nlaunches", "1"),
        "packed": (*packed, "--most", "1", "singleshot", "--fw_id", fw_id),
        "campaign run": (
            *(sys.executable, "-m", "launchers.workers.worker", "--launchpad", launchpad_file),
            *("--directory", tmp_path, "--query", query, "--until-empty"),
        ),
    }


def only(launchpad, element):
    """Let nothing else be ready."""
    others = {"fw_id": {"$ne": element["relaxation"]["fw_id"]}, "state": "READY"}
    launchpad.fireworks.update_many(others, {"$set": {"state": "PAUSED"}})


def states(launchpad, element):
    """States of the firework that computes and of the one that records, by FireWorks and by its workflow."""
    ids = [element["relaxation"][key] for key in ("fw_id", "record_fw_id")]
    workflow = launchpad.workflows.find_one({"nodes": ids[0]})
    found = [launchpad.fireworks.find_one({"fw_id": fw_id})["state"] for fw_id in ids]
    assert found == [workflow["fw_states"][str(fw_id)] for fw_id in ids]
    return found


def completed(store, element):
    return store.attempts.count_documents({"document": element["_id"], "outcome": "completed"})


@pytest.mark.parametrize("how", ["singleshot", "rapidfire", "packed", "campaign run"])
@pytest.mark.parametrize("category", ["record", "relax"])
def test_the_process_that_computed_records(store, launchpad, element, workers, tmp_path, how, category):
    """However it was started; a campaign of an earlier version has its recording fireworks in the stage's category."""
    launchpad.fireworks.update_many({"spec._category": "record"}, {"$set": {"spec._category": category}})
    only(launchpad, element)
    subprocess.run(workers[how], cwd=tmp_path, check=True, timeout=300)
    assert states(launchpad, element) == ["COMPLETED", "COMPLETED"]
    assert aluminium(store)["state"] == "relaxed"
    # what is due now was submitted: the RS-DOS of a reference
    assert aluminium(store)["rs_dos"]["state"] == "running"
    assert completed(store, element) == 1
    assert launchpad.launches.count_documents({"fw_id": element["relaxation"]["record_fw_id"]}) == 1


def test_a_failure_is_recorded_and_tried_again_by_the_process_that_failed(
    store, launchpad, element, workers, tmp_path, monkeypatch
):
    monkeypatch.setenv("ENGINE_CUT", "vasprun.xml:2000")
    only(launchpad, element)
    subprocess.run(workers["singleshot"], cwd=tmp_path, check=True, timeout=300)
    assert states(launchpad, element) == ["FIZZLED", "COMPLETED"]
    again = aluminium(store)
    assert again["relaxation"]["attempt"] == 1
    assert again["relaxation"]["fw_id"] > element["relaxation"]["record_fw_id"]  # submitted again


def test_a_workflow_that_is_paused_while_it_computes_is_recorded_when_it_is_resumed(
    store, launchpad, element, workers, tmp_path, engine, monkeypatch
):
    """Else a campaign that was paused would submit what follows, and run on."""
    monkeypatch.setenv("ENGINE_S", "3")
    only(launchpad, element)
    process = subprocess.Popen(workers["singleshot"], cwd=tmp_path)
    while not engine.exists():
        time.sleep(0.1)
    launchpad.pause_fw(element["relaxation"]["record_fw_id"])
    assert process.wait(300) == 0
    assert states(launchpad, element) == ["COMPLETED", "PAUSED"]
    assert aluminium(store)["state"] == "relax_running"
    launchpad.resume_fw(element["relaxation"]["record_fw_id"])
    RunningCampaign.open(store, launchpad, "small").reconcile()
    assert states(launchpad, element) == ["COMPLETED", "COMPLETED"]
    assert aluminium(store)["state"] == "relaxed"


def test_a_calculation_that_is_defused_while_it_computes_leaves_nothing_waiting(
    store, launchpad, element, workers, tmp_path, engine, monkeypatch, launchpad_file
):
    """`lpad defuse_fws` ends no process: the result is recorded, and the firework that would record has no work."""
    monkeypatch.setenv("ENGINE_S", "3")
    only(launchpad, element)
    process = subprocess.Popen(workers["singleshot"], cwd=tmp_path)
    while not engine.exists():
        time.sleep(0.1)
    launchpad.defuse_fw(element["relaxation"]["fw_id"])
    assert process.wait(300) == 0
    assert aluminium(store)["state"] == "relaxed"
    assert states(launchpad, element) == ["DEFUSED", "DEFUSED"]
    assert not RunningCampaign.open(store, launchpad, "small").reconcile()


def test_a_calculation_that_is_defused_after_its_end_leaves_nothing_waiting(store, launchpad, unrecorded):
    campaign = RunningCampaign.open(store, launchpad, "small")
    recorder = unrecorded["relaxation"]["record_fw_id"]
    campaign.reconcile()
    launchpad.defuse_fw(unrecorded["relaxation"]["fw_id"])
    assert states(launchpad, unrecorded) == ["DEFUSED", "WAITING"]
    assert campaign.reconcile(dry_run=True).defused == [recorder]
    assert campaign.reconcile().defused == [recorder]
    assert states(launchpad, unrecorded) == ["DEFUSED", "DEFUSED"]
    assert not campaign.reconcile()


def test_a_calculation_that_is_defused_before_it_began_keeps_its_recorder(store, launchpad, element):
    """It may be reignited."""
    launchpad.defuse_fw(element["relaxation"]["fw_id"])
    assert not RunningCampaign.open(store, launchpad, "small").reconcile().defused
    assert states(launchpad, element) == ["DEFUSED", "WAITING"]


@pytest.fixture
def unrecorded(store, launchpad, database, element, launch_folder):
    """The reference, whose process was killed when it had told FireWorks of its end and nothing else."""
    only(launchpad, element)
    _, launch_id = launchpad.checkout_fw(FWorker("any"), str(launch_folder), element["relaxation"]["fw_id"])
    calculate(store, database, element)
    launchpad.complete_launch(launch_id, FWAction())
    assert states(launchpad, element) == ["COMPLETED", "READY"]
    return element


def test_no_queue_of_calculations_takes_what_is_left_to_record(launchpad, unrecorded):
    for category, takes in (("relax", False), ("dos", False), ("record", True), ("", True)):
        assert bool(launchpad.run_exists(FWorker(category=category))) is takes, category


def test_reconcile_records_what_a_killed_process_has_left(store, launchpad, unrecorded):
    """So does `campaign cluster run`, which reconciles in each round."""
    campaign = RunningCampaign.open(store, launchpad, "small")
    assert campaign.reconcile(dry_run=True).recorded == [unrecorded["relaxation"]["fw_id"]]
    assert states(launchpad, unrecorded) == ["COMPLETED", "READY"]
    assert campaign.reconcile().recorded == [unrecorded["relaxation"]["fw_id"]]
    assert states(launchpad, unrecorded) == ["COMPLETED", "COMPLETED"]
    assert aluminium(store)["state"] == "relaxed"
    assert not campaign.reconcile()


def test_what_cannot_be_recorded_is_said_in_a_sentence(store, launchpad, unrecorded, caplog):
    store.references.delete_one({"_id": unrecorded["_id"]})
    RunningCampaign.open(store, launchpad, "small").reconcile()
    (said,) = (record for record in caplog.records if "will record its calculation" in record.message)
    assert f"there is no document {unrecorded['_id']}" in said.message
    assert said.exc_info is None


def test_a_worker_without_category_records_what_a_killed_process_has_left(
    store, launchpad, launchpad_file, unrecorded, tmp_path
):
    words = (BIN / "rlaunch", "-l", launchpad_file, "rapidfire", "--nlaunches", "1")
    subprocess.run(words, cwd=tmp_path, check=True, timeout=300)
    assert states(launchpad, unrecorded) == ["COMPLETED", "COMPLETED"]
    assert aluminium(store)["state"] == "relaxed"


def test_a_failure_that_was_recorded_before_its_process_was_killed_is_not_run_again(
    store, launchpad, database, element, monkeypatch
):
    """Killed between the record and FireWorks' own note of the end, with the next try submitted and without."""
    relaxation = element["relaxation"]
    launchpad.checkout_fw(FWorker("any"), "/nowhere", relaxation["fw_id"])
    announce_process(launchpad, relaxation["fw_id"])
    campaign = RunningCampaign.open(store, launchpad, "small")
    of_what = {"document_id": element["_id"], "stage": RELAX, "fw_id": relaxation["record_fw_id"]}
    record_and_advance(campaign, database, **of_what)
    gone = {f"spec.worker.{key}": value for key, value in (this_process() | {"pid_ticks": -1}).items()}
    launchpad.fireworks.update_one({"fw_id": relaxation["fw_id"]}, {"$set": gone})
    done = campaign.reconcile()
    assert done.completed == [relaxation["fw_id"]]
    assert done.lost == []
    assert states(launchpad, element)[0] == "FIZZLED"
    assert aluminium(store)["relaxation"]["fw_id"] > relaxation["fw_id"]
