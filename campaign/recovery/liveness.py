"""Location and liveness of running fireworks, from processes on this machine or their jobs' scheduler."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from campaign.recovery.processes import announced, is_running_here, is_silent
from campaign.store.collections import in_utc
from launchers.scheduler.job_state import JobState
from launchers.scheduler.jobs import Job, job_states

logger = logging.getLogger(__name__)

#: Clock difference between compute nodes and the controller.
_CLOCK_SKEW = timedelta(seconds=60)
#: Ends of a job recorded as the cause in the ledger; a process that its job outlived was killed.
_CAUSES = ("cancelled", "timeout", "out_of_memory", "node_fail", "preempted")


@dataclass(frozen=True, kw_only=True)
class Liveness:
    """Whether the process of a firework's latest launch still runs.

    Attributes
    ----------
    alive
        Whether it runs; None if unknown.
    cause
        Why its process ended, from its scheduler (`cause_of`, ``requeued``) or otherwise ``killed``.
    job
        The batch job of the process.
    job_state
        State of that job according to its scheduler; None if the scheduler does not know the job.
    """

    alive: bool | None
    cause: str | None = None
    job: Job | None = None
    job_state: JobState | None = None


def job_of(firework: Mapping[str, Any], launch: Mapping[str, Any] | None) -> Job | None:
    """Return the job of a firework's latest launch: as stated by its process, otherwise that of the reservation."""
    said = announced(firework) if firework["launches"] else None
    if said is not None:
        if "job_id" not in said:
            return None  # it runs outside any job
        return Job(
            scheduler=said["scheduler"],
            cluster=said.get("cluster"),
            job_id=said["job_id"],
            restarts=said.get("restarts"),
            began=datetime.fromtimestamp(said["pid_created"], UTC),
        )
    reservation = reservation_id(launch)
    if launch is None or reservation is None:
        return None
    return Job(
        scheduler=None,
        cluster=None,
        job_id=reservation,
        directory=launch.get("launch_dir"),
        submitted=_reserved_on(launch),
        host=launch.get("host"),
    )


def jobs_of(fireworks: Iterable[Mapping[str, Any]], launches: Mapping[int, Mapping[str, Any]]) -> dict[int, Job]:
    """Return the jobs of the fireworks that have one, by ``fw_id``."""
    found = {firework["fw_id"]: job_of(firework, launches.get(firework["fw_id"])) for firework in fireworks}
    return {fw_id: job for fw_id, job in found.items() if job is not None}


def cause_of(said: JobState, *, otherwise: str) -> str:
    """Return the outcome of a job in the ledger's terms."""
    return said.ending if said.ending in _CAUSES else otherwise


def reservation_id(launch: Mapping[str, Any] | None) -> str | None:
    """Return the job id that `qlaunch -r` wrote into a launch."""
    for entry in reversed((launch or {}).get("state_history") or []):
        if entry.get("reservation_id"):
            return str(entry["reservation_id"])
    return None


def _reserved_on(launch: Mapping[str, Any]) -> datetime | None:
    for entry in launch.get("state_history") or []:
        if entry.get("reservation_id") and (time := entry.get("created_on")):
            return in_utc(datetime.fromisoformat(time) if isinstance(time, str) else time)
    return None


def liveness_of(
    fireworks: Sequence[Mapping[str, Any]], launches: Mapping[int, Mapping[str, Any]]
) -> dict[int, Liveness]:
    """Determine for many running fireworks whether their processes still run.

    Parameters
    ----------
    fireworks
        Documents with ``fw_id``, ``launches`` and ``spec.worker``.
    launches
        Their latest launches (`campaign.store.fireworks.latest_launches`).

    Returns
    -------
    dict
        Result by ``fw_id``.
    """
    here = {found["fw_id"]: is_running_here(found, launches.get(found["fw_id"])) for found in fireworks}
    jobs = jobs_of((found for found in fireworks if here[found["fw_id"]] is not True), launches)
    said = job_states(list(jobs.values()))
    result = {}
    for firework in fireworks:
        fw_id = firework["fw_id"]
        job = jobs.get(fw_id)
        told = said.get(job) if job is not None else None
        alive, cause = _conclude(here[fw_id], job, told, launches.get(fw_id))
        result[fw_id] = Liveness(alive=alive, cause=cause, job=job, job_state=told)
    return result


def _conclude(
    here: bool | None, job: Job | None, said: JobState | None, launch: Mapping[str, Any] | None
) -> tuple[bool | None, str | None]:
    """Return whether a process exists and, if not, why it ended."""
    unheard = here, "killed" if here is False else None
    if here is True or job is None or said is None:
        return unheard
    if said.is_ending:
        # how the job ends will be known shortly, and determines whether it needs more time
        return None, None
    if _was_put_back(job, said):
        return False, "requeued"
    if said.phase == "ended" and _ended_after(job, said):
        if job.began is None and (launch is None or not is_silent(launch)):
            return None, None  # it has just started and may still identify itself
        return False, cause_of(said, otherwise="killed")
    return unheard


def _was_put_back(job: Job, said: JobState) -> bool:
    """Whether the scheduler has requeued a job since the process started."""
    if job.began is None or said.phase == "ended":
        return False
    if said.phase == "pending":
        return True
    if job.restarts is not None and said.restarts is not None:
        return said.restarts > job.restarts
    return said.started is not None and said.started > job.began + _CLOCK_SKEW


def _ended_after(job: Job, said: JobState) -> bool:
    """Whether this run of a job has ended; the scheduler's record may be of an earlier run."""
    return job.began is None or said.ended is None or said.ended >= job.began - timedelta(seconds=5)
