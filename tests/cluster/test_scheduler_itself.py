"""What a real SLURM says of jobs, and what a process in a job can tell of its own end."""

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster

from launchers.scheduler.slurm import Slurm

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).resolve().parents[2]
SAY_WHY = "from campaign.attempts.causes import failure_cause; print(failure_cause(SystemExit(1)))"


def submit(slurm: SlurmCluster, *options: str, script: str, output: Path) -> str:
    wrapped = ["--wrap", script, f"--output={output}"]
    return slurm.run("sbatch", "--parsable", "-p", "cpu", *options, *wrapped).stdout.strip()


def test_slurm_tells_how_jobs_ended_and_nothing_of_those_it_does_not_know(slurm: SlurmCluster, tmp_path: Path) -> None:
    null = Path("/dev/null")
    done = submit(slurm, script="true", output=null)
    failed = submit(slurm, script="exit 3", output=null)
    cancelled = submit(slurm, "--hold", script="sleep 600", output=null)
    held = submit(slurm, "--hold", "--mem=700", "-t", "7", script="true", output=null)
    running = submit(slurm, script="sleep 600", output=null)
    slurm.run("scancel", cancelled)
    asked = [done, failed, cancelled, held, running, "987654"]
    wanted = {done: "completed", failed: "failed", cancelled: "cancelled", held: None, running: None}
    for _ in range(60):
        found = Slurm().states(asked)
        if {key: state.ending for key, state in found.items()} == wanted and found[running].phase == "running":
            break
        time.sleep(0.5)
    assert {key: state.ending for key, state in found.items()} == wanted
    assert (found[held].phase, found[held].time_limit_s) == ("pending", 420.0)
    assert Slurm().details(held)[held].memory_mb == 700.0
    assert Slurm().states(["987654"]) == {}  # a single unknown id is an error of squeue's, and no answer
    long_ago, just_now = datetime(2026, 1, 1, tzinfo=UTC), datetime.now(UTC)
    assert [Slurm().forgotten("987654", began=began) for began in (long_ago, just_now)] == [True, False]
    assert not Slurm().forgotten(running, began=long_ago)
    assert Slurm().cluster() == "mini"
    assert Slurm().longest_time_s("cpu") == 3600.0


def test_tasks_of_an_array_are_told_by_their_own_ids(slurm: SlurmCluster, tmp_path: Path) -> None:
    submit(slurm, "--array=1-2", script="echo $SLURM_JOB_ID; exit $SLURM_ARRAY_TASK_ID", output=tmp_path / "%a")
    for _ in range(60):
        ids = [path.read_text().strip() for path in sorted(tmp_path.iterdir())]
        found = Slurm().states(filter(None, ids))
        if len(found) == 2 and all(state.phase == "ended" for state in found.values()):
            break
        time.sleep(0.5)
    assert [(found[job_id].ending, found[job_id].exit_code) for job_id in ids] == [("failed", "256"), ("failed", "512")]


def test_jobcomp_tells_of_jobs_when_squeue_fails(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(slurm, script="exit 3", output=Path("/dev/null"))
    broken = tmp_path / "squeue"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for _ in range(60):
        found = Slurm().states([job])
        if job in found and found[job].phase == "ended":
            break
        time.sleep(0.5)
    assert (found[job].ending, found[job].source) in [("failed", "sacct -c"), ("failed", "scontrol")]


def test_the_signal_at_the_end_of_the_time_is_told_from_another_interruption(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    script = f"cd {ROOT}; PYTHONPATH={ROOT} {sys.executable} -c '{SAY_WHY}'"
    for minutes in ("5", "60"):
        submit(slurm, "-t", minutes, script=script, output=tmp_path / minutes)
    said = {}
    for _ in range(240):
        said = {path.name: path.read_text().strip() for path in tmp_path.iterdir()}
        if len(said) == 2 and all(said.values()):
            break
        time.sleep(0.5)
    assert said == {"5": "timeout", "60": "interrupted"}
