"""Batch jobs as recorded in fireworks, and their state in the schedulers of this machine."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from launchers.scheduler.job_state import JobState
from launchers.scheduler.pbs import Pbs
from launchers.scheduler.slurm import Slurm
from launchers.scheduler.this_job import scheduler as the_scheduler

#: Each needs a call of scontrol.
_MOST_FORGOTTEN = 50


@dataclass(frozen=True, kw_only=True)
class Job:
    """The batch job that a launch belongs to.

    Attributes
    ----------
    scheduler
        ``slurm`` or ``pbs``; None for the one whose commands are available.
    cluster
        Name of the cluster as known in the job, or None.
    job_id
        The scheduler's id.
    restarts
        Number of times the job had been requeued when the process started; None if unknown or not started.
    began
        When the process started (UTC), or None.
    directory
        Folder in which the job was submitted, for a reservation, or None.
    submitted, host
        When and from which host it was submitted, for a reservation, or None.
    """

    scheduler: str | None
    cluster: str | None
    job_id: str
    restarts: int | None = None
    began: datetime | None = None
    directory: str | None = None
    submitted: datetime | None = None
    host: str | None = None


def job_states(jobs: Sequence[Job]) -> dict[Job, JobState]:
    """Return the states reported by this machine's schedulers; unknown jobs, e.g. of another cluster, are left out."""
    found: dict[Job, JobState] = {}
    for name in sorted({job.scheduler for job in jobs}, key=str):
        scheduler = the_scheduler(name)
        if scheduler is None:
            continue
        known = _of_this_cluster(scheduler, [job for job in jobs if job.scheduler == name])
        states = scheduler.states(job.job_id for job in known)
        found |= {job: states[job.job_id] for job in known if job.job_id in states and _is_same(job, states)}
        if isinstance(scheduler, Slurm):
            found |= _forgotten(scheduler, [job for job in known if job.job_id not in states])
    return found


def cancel_jobs(jobs: Sequence[Job]) -> dict[Job, str | None]:
    """Cancel the jobs that this machine's schedulers know and that have not ended.

    Returns
    -------
    dict
        Why each job could not be cancelled, or None if it was; unknown jobs are left out.
    """
    done: dict[Job, str | None] = {}
    for job, state in job_states(jobs).items():
        scheduler = the_scheduler(job.scheduler)
        if scheduler is not None and state.phase != "ended":
            done[job] = scheduler.cancel(job.job_id)
    return done


def _forgotten(slurm: Slurm, jobs: Sequence[Job]) -> dict[Job, JobState]:
    """Return states of this cluster's jobs whose controller reports that they no longer exist."""
    since = {job: began for job in jobs if (began := _known_since(job)) is not None}
    return {
        job: JobState(job_id=job.job_id, phase="ended", source="scontrol", text="the controller has forgotten it")
        for job, began in list(since.items())[:_MOST_FORGOTTEN]
        if slurm.forgotten(job.job_id, began=began)
    }


def _known_since(job: Job) -> datetime | None:
    """Return when a job ran on this cluster, or was submitted from this host; None if its cluster is unknown."""
    if job.began is not None:
        return job.began if job.cluster is not None else None
    return job.submitted if job.host == socket.gethostname() else None


def _of_this_cluster(scheduler: Slurm | Pbs, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs of this cluster; job ids of other clusters also start from 1."""
    if all(job.cluster is None for job in jobs):
        return list(jobs)
    here = scheduler.cluster()
    known = {None, here}
    if isinstance(scheduler, Slurm) and any(job.cluster not in known for job in jobs):
        known |= scheduler.clusters()
    return [job for job in jobs if job.cluster in known]


def _is_same(job: Job, states: Mapping[str, JobState]) -> bool:
    """Whether a reservation's job is the one submitted in its launch directory."""
    directory = states[job.job_id].directory
    # only the names: a path may go through a link
    return None in (job.directory, directory) or PurePath(str(job.directory)).name == PurePath(str(directory)).name
