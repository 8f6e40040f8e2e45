"""FireWorks workers on this machine: started together, monitored, and stopped by their process ids."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from launchers.workers.worker import LOST_DATABASE

logger = logging.getLogger(__name__)

_MODULE = "launchers.workers.worker"
_STOP_TIMEOUT_S = 10.0
#: Deaths of workers within a minute that show that they cannot work here at all.
_MOST_DEATHS = 10
_DEATHS_WITHIN_S = 60.0


class WorkersDieError(RuntimeError):
    """Workers end as soon as they are started."""


def workers_of_others(launchpad_file: Path, query: Mapping[str, Any]) -> dict[int, int]:
    """Return the number of such workers that other processes of this machine have started, by process id."""
    wanted = {"--launchpad": str(launchpad_file.resolve()), "--query": json.dumps(query)}
    found: Counter[int] = Counter()
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if _MODULE not in command:
            continue
        options = dict(pairwise(command))
        if wanted.items() <= options.items() and options.get("--parent") != str(os.getpid()):
            found[int(options["--parent"])] += 1
    return dict(found)


class LocalWorkers:
    """Worker processes of one machine, as a context manager that ends exactly those it started.

    Parameters
    ----------
    launchpad_file
        Path of my_launchpad.yaml.
    directory
        Folder for launch directories and the workers' logs; it is created.
    query
        MongoDB filter of the fireworks that they take.
    environment
        Variables set for the workers in addition to this process's own.
    """

    def __init__(
        self,
        launchpad_file: Path,
        directory: Path,
        *,
        query: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.launchpad_file = launchpad_file.resolve()
        self.directory = directory.resolve()
        self.query = query
        self.environment = {
            **os.environ,
            # one calculation per worker, one thread per calculation
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
            **(environment or {}),
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self._started = 0
        self._deaths: deque[float] = deque(maxlen=_MOST_DEATHS)

    def start(self, number: int) -> None:
        """Start this many more workers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", _MODULE),
            *("--launchpad", str(self.launchpad_file)),
            *("--directory", str(self.directory)),
            *("--parent", str(os.getpid())),
        ]
        if self.query is not None:
            command += ["--query", json.dumps(self.query)]
        for _ in range(number):
            self._started += 1
            log = self._log(self._started)
            with log.open("ab") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                    cwd=self.directory,
                    # Ctrl-C in the terminal is for the runner, which then ends the workers
                    start_new_session=True,
                )
            self.processes.append(process)

    def _log(self, number: int) -> Path:
        # two runs of one campaign may share the folder
        return self.directory / f"worker-{os.getpid()}-{number}.log"

    def replace_dead(self) -> int:
        """Start a new worker for each that has ended; return how many were replaced.

        Raises
        ------
        WorkersDieError
            If they keep ending; names the newest log.
        """
        dead = [process for process in self.processes if process.poll() is not None]
        for process in dead:
            logger.warning("worker %d ended with code %s; starting another", process.pid, process.returncode)
            self.processes.remove(process)
            if process.returncode != LOST_DATABASE:  # an outage ends many; new ones wait for it
                self._deaths.append(time.monotonic())
        if len(self._deaths) == _MOST_DEATHS and self._deaths[-1] - self._deaths[0] < _DEATHS_WITHIN_S:
            raise WorkersDieError(
                f"{_MOST_DEATHS} workers ended within {self._deaths[-1] - self._deaths[0]:.0f} s; the reason is in "
                f"{self._log(self._started)}"
            )
        self.start(len(dead))
        return len(dead)

    def stop(self) -> None:
        """Stop the workers and their calculations, and wait until they are gone."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def __enter__(self) -> LocalWorkers:
        """Return the (still empty) group of workers."""
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
