"""The ledger: nothing that was spent is forgotten, not even by a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from campaign.attempts.last_words import close_unclosed
from campaign.attempts.ledger import attempt
from campaign.store.attempts import close_attempt, last_attempt
from campaign.store.campaigns import Campaign
from campaign.store.usage import cost_by_stage, cpu_seconds_by_document

pytestmark = pytest.mark.mongo

#: A worker whose child burns CPU until it is killed.
WORKER = """
import pathlib, subprocess, sys
from campaign.attempts.ledger import attempt
from campaign.store.collections import CampaignStore
from launchers.database.settings import DatabaseSettings

store = CampaignStore(DatabaseSettings.from_file(pathlib.Path(sys.argv[1])).launchpad().db)
with attempt(store, campaign="small", stage="relax", fw_id=5, document="c", beat_s=0.2):
    print("begun", flush=True)
    subprocess.run([sys.executable, "-c", "while True: pass"])
"""


def test_what_a_killed_attempt_had_used_stays_in_the_ledger(store, launchpad_file, small_spec):
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(launchpad_file)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert worker.stdout.readline() == "begun\n"
        deadline = time.monotonic() + 60
        while (last_attempt(store, 5).get("cpu_s") or 0.0) < 0.5:
            assert time.monotonic() < deadline, "nothing was noted while the attempt ran"
            time.sleep(0.1)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)  # the worker and its child, which are a session of their own
        worker.wait()
    assert close_attempt(store, "5.1", outcome="lost")
    entry = last_attempt(store, 5)
    assert entry["outcome"] == "lost"
    assert entry["cpu_s"] >= 0.5
    assert cpu_seconds_by_document(Campaign(store=store, spec=small_spec(), document={})) == {"c": entry["cpu_s"]}


def test_gpu_seconds_and_those_of_other_processes_are_counted_when_the_attempt_fails_too(store, small_spec):
    def screen():
        with attempt(store, campaign="small", stage="screen", fw_id=6) as entry:
            entry.elsewhere_cpu_s, entry.gpu_s = 30.0, 0.5
            raise OSError("the actor's node is gone")

    with pytest.raises(OSError, match="node is gone"):
        screen()
    entry = last_attempt(store, 6)
    assert entry["outcome"] == "machine"
    assert entry["cpu_s"] >= 30.0
    assert entry["gpu_s"] == 0.5
    assert cost_by_stage(Campaign(store=store, spec=small_spec(), document={}))["screen"]["gpu_s"] == entry["gpu_s"]


OUTCAR = " running on    8 total cores\n                  Total CPU time used (sec):   {seconds}.000\n"


def fail_in_engine(store, cause):
    with attempt(store, campaign="small", stage="dos", fw_id=90, document="c", has_engine=True):
        Path("OUTCAR").write_text(OUTCAR.format(seconds=100))
        raise cause


def test_what_vasp_has_used_under_srun_counts_when_the_attempt_fails_too(store, launch_folder):
    """VASP is no child of the worker then: its OUTCAR says what it has used."""
    Path("OUTCAR.old").write_text(OUTCAR.format(seconds=7000))
    old = time.time() - 3600
    os.utime("OUTCAR.old", (old, old))
    with pytest.raises(OSError, match="gone"):
        fail_in_engine(store, OSError("the node is gone"))
    assert last_attempt(store, 90)["cpu_s"] == pytest.approx(800.0)


def test_the_scheduler_counts_where_it_says_more_and_the_job_is_not_shared(store, launch_folder, tmp_path, monkeypatch):
    sacct = tmp_path / "bin" / "sacct"
    sacct.parent.mkdir()
    sacct.write_text('#!/bin/sh\necho "77.0|$(($(date +%s) + 5))|00:20:00|9600"\n')
    sacct.chmod(0o755)
    monkeypatch.setenv("PATH", str(sacct.parent), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    with pytest.raises(OSError, match="gone"):
        fail_in_engine(store, OSError("the node is gone"))
    assert last_attempt(store, 90)["cpu_s"] == pytest.approx(1200.0)  # and not 2000
    # another calculation in the same job: its steps are not told apart
    with attempt(store, campaign="small", stage="dos", fw_id=91, document="d"), pytest.raises(OSError, match="gone"):
        fail_in_engine(store, OSError("the node is gone"))
    assert last_attempt(store, 90)["cpu_s"] == pytest.approx(800.0)


def test_what_vasp_has_used_counts_when_the_worker_was_killed(store, launch_folder):
    entry = attempt(store, campaign="small", stage="dos", fw_id=92, document="c", has_engine=True)
    entry.__enter__()  # and never left: the worker was killed
    Path("OUTCAR").write_text(OUTCAR.format(seconds=50))
    close_unclosed(store, last_attempt(store, 92), outcome="lost", facts={"cause": "killed"})
    assert last_attempt(store, 92)["cpu_s"] == pytest.approx(400.0)
