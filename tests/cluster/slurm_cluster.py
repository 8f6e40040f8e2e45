"""The throw-away SLURM of the tests as an object."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SCRIPT = Path(__file__).with_name("minislurm.sh")


class SlurmCluster:
    """A SLURM that runs: partitions cpu (two nodes), gpu (two fake GPUs), long, debug (one minute at most)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": search_path()}

    def call(self, verb: str) -> None:
        """Call minislurm.sh; an error carries what it said."""
        done = subprocess.run(
            ["bash", str(SCRIPT), verb, str(self.folder)],
            env={**self.environment, "MINI_MINJOBAGE": os.environ.get("MINI_MINJOBAGE", "600")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"minislurm.sh {verb}: {done.stderr}")

    def run(
        self, *command: str, environment: Mapping[str, str] | None = None, timeout: float = 120.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with this cluster's SLURM_CONF; return what it said."""
        done = subprocess.run(
            command,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def cancel_all(self) -> None:
        """Cancel every job, so that the next test finds an idle cluster."""
        jobs = self.run("squeue", "-h", "-o", "%A", check=False).stdout.split()
        if jobs:
            self.run("scancel", *sorted(set(jobs)), check=False)


def search_path() -> str:
    """PATH with this environment's commands first, and /usr/sbin, where Debian puts slurmctld."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"])
