"""One campaign on a real SLURM, in whose middle everything that ends jobs is done to it; then it ends complete.

The disasters are told by the names of the tests below; the story itself runs once. A login node cannot see processes of
compute nodes: all reconciliations are made under another host's name, so it is SLURM that says what became of a job.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from queue_adapter import LIGHT_WORK, OTHER_HOST, ClusterCampaign, kill
from slurm_cluster import SlurmCluster

from campaign.running_campaign import start_campaign
from campaign.spec.reader import read_firework_spec
from campaign.store.fireworks import initialise_launchpad
from launchers.database.settings import DatabaseSettings
from launchers.mongod import server as mongo
from launchers.workers.local import LocalWorkers

pytestmark = [pytest.mark.long, pytest.mark.slurm, pytest.mark.mongo, pytest.mark.gpaw]

#: Seven calculations of some seconds each; coarse in everything but the path that they take.
SPEC: dict[str, Any] = {
    "purpose": "training_set",
    "candidates": {"prototypes": ["B2"], "elements": ["Al", "Li"]},
    "dft": {"engine": "gpaw", "quality": "fast", "encut": 300, "kpoint_length": 10},
}
STAGES = {"reference": ("relax", "rs_dos"), "training": ("dos", "relax", "rs_dos")}


class Story:
    """The campaign, and what was seen of each disaster."""

    def __init__(self, run: ClusterCampaign, data_dir: Path) -> None:
        self.run = run
        self.data_dir = data_dir
        self.seen: dict[str, Any] = {}
        self.said: list[str] = []

    def reconcile(self, **options: Any) -> str:
        self.said.append(self.run.campaign("reconcile", self.run.name, host=OTHER_HOST, **options))
        return self.said[-1]

    def reconcile_until(self, says: str, *, seconds: float = 300.0) -> str:
        """Reconcile until SLURM has noticed what was done to a job, or an earlier reconciliation has said so."""

        def found() -> str | None:
            self.reconcile()
            return next((said for said in self.said if says in said), None)

        said: str = self.run.wait(found, seconds=seconds, hint=f"'{says}'")
        return said

    def fw_id(self, name: str) -> int:
        """Id of a calculation's firework by its name, once it is there."""
        found = self.run.wait(lambda: self.run.launchpad.fireworks.find_one({"name": name}, ["fw_id"]), hint=name)
        return int(found["fw_id"])

    def wait_running(self, fw_id: int) -> dict[str, Any]:
        return self.run.running(fw_id=fw_id)[0]


@pytest.fixture(scope="module")
def story(
    slurm_session: SlurmCluster,
    tmp_path_factory: pytest.TempPathFactory,
    write_launchpad: Callable[..., Path],
    free_port: Callable[[], int],
) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("survives")
    launchpad_file = write_launchpad(folder, port=free_port(), name="survives")
    environment = pytest.MonkeyPatch()
    for name in ("SLURM_CONF", "PATH"):
        environment.setenv(name, slurm_session.environment[name])
    data_dir = folder / "mongodb"
    mongo.start(DatabaseSettings.from_file(launchpad_file), data_dir=data_dir)
    run = ClusterCampaign(slurm_session, launchpad_file, "survives")
    told = Story(run, data_dir)
    try:
        initialise_launchpad(run.launchpad)
        start_campaign(run.store, run.launchpad, read_firework_spec({"campaign": SPEC}, name="survives"))
        tell(told, folder)
        yield told
    finally:
        slurm_session.cancel_all()
        mongo.stop(data_dir)
        environment.undo()


