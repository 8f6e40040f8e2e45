"""What is concluded of a process on another host from what its scheduler says; the commands give recorded answers."""

import os
from datetime import UTC, datetime

import pytest
from fireworks import FWorker

from campaign.attempts.escalation import escalated_resources
from campaign.recovery.liveness import liveness_of
from campaign.recovery.processes import announce_process
from campaign.recovery.reconcile import reconcile
from campaign.running_campaign import start_campaign
from campaign.spec.sections.retries import RetrySection
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.views.failures import failure_kinds
from launchers.scheduler.job_state import JobState
from launchers.scheduler.jobs import Job
from launchers.workers.process_identity import this_process

BEGAN = 1795545809
WORKER = {
    "host": "another-host",
    "pid": 1,
    "pid_created": float(BEGAN),
    "launch": 9,
    "scheduler": "slurm",
    "cluster": "mini",
    "job_id": "5",
    "restarts": 1,
}
LAUNCH = {
    "launch_id": 9,
    "fworker": {"name": "a site"},
    "host": "another-host",
    "launch_dir": "/scratch/launcher_1",
    "time_start": "2026-01-01T00:00:00+00:00",
    "state_history": [{"state": "RESERVED", "reservation_id": "5"}, {"state": "RUNNING"}],
}


@pytest.fixture
def says(tmp_path, monkeypatch):
    """Function that lets squeue and sacct answer, of a cluster of some name; what is not given fails."""

    def make(*, squeue="", sacct="", cluster="mini"):
        answers = {"squeue": squeue, "sacct": sacct, "scontrol": cluster and f"ClusterName = {cluster}"}
        for name, text in answers.items():
            (tmp_path / f"{name}.txt").write_text(text)
            end = f"cat {tmp_path / name}.txt" if text else "exit 1"
            (tmp_path / name).write_text(f"#!/bin/sh\n{end}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return make


def row(state, *, restarts=1, start=BEGAN - 5, end=BEGAN + 60, directory="/scratch/launcher_1"):
    return f"5|{state}|{restarts}|{start}|{end}|5:00|0|cpu|{directory}|\n"


def accounted(state, end):
    return f"5|{state}|0:0|{BEGAN - 500}|{end}|00:05:00|cpu|/scratch/launcher_1|256M|1\n"


def found(worker=WORKER):
    spec = {} if worker is None else {"worker": worker}
    where = liveness_of([{"fw_id": 1, "launches": [9], "spec": spec}], {1: LAUNCH})[1]
    return where.alive, where.cause


@pytest.mark.parametrize(
    ("answer", "concluded"),
    [
        ({"squeue": row("RUNNING")}, (None, None)),
        ({"squeue": row("COMPLETING")}, (None, None)),
        ({"squeue": row("TIMEOUT")}, (False, "timeout")),
        ({"squeue": row("CANCELLED")}, (False, "cancelled")),
        ({"squeue": row("COMPLETED")}, (False, "killed")),
        ({"squeue": row("PENDING", restarts=2)}, (False, "requeued")),
        ({"squeue": row("RUNNING", restarts=2)}, (False, "requeued")),
        ({}, (None, None)),
        ({"sacct": accounted("NODE_FAIL", BEGAN + 60)}, (False, "node_fail")),
        # the end of the run before: this one was started after it
        ({"sacct": accounted("NODE_FAIL", BEGAN - 300)}, (None, None)),
        # job 5 of another cluster is another job
        ({"squeue": row("TIMEOUT"), "cluster": "other"}, (None, None)),
        # the controller does not say which cluster it is
        ({"squeue": row("TIMEOUT"), "cluster": ""}, (None, None)),
    ],
)
def test_only_a_positive_answer_about_this_very_run_ends_it(says, answer, concluded):
    says(**answer)
    assert found() == concluded


def test_a_cancelled_job_is_said_to_be_so_and_by_whom(says):
    says(squeue=row("CANCELLED"), sacct=accounted("CANCELLED by 0", BEGAN + 60))
    where = liveness_of([{"fw_id": 1, "launches": [9], "spec": {"worker": WORKER}}], {1: LAUNCH})[1]
    assert (where.cause, where.job_state.description) == ("cancelled", "ended (cancelled) by root")
    says(squeue=row("CANCELLED"), sacct=accounted("CANCELLED by 4123456", BEGAN + 60))
    where = liveness_of([{"fw_id": 1, "launches": [9], "spec": {"worker": WORKER}}], {1: LAUNCH})[1]
    assert where.job_state.description == "ended (cancelled) by user 4123456"
    says(squeue=row("CANCELLED"))  # without accounting
    where = liveness_of([{"fw_id": 1, "launches": [9], "spec": {"worker": WORKER}}], {1: LAUNCH})[1]
    assert where.job_state.description == "ended (cancelled)"


@pytest.mark.mongo
@pytest.mark.parametrize(
    ("printed", "cause", "said"),
    [
        ("", "killed", "its process is gone"),
        ("slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT x ***\n", "cancelled", "cancelled"),
    ],
)
def test_a_process_that_is_gone_is_never_said_to_run(
    store, launchpad, small_spec, launchpad_file, says, tmp_path, printed, cause, said
):
    """Its scheduler knows nothing of the job; what the job has printed may say that it was cancelled."""
    says()
    (tmp_path / "FW_job-5.error").write_text(printed)
    start_campaign(store, launchpad, small_spec())
    fw_id = store.references.find_one({"label": "Al"})["relaxation"]["fw_id"]
    launchpad.checkout_fw(FWorker("any"), str(tmp_path), fw_id)
    announce_process(launchpad, fw_id)
    gone = this_process() | {"pid_ticks": -1, "scheduler": "slurm", "cluster": None, "job_id": "5"}
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {f"spec.worker.{key}": gone[key] for key in gone}})
    (line,) = reconcile(OpenCampaign.open(store, launchpad, "small")).findings()
    assert line.endswith(
        f"left by a process or job that is gone; run again while retries are left: {fw_id} (job 5: {said})"
    )
    entry = store.attempts.find_one({"fw_id": fw_id})
    assert (entry["outcome"], entry["cause"]) == ("lost", cause)
    (kind,) = failure_kinds(Campaign.read(store, "small"), None)
    assert ("memory" in kind.advice) == (cause == "killed")


