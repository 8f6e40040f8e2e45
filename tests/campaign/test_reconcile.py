"""What killed workers leave behind is found and runs again; what still runs is left alone."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from fireworks import FWorker, Launch

from campaign.recovery.processes import LaunchIsTakenError, announce_process
from campaign.recovery.reconcile import reconcile
from campaign.running_campaign import start_campaign
from campaign.steps.record import record_calculation
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.states import STAGES
from campaign.verification.verify import verify
from launchers.workers.local import LocalWorkers
from launchers.workers.process_identity import this_process

pytestmark = pytest.mark.mongo


def wait_for_running(launchpad, *, announced=False, seconds=60.0):
    query = {"state": "RUNNING", "spec.stage": {"$exists": True}}
    if announced:
        query["spec.worker"] = {"$exists": True}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if firework := launchpad.fireworks.find_one(query):
            return firework
        time.sleep(0.1)
    raise AssertionError("no calculation started")


@pytest.mark.gpaw
def test_a_calculation_whose_worker_was_killed_runs_again(store, launchpad, launchpad_file, small_spec, tmp_path):
    start_campaign(store, launchpad, small_spec())
    with LocalWorkers(launchpad_file, tmp_path / "runs") as workers:
        workers.start(1)
        firework = wait_for_running(launchpad)
        assert not reconcile(OpenCampaign.open(store, launchpad, "small"))  # it is at work: nothing to repair
        workers.stop()
    done = reconcile(OpenCampaign.open(store, launchpad, "small"))
    assert done.lost == [firework["fw_id"]]
    assert launchpad.fireworks.find_one({"fw_id": firework["fw_id"]})["state"] == "READY"
    outcomes = {entry["outcome"] for entry in store.attempts.find({"fw_id": firework["fw_id"]})}
    assert outcomes <= {"lost"}  # empty if the worker died before its first ledger entry
    assert not reconcile(OpenCampaign.open(store, launchpad, "small"))  # and once is enough


@pytest.mark.gpaw
def test_a_calculation_whose_rlaunch_was_killed_runs_again(store, launchpad, launchpad_file, small_spec, tmp_path):
    """FireWorks' own launcher says only its host; the firework itself says which process it was."""
    start_campaign(store, launchpad, small_spec())
    rlaunch = subprocess.Popen(
        [Path(sys.executable).parent / "rlaunch", "-l", launchpad_file, "-s", "singleshot"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        firework = wait_for_running(launchpad, announced=True)
        assert not reconcile(OpenCampaign.open(store, launchpad, "small"))
    finally:
        for process in [*psutil.Process(rlaunch.pid).children(recursive=True), psutil.Process(rlaunch.pid)]:
            process.kill()
        rlaunch.wait()
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).lost == [firework["fw_id"]]
    assert launchpad.fireworks.find_one({"fw_id": firework["fw_id"]})["state"] == "READY"


def test_a_stale_lock_is_taken_away_and_a_living_one_is_not(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    locked = launchpad.workflows.find_one({})
    launchpad.workflows.update_one({"_id": locked["_id"]}, {"$set": {"locked": True}})
    # a process that holds its lock for a moment and writes
    script = (
        "import sys, time\n"
        "from pymongo import MongoClient\n"
        "from datetime import UTC, datetime\n"
        "workflows = MongoClient(sys.argv[1])[sys.argv[2]].workflows\n"
        "nodes = int(sys.argv[3])\n"
        "print('up', flush=True)\n"
        "while True:\n"
        "    workflows.update_one({'nodes': nodes}, {'$set': {'updated_on': datetime.now(UTC)}})\n"
        "    time.sleep(0.2)\n"
    )
    node = min(locked["nodes"])
    host, port = launchpad.connection.address
    login = launchpad.mongoclient_kwargs
    address = f"mongodb://{login['username']}:{login['password']}@{host}:{port}/?directConnection=true&authSource=admin"
    writer = subprocess.Popen(
        [sys.executable, "-c", script, address, launchpad.db.name, str(node)], stdout=subprocess.PIPE
    )
    try:
        writer.stdout.readline()
        assert reconcile(OpenCampaign.open(store, launchpad, "small")).unlocked == []
    finally:
        writer.send_signal(signal.SIGTERM)
        writer.wait()
        writer.stdout.close()
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).unlocked == [node]
    assert "locked" not in launchpad.workflows.find_one({"_id": locked["_id"]})


def test_a_firework_that_was_half_taken_when_its_process_was_killed_is_ready_again(store, launchpad, small_spec):
    """FireWorks takes a firework in three writes; the state after the first two was seen after a kill -9."""
    start_campaign(store, launchpad, small_spec())
    taken = launchpad._get_a_fw_to_run({"spec.stage": "relax"})  # what checkout_fw does first
    name = f"local-worker {socket.gethostname()} 2147483646 1.00"
    launch = Launch("RUNNING", "/nowhere", fworker=FWorker(name), host="h", launch_id=1, fw_id=taken.fw_id)
    launchpad.launches.insert_one(launch.to_db_dict())  # and what it does next
    assert launchpad.fireworks.find_one({"fw_id": taken.fw_id})["state"] == "RESERVED"
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).half_checked_out == [taken.fw_id]
    assert launchpad.fireworks.find_one({"fw_id": taken.fw_id})["state"] == "READY"


