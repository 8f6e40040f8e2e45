"""The test cluster does what the other tests here rely on."""

import time

import pytest
from slurm_cluster import SlurmCluster

pytestmark = pytest.mark.slurm


def test_controller_that_was_away_still_knows_its_jobs(slurm: SlurmCluster) -> None:
    job = slurm.run("sbatch", "--parsable", "-p", "cpu", "--output=/dev/null", "--wrap", "sleep 600").stdout.strip()
    slurm.call("stop-controller")
    try:
        assert slurm.run("squeue", "-h", "-j", job, check=False, timeout=60).returncode != 0
    finally:
        slurm.call("start-controller")
    for _ in range(30):
        state = slurm.run("squeue", "-h", "-j", job, "-o", "%T").stdout.strip()
        if state == "RUNNING":
            break
        time.sleep(1)
    assert state == "RUNNING"