def tell(story: Story, folder: Path) -> None:
    """Do everything to the campaign, then let it end."""
    run = story.run
    timeout, requeued = story.fw_id("Al relaxation"), story.fw_id("Li relaxation")
    scancelled = unreserved = story.fw_id("LiAl B2 IS-DOS")
    # before anything runs: a reservation whose job is cancelled in the queue
    run.slurm.run("scontrol", "update", "partition=cpu", "state=down")
    run.submit(fw_id=unreserved)
    run.slurm.run("scancel", run.job_of(unreserved))
    story.seen["unreserved dry"] = run.campaign("reconcile", run.name, "--dry-run", host=OTHER_HOST)
    story.seen["state after dry run"] = run.state_of(unreserved)
    story.seen["unreserved"] = story.reconcile()
    story.seen["state after repair"] = run.state_of(unreserved)
    run.slurm.run("scontrol", "update", "partition=cpu", "state=up")
    # a job past its time limit; SLURM looks every 30 s, so the rest goes on meanwhile
    run.submit(fw_id=timeout, walltime="00:01:00")
    freeze_after_first_step(story, timeout)
    with LocalWorkers(run.launchpad_file, folder / "light", query=LIGHT_WORK) as workers:
        workers.start(1)
        tell_of_running_jobs(story, scancelled=scancelled, requeued=requeued)
        step = story.fw_id("Li RS-DOS")
        for name, fw_id, end in (("killed", scancelled, kill_rlaunch), ("step", step, kill_step)):
            run.submit(fw_id=fw_id)
            end(story.wait_running(fw_id), run)
            story.seen[name] = story.reconcile_until(f"{fw_id} (job {run.job_of(fw_id)}: ended")
        story.seen["timeout"] = story.reconcile_until("ended (timeout)", seconds=150.0)
        lose_mongod(story)
        run.finish()
    story.seen["fireworks"] = {
        "timeout": timeout,
        "requeued": requeued,
        "scancelled": scancelled,
        "unreserved": unreserved,
        "step": step,
    }


def freeze_after_first_step(story: Story, fw_id: int) -> None:
    """A calculation that hangs once its first ionic step is written."""
    firework = story.wait_running(fw_id)
    directory = Path(story.run.launchpad.get_launchdir(fw_id))

    def first_step() -> bool:
        contcar = directory / "CONTCAR"
        return contcar.is_file() and contcar.stat().st_size > 0

    story.run.wait(first_step, hint="the first CONTCAR")
    process = psutil.Process(firework["spec"]["worker"]["pid"])
    for member in [process, *process.children(recursive=True)]:
        os.kill(member.pid, signal.SIGSTOP)
    story.seen["contcar"] = str(directory)


def tell_of_running_jobs(story: Story, *, scancelled: int, requeued: int) -> None:
    run = story.run
    run.submit(fw_id=scancelled)
    run.submit(fw_id=requeued)
    story.wait_running(requeued)
    # its calculation has begun: else nobody has written yet which run of the job it was
    run.wait(lambda: run.entries(requeued), hint="the attempt of the job that is put back")
    run.slurm.run("scontrol", "requeue", run.job_of(requeued))
    story.wait_running(scancelled)
    run.slurm.run("scancel", run.job_of(scancelled))
    # nobody who answers
    for name, script in (("failing", "exit 1"), ("silent", "exit 0")):
        blind = run.folder / f"bin-{name}"
        blind.mkdir()
        for command in ("squeue", "sacct", "scontrol"):
            (blind / command).write_text(f"#!/bin/sh\n{script}\n")
            (blind / command).chmod(0o755)
        story.seen[name] = story.reconcile(path=f"{blind}{os.pathsep}{run.slurm.environment['PATH']}")
        story.seen[f"{name} states"] = [run.state_of(scancelled), run.state_of(requeued)]
    story.seen["scancelled"] = story.reconcile_until(f"{scancelled} (job {run.job_of(scancelled)}: ended (cancelled)")
    run.wait(lambda: story.reconcile() and run.state_of(requeued) == "RESERVED", hint="the requeued firework")
    story.seen["requeued job"] = run.job_of(requeued)
    # SLURM makes a job that was put back wait for two minutes
    run.slurm.run("scontrol", "update", f"jobid={run.job_of(requeued)}", "StartTime=now")
    # a controller that is down for a while, as the job runs
    story.wait_running(requeued)
    run.slurm.call("stop-controller")
    up_again = time.monotonic() + 60.0
    try:
        story.seen["controller down"] = story.reconcile()
        story.seen["submitted without controller"] = run.submit(fw_id=scancelled)
        story.seen["state without controller"] = run.state_of(scancelled)
        time.sleep(max(0.0, up_again - time.monotonic()))
    finally:
        run.slurm.call("start-controller")
    run.slurm.run("scontrol", "ping")


def kill_rlaunch(firework: dict[str, Any], run: ClusterCampaign) -> None:
    kill(firework["spec"]["worker"]["pid"])


def kill_step(firework: dict[str, Any], run: ClusterCampaign) -> None:
    """Kill -9 all processes of the batch step at once; slurmstepd itself is SLURM's, which would only notice later."""
    step = next(
        parent
        for parent in psutil.Process(firework["spec"]["worker"]["pid"]).parents()
        if "slurmstepd" in parent.name()
    )
    for member in step.children(recursive=True):
        kill(member.pid)