def test_a_paused_workflow_does_not_come_back_when_its_job_is_cancelled(store, launchpad, small_spec):
    """`lpad pause_wflows` leaves what runs; cancelled after that, it ran again, and its workflow with it."""
    start_campaign(store, launchpad, small_spec())
    worker = FWorker(f"local-worker {socket.gethostname()} 2147483646 1.00")
    taken, _ = launchpad.checkout_fw(worker, "/nowhere")
    (record,) = launchpad.workflows.find_one({"nodes": taken.fw_id})["links"][str(taken.fw_id)]
    launchpad.pause_wf(taken.fw_id)
    both = [taken.fw_id, record]
    assert states(launchpad, both) == ["RUNNING", "PAUSED"]
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).lost == [taken.fw_id]
    assert states(launchpad, both) == ["PAUSED", "PAUSED"]
    assert not reconcile(OpenCampaign.open(store, launchpad, "small"))
    assert launchpad.workflows.find_one({"nodes": taken.fw_id})["fw_states"] == dict.fromkeys(map(str, both), "PAUSED")
    for fw_id in both:
        launchpad.resume_fw(fw_id)
    assert states(launchpad, both) == ["READY", "WAITING"]


def states(launchpad, fw_ids):
    return [launchpad.fireworks.find_one({"fw_id": fw_id})["state"] for fw_id in fw_ids]


