"""More time or memory for a calculation that ran out of it (`retries.time_factor`, `retries.memory_factor`)."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from campaign.spec.sections.retries import RetrySection
from launchers.scheduler.job_state import JobState
from launchers.scheduler.jobs import Job, job_states
from launchers.scheduler.slurm_output import megabytes, seconds
from launchers.scheduler.this_job import scheduler as the_scheduler

logger = logging.getLogger(__name__)


def escalated_resources(
    cause: str | None, job: Job | None, said: JobState | None, retries: RetrySection, *, asked: Mapping[str, str]
) -> dict[str, str]:
    """Return the resources of the next job, in the terms of FireWorks' queue-adapter templates.

    Parameters
    ----------
    cause
        Why the last one ended; only ``timeout`` and ``out_of_memory`` need more.
    job, said
        The job, and its state from the scheduler.
    asked
        Resources requested by the firework so far (``_queueadapter``).

    Returns
    -------
    dict
        ``walltime``, or ``mem``, ``mem_per_cpu`` or ``pmem`` (as for the job); empty if the job's resources are
        unknown, or its partition allows no more.
    """
    if cause not in ("timeout", "out_of_memory") or job is None:
        return {}
    scheduler = the_scheduler(job.scheduler)
    if cause == "timeout":
        had = (said.time_limit_s if said is not None else None) or seconds(asked.get("walltime", ""))
        if had is None:
            logger.warning(
                "job %s ran out of time; its time limit is unknown, so the next job gets the same", job.job_id
            )
            return {}
        longest = None if scheduler is None or said is None else scheduler.longest_time_s(said.partition)
        wanted = min(had * retries.time_factor, longest or math.inf)
        return {"walltime": clock(wanted)} if wanted > had else {}
    if said is not None and said.memory_mb is None and scheduler is not None:
        said = scheduler.details(job.job_id).get(job.job_id, said)
    memory = said.memory_mb if said is not None else None
    per = said.memory_per if said is not None else None
    if memory is None:
        memory = megabytes(asked.get("mem", ""))
    if memory is None:
        logger.warning("job %s ran out of memory; its memory is unknown, so the next job gets the same", job.job_id)
        return {}
    wanted_mb = math.ceil(memory * retries.memory_factor)
    if scheduler is not None and scheduler.name == "pbs":
        return {"pmem" if per == "cpu" else "mem": f"{wanted_mb}mb"}
    return {"mem_per_cpu" if per == "cpu" else "mem": f"{wanted_mb}M"}


def escalated_for_attempt(
    attempt: Mapping[str, Any], retries: RetrySection, *, asked: Mapping[str, str]
) -> dict[str, str]:
    """Return the resources after an attempt that itself recorded in the ledger that it ran out of time or memory."""
    if attempt.get("cause") not in ("timeout", "out_of_memory") or not attempt.get("job_id"):
        return {}
    job = Job(scheduler=attempt["scheduler"], cluster=attempt.get("cluster"), job_id=attempt["job_id"])
    return escalated_resources(attempt["cause"], job, job_states([job]).get(job), retries, asked=asked)


def clock(time_s: float) -> str:
    """Format a time as ``HH:MM:SS``, possibly with more than 24 hours, which SLURM and PBS both accept."""
    minutes, secs = divmod(math.ceil(time_s), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{secs:02d}"
