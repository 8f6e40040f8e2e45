"""The state of one job, in the same words for every scheduler."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Phase = Literal["pending", "running", "ended"]
Ending = Literal["completed", "failed", "cancelled", "timeout", "out_of_memory", "node_fail", "preempted"]


@dataclass(frozen=True, kw_only=True)
class JobState:
    """What a scheduler says of one job.

    Attributes
    ----------
    job_id
        The scheduler's id, without the name of its server.
    phase
        Waits, runs, or has ended.
    ending
        How it ended; None before that, or where the scheduler does not say.
    restarts
        How often the scheduler has put it back into the queue; None if not reported.
    started, ended
        Times in UTC; `ended` of a running job is when its time limit is reached.
    time_limit_s
        Its time limit, s.
    memory_mb, memory_per
        The memory that it asked for, in MiB, for each node or for each CPU.
    exit_code
        As the scheduler writes it.
    partition
        Partition or queue.
    directory
        Where it was submitted.
    is_ending
        It counts as running in the scheduler, but its processes are being stopped.
    source
        The command with this answer. text Its answer, for people.
    """

    job_id: str
    phase: Phase
    ending: Ending | None = None
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
        """The state in words: ``ended (timeout)``."""
        return self.phase if self.ending is None else f"{self.phase} ({self.ending})"