def test_a_firework_that_is_being_taken_right_now_is_left_alone(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    taken = launchpad._get_a_fw_to_run({"spec.stage": "relax"})
    assert not reconcile(OpenCampaign.open(store, launchpad, "small"))
    assert launchpad.fireworks.find_one({"fw_id": taken.fw_id})["state"] == "RESERVED"


def test_of_two_processes_with_one_launch_the_second_does_not_go_on(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    firework, launch = launchpad.reserve_fw(FWorker(), "/nowhere")
    announce_process(launchpad, firework.fw_id)
    announce_process(launchpad, firework.fw_id)  # the same process may say so again
    other = {"host": "elsewhere", "pid": 1, "pid_created": 1.0, "launch": launch}
    launchpad.fireworks.update_one({"fw_id": firework.fw_id}, {"$set": {"spec.worker": other}})
    with pytest.raises(LaunchIsTakenError):
        announce_process(launchpad, firework.fw_id)


@pytest.fixture
def slurm_says(tmp_path, monkeypatch):
    """Function that lets squeue say what a real one has said; without a line it knows no such job."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def say(line=None, *, settings="ClusterName = mini\nMinJobAge = 300 sec\nPrivateData = none"):
        no_such_job = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
        config = f"case \"$*\" in *config*) echo '{settings}'; exit 0;; esac"
        squeue = no_such_job if line is None else f"echo '{line}'"
        for name, script in {"squeue": squeue, "sacct": "exit 1", "scontrol": f"{config}; {no_such_job}"}.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)

    return say


@pytest.fixture
def reserved(store, launchpad, small_spec):
    """Firework that qlaunch has reserved from this host for job 5, an hour ago; its launch."""
    start_campaign(store, launchpad, small_spec())
    firework, launch = launchpad.reserve_fw(FWorker(), "/runs/launcher_1", host=socket.gethostname())
    launchpad.set_reservation_id(launch, "5")
    before = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    launchpad.launches.update_one({"launch_id": launch}, {"$set": {"state_history.0.created_on": before}})
    launchpad.fireworks.update_one({"fw_id": firework.fw_id}, {"$set": {"updated_on": before}})
    return firework.fw_id


def in_verify(store, launchpad, fw_id):
    """What `campaign verify` says of a firework: problems and remedies."""
    campaign = OpenCampaign.open(store, launchpad, "small")
    found = verify(campaign, lambda: reconcile(campaign, dry_run=True), pause_s=0.0).findings
    return [(finding.problem, finding.remedy) for finding in found if finding.subject == f"firework {fw_id}"]


def test_a_reservation_whose_job_its_controller_has_forgotten_is_given_back(store, launchpad, reserved, slurm_says):
    slurm_says()
    ((problem, remedy),) = in_verify(store, launchpad, reserved)
    assert ("reserved for a job that is gone" in problem, remedy) == (True, "campaign reconcile small")
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).unreserved == [reserved]
    assert launchpad.fireworks.find_one({"fw_id": reserved})["state"] == "READY"
    assert store.attempts.find_one({"fw_id": reserved})["cause"] == "not_started"


@pytest.mark.parametrize("private", [True, False])
def test_a_reservation_of_whose_job_nothing_is_known_is_named_with_a_remedy(
    store, launchpad, reserved, slurm_says, private
):
    """Jobs of others are private, so that an unknown one need not be gone; or another job has its id by now."""
    if private:
        slurm_says(settings="ClusterName = mini\nMinJobAge = 300 sec\nPrivateData = jobs")
    else:
        slurm_says("5|RUNNING|0|1795545809|1795545869|5:00|0|cpu|/elsewhere|")
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).unknown == [reserved]
    ((problem, remedy),) = in_verify(store, launchpad, reserved)
    assert "RESERVED for job 5" in problem
    assert remedy.startswith(f"lpad rerun_fws -i {reserved}")
    # who looks from another host asks another scheduler
    launchpad.launches.update_one({"fw_id": reserved}, {"$set": {"host": "elsewhere"}})
    assert in_verify(store, launchpad, reserved) == []


def test_a_job_that_was_put_back_after_its_folder_was_renamed_is_still_known(
    store, launchpad, reserved, slurm_says, monkeypatch
):
    for name, value in {"SLURM_JOB_ID": "5", "SLURM_CLUSTER_NAME": "mini", "SLURM_RESTART_COUNT": "0"}.items():
        monkeypatch.setenv(name, value)
    launchpad.checkout_fw(FWorker(), "/runs/moved-launcher_1", fw_id=reserved, host=socket.gethostname())
    announce_process(launchpad, reserved)
    gone = {f"spec.worker.{key}": value for key, value in (this_process() | {"pid_ticks": -1}).items()}
    launchpad.fireworks.update_one({"fw_id": reserved}, {"$set": gone})
    line = "5|{}|1|1795545809|1795545869|5:00|0|cpu|/runs/launcher_1|"
    slurm_says(line.format("PENDING"))
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).requeued == [reserved]
    assert launchpad.fireworks.find_one({"fw_id": reserved})["state"] == "RESERVED"
    assert not reconcile(OpenCampaign.open(store, launchpad, "small")).unknown
    slurm_says(line.format("FAILED"))
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).unreserved == [reserved]
    assert launchpad.fireworks.find_one({"fw_id": reserved})["state"] == "READY"


def test_a_job_that_never_begins_its_firework_is_not_submitted_for_ever(
    store, launchpad, database, small_spec, slurm_says
):
    """Every job of a site with a broken environment ends at once; what squeue says then was recorded."""
    start_campaign(store, launchpad, small_spec())
    document = store.candidates.find_one({"state": "relax_running"})
    fw_id = document["relaxation"]["fw_id"]
    slurm_says("5|FAILED|0|1795545809|1795545869|5:00|256|cpu|/nowhere|")
    for state in ("READY", "READY", "FIZZLED"):
        _, launch = launchpad.reserve_fw(FWorker(), "/nowhere", fw_id=fw_id)
        launchpad.set_reservation_id(launch, "5")
        assert reconcile(OpenCampaign.open(store, launchpad, "small")).unreserved == [fw_id]
        assert launchpad.fireworks.find_one({"fw_id": fw_id})["state"] == state
    record = document["relaxation"]["record_fw_id"]
    record_calculation(
        Campaign.read(store, "small"), database, document_id=document["_id"], stage=STAGES["relax"], fw_id=record
    )
    failure = store.candidates.find_one({"_id": document["_id"]})["final_failure"]
    assert (failure["cause"], failure["directory"]) == ("not_started", "/nowhere")
    assert "job 5 ended before the firework began" in failure["error"]
