"""Processes end when they cannot do their work any more, and are known whatever the clock says."""

import subprocess
import sys
from pathlib import Path

import pytest
from fireworks import Firework, FWorker, PyTask, ScriptTask, Workflow

from campaign.firetasks import RecordCalculation
from campaign.recovery.processes import announce_process
from campaign.recovery.reconcile import reconcile
from campaign.running_campaign import start_campaign
from campaign.store.campaigns import OpenCampaign

pytestmark = pytest.mark.mongo

BIN = Path(sys.executable).parent
#: Writing here fails as on a full disk: FireWorks' own report of an error does.
FULL = "/dev/full"


def run(*command, cwd):
    """Run to the end with a full disk behind standard error; return the exit code."""
    with Path(FULL).open("wb") as full:
        return subprocess.run(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=full, timeout=120).returncode


def test_a_worker_whose_launch_raises_ends(launchpad, launchpad_file, tmp_path):
    fw_id = next(iter(launchpad.add_wf(Firework([PyTask(func="os.listdir", args=["/no/folder"])])).values()))
    words = [sys.executable, "-m", "launchers.workers.worker", "--launchpad", launchpad_file, "--directory", tmp_path]
    assert run(*words, "--until-empty", cwd=tmp_path) == 1
    assert launchpad.fireworks.find_one({"fw_id": fw_id})["state"] == "RUNNING"  # and whoever looks sees nobody there


def test_an_rlaunch_whose_launch_raises_ends(store, launchpad, launchpad_file, small_spec, tmp_path):
    start_campaign(store, launchpad, small_spec())
    document = store.references.find_one()
    fw_id = document["relaxation"]["fw_id"]
    # the firework has nothing to do, and says so with an error
    store.references.update_one({"_id": document["_id"]}, {"$set": {"relaxation.fw_id": 0}})
    code = run(BIN / "rlaunch", "-l", launchpad_file, "-s", "singleshot", "--fw_id", str(fw_id), cwd=tmp_path)
    assert code == 1
    assert launchpad.fireworks.find_one({"fw_id": fw_id})["state"] == "RUNNING"
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).lost == [fw_id]


def test_a_clock_that_is_set_does_not_make_a_live_process_a_dead_one(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    taken, _ = launchpad.checkout_fw(FWorker("any"), "/nowhere")
    announce_process(launchpad, taken.fw_id)
    # what a start time since 1970 becomes when the clock is set back by a minute
    launchpad.fireworks.update_one({"fw_id": taken.fw_id}, {"$inc": {"spec.worker.pid_created": 60.0}})
    assert not reconcile(OpenCampaign.open(store, launchpad, "small"))
    # another process got its id
    launchpad.fireworks.update_one({"fw_id": taken.fw_id}, {"$inc": {"spec.worker.pid_ticks": -1}})
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).lost == [taken.fw_id]


@pytest.mark.parametrize("by", ["rlaunch", "worker"])
def test_a_workflow_deleted_while_it_runs_ends_in_one_sentence(
    store, launchpad, launchpad_file, small_spec, tmp_path, by
):
    start_campaign(store, launchpad, small_spec())
    document = store.references.find_one()
    # nothing to record of a firework that is not the document's own; then the launch loses its workflow
    record = RecordCalculation(document=document["_id"], stage="relax")
    delete = ScriptTask.from_str(f"{BIN / 'lpad'} -l {launchpad_file} delete_wflows --name removed")
    spec = {"campaign_name": "small", "_add_launchpad_and_fw_id": True, "_priority": 1000}
    workflow = Workflow([Firework([record, delete], spec=spec)], name="removed")
    fw_id = next(iter(launchpad.add_wf(workflow).values()))
    launchpad.fireworks.update_many({"fw_id": {"$ne": fw_id}}, {"$set": {"state": "PAUSED"}})
    words = {
        "rlaunch": [BIN / "rlaunch", "-l", launchpad_file, "singleshot"],
        "worker": [
            *(sys.executable, "-m", "launchers.workers.worker", "--launchpad", launchpad_file),
            *("--directory", tmp_path, "--until-empty"),
        ],
    }[by]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert "was deleted from the LaunchPad while it ran" in said
    assert "Traceback" not in said, said
    assert done.returncode == 0