def lose_mongod(story: Story) -> None:
    """Kill -9 the database while jobs run, and start it again after they would have ended."""
    run = story.run
    run.submit()
    run.running(2)
    found = mongo.status(story.data_dir)
    assert found.pid is not None
    kill(found.pid)
    time.sleep(12.0)
    mongo.start(run.settings, data_dir=story.data_dir)
    story.seen["mongod"] = (found.pid, mongo.status(story.data_dir).pid)


def test_the_campaign_ends_complete_with_nothing_twice_and_nothing_lost(story: Story) -> None:
    story.run.assert_complete(STAGES)
    assert {found["state"] for found in story.run.store.candidates.find()} == {"relaxed"}
    assert {found["rs_dos"]["state"] for found in story.run.store.candidates.find()} == {"done"}


def test_a_cancelled_reservation_is_ready_again_and_a_dry_run_changes_nothing(story: Story) -> None:
    fw_id = story.seen["fireworks"]["unreserved"]
    assert "would be repaired: 1 firework reserved for a job that is gone" in story.seen["unreserved dry"]
    assert story.seen["state after dry run"] == "RESERVED"
    assert f"{fw_id} (job" in story.seen["unreserved"]
    assert story.seen["state after repair"] == "READY"


def test_silence_of_the_scheduler_changes_nothing(story: Story) -> None:
    for name in ("failing", "silent"):
        assert story.seen[f"{name} states"] == ["RUNNING", "RUNNING"]
        assert "left by a process or job that is gone" not in story.seen[name]


def test_a_scancelled_job_runs_again(story: Story) -> None:
    causes = [entry.get("cause") for entry in story.run.entries(story.seen["fireworks"]["scancelled"])]
    assert causes == ["cancelled", "killed", None]


def test_a_job_whose_rlaunch_was_killed_runs_again(story: Story) -> None:
    outcomes = [entry["outcome"] for entry in story.run.entries(story.seen["fireworks"]["scancelled"])]
    assert outcomes == ["lost", "lost", "completed"]  # the cancelled reservation before these was no try


def test_a_job_whose_whole_step_was_killed_runs_again(story: Story) -> None:
    outcomes = [entry["outcome"] for entry in story.run.entries(story.seen["fireworks"]["step"])]
    assert outcomes == ["lost", "completed"]


def test_a_requeued_job_takes_its_own_firework_again(story: Story) -> None:
    fw_id = story.seen["fireworks"]["requeued"]
    entries = story.run.entries(fw_id)
    assert [(entry["outcome"], entry.get("cause")) for entry in entries] == [("lost", "requeued"), ("completed", None)]
    assert {entry["job_id"] for entry in entries} == {story.seen["requeued job"]}
    assert [entry["restarts"] for entry in entries] == [0, 1]


def test_a_job_past_its_time_limit_asks_for_more_and_goes_on_from_its_last_geometry(story: Story) -> None:
    fw_id = story.seen["fireworks"]["timeout"]
    entries = story.run.entries(fw_id)
    assert [(entry["outcome"], entry.get("cause")) for entry in entries] == [("lost", "timeout"), ("completed", None)]
    firework = story.run.launchpad.fireworks.find_one({"fw_id": fw_id})
    assert firework["spec"]["_queueadapter"].items() >= {"walltime": "00:02:00"}.items()
    script = Path(entries[-1]["directory"], "FW_submit.script").read_text()
    assert "#SBATCH --time=00:02:00" in script
    relaxation = story.run.store.references.find_one({"relaxation.fw_id": fw_id})["relaxation"]
    assert relaxation["restarted_from"]["directory"] == story.seen["contcar"]
    assert relaxation["restarted_from"]["cause"] == "timeout"


def test_a_controller_that_is_down_changes_nothing(story: Story) -> None:
    assert story.seen["submitted without controller"] == 0
    assert story.seen["state without controller"] == "READY"
    assert "gone" not in story.seen["controller down"]


def test_a_database_that_was_killed_lost_nothing(story: Story) -> None:
    before, after = story.seen["mongod"]
    assert before != after


def test_the_failures_are_explained(story: Story) -> None:
    said = story.run.campaign("failures", story.run.name)
    for cause in ("timeout", "cancelled", "killed", "requeued"):
        assert cause in said
    assert "CANCELLED AT" in said  # what SLURM wrote into the job's own file
