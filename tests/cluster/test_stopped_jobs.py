"""`campaign stop --cancel-jobs` on a real SLURM: a job that computes, and one that waits in the queue."""

import sys
import time
from pathlib import Path

import pytest
from fireworks import FWorker
from running_process import PROGRAM
from slurm_cluster import SlurmCluster
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.running_campaign import start_campaign
from campaign.spec.reader import read_firework_spec
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import initialise_launchpad
from launchers.database.settings import DatabaseSettings

pytestmark = [pytest.mark.slurm, pytest.mark.mongo]
ROOT = Path(__file__).resolve().parents[2]
SPEC = {
    "purpose": "training_set",
    "candidates": {"prototypes": ["B2", "B1"], "elements": ["Al", "Li"]},
    "dft": {"engine": "gpaw", "quality": "fast", "encut": 300, "kpoint_length": 10},
}


def test_jobs_are_cancelled_and_wait_for_resume_at_no_try(
    slurm: SlurmCluster, launchpad_file: Path, database: DatabaseSettings, tmp_path: Path
) -> None:
    launchpad = database.launchpad(strm_lvl="ERROR")
    initialise_launchpad(launchpad)
    store = CampaignStore(launchpad.db)
    start_campaign(store, launchpad, read_firework_spec({"campaign": SPEC}, name="mine"))
    computed, queued = (found["is_dos"]["fw_id"] for found in store.candidates.find().sort("_id").limit(2))
    document = store.candidates.find_one({"is_dos.fw_id": computed})["_id"]
    (tmp_path / "program.py").write_text(PROGRAM)
    running = f"PYTHONPATH={ROOT} {sys.executable} program.py {launchpad_file} {computed} {document}"
    options = ("--parsable", "-p", "cpu", "-D", str(tmp_path), "--output=/dev/null")
    jobs = [slurm.run("sbatch", *options, "--wrap", running).stdout.strip()]
    jobs.append(slurm.run("sbatch", *options, "--hold", "--wrap", "true").stdout.strip())
    # what `qlaunch -r` does
    _, launch_id = launchpad.reserve_fw(FWorker(), str(tmp_path), fw_id=queued)
    launchpad.set_reservation_id(launch_id, jobs[1])
    deadline = time.monotonic() + 120.0
    while not store.attempts.find_one({"fw_id": computed}):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    words = ["stop", "mine", "--cancel-jobs", "--yes", "--launchpad", str(launchpad_file)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    assert f"cancelled 2 jobs: {', '.join(sorted(jobs))}" in done.output
    assert "still running" not in done.output
    assert not slurm.run("squeue", "-h").stdout.strip()
    states = {found["fw_id"]: found["state"] for found in launchpad.fireworks.find()}
    assert states[computed] == states[queued] == "PAUSED"
    entries = list(store.attempts.find())
    assert [(entry["fw_id"], entry["outcome"]) for entry in entries] == [(computed, "stopped")]
    done = CliRunner().invoke(app, ["resume", "mine", "--launchpad", str(launchpad_file)])
    assert done.exit_code == 0, done.output
    assert launchpad.fireworks.count_documents({"state": "PAUSED"}) == 0
