"""Running fireworks whose process or job is gone: rerun, returned to their job, or completed with their results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from campaign.attempts.escalation import escalated_resources
from campaign.attempts.ledger import close_open_attempt
from campaign.recovery.firework_repairs import end, reserve_again, run_again
from campaign.recovery.liveness import Liveness, liveness_of, reservation_id
from campaign.recovery.orphaned_results import has_results, is_recorded
from campaign.recovery.processes import is_silent
from campaign.recovery.reconcile_report import ReconcileReport
from campaign.store.attempts import Outcome, count_lost_attempts, request_resources
from campaign.store.campaigns import OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import fireworks_marked_running, latest_launches, refresh_workflow
from campaign.store.states import STAGES
from workflows.engine_ending import is_of_cancelled_job

_FIELDS = ["fw_id", "launches", "spec.worker", "spec.stage", "spec.document", "spec._queueadapter"]
_FIELDS += ["spec._allow_fizzled_parents"]


def end_lost(campaign: OpenCampaign, outcome: Outcome, done: ReconcileReport, *, dry_run: bool) -> None:
    """Repair running fireworks whose process is gone; those that repeatedly lose it are marked as fizzled."""
    running = fireworks_marked_running(campaign.launchpad, campaign.name, _FIELDS)
    launches = latest_launches(campaign.launchpad, running)
    found = liveness_of(running, launches)
    for firework in running:
        fw_id, launch = firework["fw_id"], launches.get(firework["fw_id"])
        where = found[fw_id]
        if where.alive is None and where.job_state is None and launch is not None and is_silent(launch):
            done.unknown.append(fw_id)
        if where.alive is not False:
            continue
        if launch is not None and launch["state"] != "RUNNING":
            # it finished, and its process died before the firework was updated
            if not dry_run:
                refresh_workflow(campaign.launchpad, fw_id)
            continue
        _repair(campaign, firework, where, launch, outcome, done, dry_run=dry_run)


def _repair(
    campaign: OpenCampaign,
    firework: Mapping[str, Any],
    where: Liveness,
    launch: Mapping[str, Any] | None,
    outcome: Outcome,
    done: ReconcileReport,
    *,
    dry_run: bool,
) -> None:
    fw_id, launches = firework["fw_id"], firework["launches"]
    seen = {"state": "RUNNING", "launches": launches}
    facts: dict[str, Any] = {"cause": _cause(where, launch)}
    if where.job is not None:
        facts |= {"job_id": where.job.job_id, "scheduler": where.job.scheduler}
        said = _format_end(where, facts["cause"])
        done.why[fw_id] = f"job {where.job.job_id}: {said}"
        if facts["cause"] == "cancelled":
            facts["error"] = done.why[fw_id]
    if has_results(campaign.store, firework):
        kind, outcome = done.completed, "completed"
        changed = dry_run or end(campaign.launchpad, fw_id, **seen, as_state="COMPLETED")
    elif is_recorded(campaign.store, firework):
        # its process was killed between recording the failure and updating FireWorks: it must not run again
        kind, done.why[fw_id] = done.completed, "its failure is recorded"
        changed = dry_run or end(campaign.launchpad, fw_id, **seen, as_state="FIZZLED")
    elif where.cause == "requeued" and where.job is not None and reservation_id(launch) == where.job.job_id:
        kind = done.requeued
        folder = where.job_state.directory if where.job_state is not None else None
        changed = dry_run or reserve_again(campaign.launchpad, fw_id, launches=launches, directory=folder)
    elif (
        where.cause in ("requeued", "preempted")
        or count_lost_attempts(campaign.store, fw_id) < campaign.spec.retries.max_retries
    ):
        kind = done.lost
        asked = (firework.get("spec") or {}).get("_queueadapter") or {}
        retries = campaign.spec.retries
        queue = {} if dry_run else escalated_resources(where.cause, where.job, where.job_state, retries, asked=asked)
        changed = dry_run or run_again(campaign.launchpad, fw_id, **seen, queue=queue)
        if queue and changed:
            facts["more"] = queue
            _note_on_document(campaign.store, firework, queue)
            done.why[fw_id] = f"{done.why[fw_id]}; next: {', '.join(f'{key} {queue[key]}' for key in queue)}"
    else:
        kind = done.lost
        changed = dry_run or end(campaign.launchpad, fw_id, **seen, as_state="FIZZLED")
    if not changed:
        return  # another process came first
    if not dry_run:
        # only the process that changed it writes the ledger, so that it is counted once
        close_open_attempt(
            campaign.store, firework, campaign=campaign.name, outcome=outcome, launch=launch, facts=facts
        )
    kind.append(fw_id)


def _cause(where: Liveness, launch: Mapping[str, Any] | None) -> str | None:
    """Return why a process ended; a scheduler that keeps no records may have told the job itself."""
    folder = (launch or {}).get("launch_dir")
    if where.cause == "killed" and where.job is not None and folder and is_of_cancelled_job(Path(folder)):
        return "cancelled"
    return where.cause


def _format_end(where: Liveness, cause: str | None) -> str:
    """Format how a job ended, or its process if the job runs or is unknown."""
    state = where.job_state
    if cause in ("cancelled", "requeued") and (state is None or state.ending is None):
        return cause
    return state.description if state is not None and state.phase == "ended" else "its process is gone"


def _note_on_document(store: CampaignStore, firework: Mapping[str, Any], queue: Mapping[str, str]) -> None:
    """Store the resources for later workflows of the same calculation."""
    spec = firework["spec"]
    stage = STAGES.get(spec.get("stage") or "")
    if stage is not None and spec.get("document") is not None:
        request_resources(store, spec["document"], stage, fw_id=firework["fw_id"], queue=queue)
