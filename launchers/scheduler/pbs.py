"""PBS queried for many jobs together: ``qstat -x -f`` (PBS Pro, with its history), else ``qstat -f``."""

import os
from collections.abc import Iterable

from launchers.scheduler.command import TIMEOUT_S, answer, failure
from launchers.scheduler.job_state import JobState
from launchers.scheduler.pbs_output import parse_qstat, without_server
from launchers.scheduler.slurm_output import chunks

_AT_ONCE = 200


class Pbs:
    """The PBS of this machine's commands, each limited to ``timeout_s`` seconds."""

    name = "pbs"

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    def cluster(self) -> str | None:
        """Return the name of the server if PBS_DEFAULT or PBS_SERVER is set."""
        return os.environ.get("PBS_DEFAULT") or os.environ.get("PBS_SERVER")

    def states(self, job_ids: Iterable[str]) -> dict[str, JobState]:
        """Return the state of every job that PBS reports; a missing job is unknown, not ended."""
        wanted = sorted({without_server(job_id) for job_id in job_ids})
        found: dict[str, JobState] = {}
        for ids in chunks(wanted, _AT_ONCE):
            for options in (("-x", "-f"), ("-f",)):
                missing = [job_id for job_id in ids if job_id not in found]
                if missing:
                    found |= self._ask(*options, ids=missing)
            # one unknown id makes qstat fail for all of them
            for job_id in [job_id for job_id in ids if job_id not in found] if len(ids) > 1 else []:
                found |= self._ask("-f", ids=[job_id])
        return found

    def cancel(self, job_id: str) -> str | None:
        """Cancel a job; return why that failed, or None."""
        return failure(("qdel", job_id), timeout_s=self._timeout_s)

    def details(self, job_id: str) -> dict[str, JobState]:
        """Return the state of one job by its id."""
        return self.states([job_id])

    def longest_time_s(self, partition: str | None) -> float | None:
        """Return None: PBS keeps limits in too many places to determine a queue's time limit."""
        return None

    def _ask(self, *options: str, ids: list[str]) -> dict[str, JobState]:
        said = answer(("qstat", *options, *ids), timeout_s=self._timeout_s)
        states = parse_qstat(said or "")
        return {job_id: states[job_id] for job_id in ids if job_id in states}