def test_a_reservation_ends_with_the_job_that_was_submitted_in_its_directory(says):
    says(squeue=row("CANCELLED"))
    assert found(worker=None) == (False, "cancelled")
    says(squeue=row("CANCELLED", directory="/home/u/somewhere-else"))
    assert found(worker=None) == (None, None)


def test_what_an_earlier_launch_announced_says_nothing_of_this_one(says):
    says(squeue=row("CANCELLED", directory="/home/u/somewhere-else"))
    assert found({**WORKER, "launch": 8}) == (None, None)


JOB = Job(scheduler="slurm", cluster="mini", job_id="5", began=datetime.fromtimestamp(BEGAN, UTC))


def state(**facts):
    return JobState(job_id="5", phase="ended", **facts)


@pytest.mark.parametrize(
    ("cause", "said", "asked", "more"),
    [
        ("timeout", state(time_limit_s=5400.0), {}, {"walltime": "03:00:00"}),
        ("timeout", state(), {"walltime": "30:00:00"}, {"walltime": "60:00:00"}),
        ("timeout", state(), {}, {}),
        ("out_of_memory", state(memory_mb=256.0, memory_per="cpu"), {}, {"mem_per_cpu": "384M"}),
        ("out_of_memory", state(memory_mb=4000.0, memory_per="node"), {}, {"mem": "6000M"}),
        ("out_of_memory", None, {"mem": "8G"}, {"mem": "12288M"}),
        ("node_fail", state(time_limit_s=5400.0, memory_mb=256.0), {}, {}),
    ],
)
def test_a_job_that_ran_out_asks_for_more_of_that_and_of_nothing_else(cause, said, asked, more):
    assert escalated_resources(cause, JOB, said, RetrySection(), asked=asked) == more


def test_a_partition_gives_no_more_than_its_limit(says, tmp_path):
    says()
    (tmp_path / "sinfo").write_text("#!/bin/sh\necho 'short|2:00:00'\n")
    (tmp_path / "sinfo").chmod(0o755)
    nearly, at_limit = (state(time_limit_s=hours * 3600.0, partition="short") for hours in (1.5, 2.0))
    assert escalated_resources("timeout", JOB, nearly, RetrySection(), asked={}) == {"walltime": "02:00:00"}
    assert escalated_resources("timeout", JOB, at_limit, RetrySection(), asked={}) == {}
