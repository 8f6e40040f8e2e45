"""A real SLURM of four nodes on loopback (minislurm.sh), started for the tests and ended with them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster, search_path

_NEEDED = ("sbatch", "squeue", "munged", "slurmctld", "slurmd")


@pytest.fixture(scope="session")
def slurm_session() -> Iterator[SlurmCluster]:
    """A SLURM that runs for the session."""
    absent = [name for name in _NEEDED if shutil.which(name, path=search_path()) is None]
    if absent or os.geteuid() != 0:
        pytest.skip(f"a SLURM of one's own needs root and {', '.join(absent or _NEEDED)}")
    # short: munged's and slurmd's sockets are in it; readable by all: slurmd checks that
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    cluster = SlurmCluster(folder)
    try:
        cluster.call("up")
        yield cluster
    finally:
        cluster.call("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def slurm(slurm_session: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The session's SLURM, idle at first and again at the end; SLURM_CONF is set for code that is called in here."""
    monkeypatch.setenv("SLURM_CONF", slurm_session.environment["SLURM_CONF"])
    monkeypatch.setenv("PATH", slurm_session.environment["PATH"])
    yield slurm_session
    slurm_session.cancel_all()
