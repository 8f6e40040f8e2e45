"""Reserved fireworks that will not run: their job is gone, or their process died while taking them."""

import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fireworks import LaunchPad

from campaign.attempts.ledger import close_open_attempt
from campaign.recovery.firework_repairs import end, run_again
from campaign.recovery.liveness import cause_of, jobs_of
from campaign.recovery.reconcile_report import ReconcileReport
from campaign.store.attempts import count_lost_attempts
from campaign.store.campaigns import OpenCampaign
from campaign.store.fireworks import fireworks_in_state, latest_launches, launch_since, updated
from launchers.scheduler.job_state import JobState
from launchers.scheduler.jobs import Job, job_states
from launchers.workers.process_identity import is_alive
from launchers.workers.worker import process_of

#: Taking a firework takes about 10 ms; one half taken for this long was left by a killed process.
_STALE_CHECKOUT = timedelta(seconds=60)
#: qlaunch reserves, submits, and then writes the job's id; sbatch may be slow.
_STALE_SUBMISSION = timedelta(minutes=10)


def free_reservations(campaign: OpenCampaign, max_retries: int, done: ReconcileReport, *, dry_run: bool) -> None:
    """Make reserved fireworks ready whose job or process is gone.

    A job that ended before its firework started (no environment, no executable, no database) counts as a lost try.
    After `max_retries` of these the firework is marked as fizzled, to avoid submitting it forever.
    """
    fields = ["fw_id", "launches", "updated_on", "spec.worker", "spec.stage", "spec.document"]
    reserved = fireworks_in_state(campaign.launchpad, campaign.name, "RESERVED", fields)
    launches = latest_launches(campaign.launchpad, reserved)
    jobs = jobs_of(reserved, launches)
    said = job_states(list(jobs.values()))
    for firework in reserved:
        fw_id, seen = firework["fw_id"], {"state": "RESERVED", "launches": firework["launches"]}
        job = jobs.get(fw_id)
        if not firework["launches"]:
            if is_half_taken(campaign.launchpad, firework) and (
                dry_run or run_again(campaign.launchpad, fw_id, **seen)
            ):
                done.half_checked_out.append(fw_id)
        elif job is None:
            if _age(firework) > _STALE_SUBMISSION and (dry_run or run_again(campaign.launchpad, fw_id, **seen)):
                done.unreserved.append(fw_id)
                done.why[fw_id] = "never submitted"
        elif job not in said:
            done.unknown.append(fw_id)
            if job.host == socket.gethostname() and _age(firework) > _STALE_SUBMISSION:
                done.unanswered[fw_id] = job.job_id
        elif said[job].phase == "ended":
            _free(campaign, firework, job, said[job], max_retries, done, dry_run=dry_run)


def _free(
    campaign: OpenCampaign,
    firework: Mapping[str, Any],
    job: Job,
    said: JobState,
    max_retries: int,
    done: ReconcileReport,
    *,
    dry_run: bool,
) -> None:
    fw_id, seen = firework["fw_id"], {"state": "RESERVED", "launches": firework["launches"]}
    cause = cause_of(said, otherwise="not_started")
    if not dry_run:
        counts = cause not in ("cancelled", "preempted")
        error = f"job {job.job_id} ended before the firework began ({said.text}); its output is in {job.directory}"
        over = counts and count_lost_attempts(campaign.store, fw_id) >= max_retries
        if over and not end(campaign.launchpad, fw_id, **seen, as_state="FIZZLED", reason=error):
            return
        if not over and not run_again(campaign.launchpad, fw_id, **seen):
            return
        if counts:
            facts = {"cause": cause, "error": error, "directory": job.directory, "job_id": job.job_id}
            close_open_attempt(campaign.store, firework, campaign=campaign.name, outcome="lost", facts=facts)
    done.unreserved.append(fw_id)
    done.why[fw_id] = f"job {job.job_id}: {said.description}"


def _age(firework: Mapping[str, Any]) -> timedelta:
    return datetime.now(UTC) - updated(firework)


def is_half_taken(launchpad: LaunchPad, firework: Mapping[str, Any]) -> bool:
    """Whether a firework was left RESERVED without a launch; a queue's reservation has one."""
    # the launch is written before the firework is updated, so its process may be known
    launch = launch_since(launchpad, firework["fw_id"], updated(firework).isoformat())
    process = process_of(launch["fworker"]["name"]) if launch is not None else None
    gone = process is not None and is_alive(process) is False
    return gone or _age(firework) > _STALE_CHECKOUT
