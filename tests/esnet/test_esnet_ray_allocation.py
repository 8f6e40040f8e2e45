"""The Ray of a SLURM job must be found by itself, and not be trusted where others can read its token."""

from pathlib import Path

import pytest

from esnet.ray.allocation import RayAllocationError, find_allocation


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "ray-cluster-17"
    folder.mkdir()
    (folder / "address").write_text("10.1.2.3:6379\n")
    (folder / "token").write_text("abc\n")
    (folder / "token").chmod(0o600)
    return {"SLURM_JOB_ID": "17", "SLURM_SUBMIT_DIR": str(tmp_path)}


def test_the_cluster_of_this_job_alone_is_found(job):
    found = find_allocation(job)
    assert (found.address, found.token) == ("10.1.2.3:6379", "abc")
    assert "abc" not in repr(found)
    assert find_allocation(job | {"SLURM_JOB_ID": "18"}) is None
    assert find_allocation({"SLURM_SUBMIT_DIR": job["SLURM_SUBMIT_DIR"]}) is None


def test_a_token_that_others_can_read_is_refused(job):
    (Path(job["SLURM_SUBMIT_DIR"]) / "ray-cluster-17" / "token").chmod(0o644)
    with pytest.raises(RayAllocationError, match=r"user \d+ with mode 644; right: yours, with mode 600"):
        find_allocation(job)
