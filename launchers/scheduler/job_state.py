"""The state of a job, in the same terms for every scheduler."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Phase = Literal["pending", "running", "ended"]
Ending = Literal["completed", "failed", "cancelled", "timeout", "out_of_memory", "node_fail", "preempted"]


@dataclass(frozen=True, kw_only=True)
class JobState:
    """State of a job as reported by a scheduler.

    Attributes
    ----------
    job_id
        The scheduler's id, without the name of its server.
    phase
        Waiting, running or ended.
    ending
        How it ended; None before that, or if not reported.
    cancelled_by
        Name of the user who cancelled it; None if not reported.
    restarts
        Number of times the scheduler has requeued it; None if not reported.
    started, ended
        Times in UTC; `ended` of a running job is when its time limit is reached.
    time_limit_s
        Its time limit, s.
    memory_mb, memory_per
        Requested memory in MiB, per node or per CPU.
    exit_code
        As written by the scheduler.
    partition
        Partition or queue.
    directory
        Folder in which it was submitted.
    is_ending
        Whether it counts as running while its processes are being stopped.
    source
        The command that gave this answer.
    text
        Its answer, for people.
    """

    job_id: str
    phase: Phase
    ending: Ending | None = None
    cancelled_by: str | None = None
    restarts: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    time_limit_s: float | None = None
    memory_mb: float | None = None
    memory_per: Literal["node", "cpu"] | None = None
    exit_code: str | None = None
    partition: str | None = None
    directory: str | None = None
    is_ending: bool = False
    source: str = ""
    text: str = ""

    @property
    def description(self) -> str:
        """Return the state in words, e.g. ``ended (timeout)``, ``ended (cancelled) by anna``."""
        by = f" by {self.cancelled_by}" if self.cancelled_by else ""
        return self.phase if self.ending is None else f"{self.phase} ({self.ending}){by}"
