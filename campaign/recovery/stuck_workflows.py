"""Workflows that are stuck although nothing of them runs: locked, not notified of an end, or fizzled."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fireworks import LaunchPad

from campaign.recovery.firework_repairs import defuse_recorder, run_again
from campaign.recovery.orphaned_results import is_recorded
from campaign.recovery.reconcile_report import ReconcileReport
from campaign.store.attempts import count_failed_attempts
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import in_chunks
from campaign.store.fireworks import (
    behind_defused,
    ended_fireworks,
    fizzled_fireworks,
    is_still_locked,
    locked_workflows,
    refresh_workflow,
    unlock_workflow,
    updated,
    waiting_fireworks,
)

_CHUNK = 5000
#: A FireWorks lock lives for milliseconds; one that persists this long has lost its owner.
_STALE_LOCK_S = 3.0
#: Pauses before the tries of a step, which limit their number regardless of ``retries.max_retries``.
_PAUSES = tuple(timedelta(seconds=pause) for pause in (0, 30, 120, 600))


def unlock_stale(launchpad: LaunchPad, name: str, *, dry_run: bool = False) -> list[int]:
    """Remove locks that remain unchanged, whose process was killed; return their fireworks."""
    before = locked_workflows(launchpad, name)
    if not before:
        return []
    time.sleep(_STALE_LOCK_S)
    unlocked: list[int] = []
    for workflow in before:
        # still locked and unchanged: no process is working on it
        first = min(workflow["nodes"])
        if dry_run:
            if is_still_locked(launchpad, workflow):
                unlocked.append(first)
        elif unlock_workflow(launchpad, workflow):
            unlocked.append(first)
            refresh_workflow(launchpad, first)
    return unlocked


def rerun_fizzled(campaign: OpenCampaign, done: ReconcileReport, *, dry_run: bool = False) -> None:
    """Run fizzled recording fireworks and steps again; fizzled calculations are handled by their recorder.

    This is done a few times, each after a longer pause, since a firework that always fails would otherwise be retried
    forever.
    """
    for firework in fizzled_fireworks(campaign.store, campaign.name):
        fw_id, launches = firework["fw_id"], firework["launches"]
        if (due := next_try(campaign, firework)) is None:
            continue
        if due > datetime.now(UTC):
            done.delayed.append(fw_id)
            done.why[fw_id] = f"at {due:%H:%M:%S} UTC"
        elif dry_run or run_again(campaign.launchpad, fw_id, state="FIZZLED", launches=launches):
            done.retried.append(fw_id)


def next_try(campaign: Campaign, firework: Mapping[str, Any]) -> datetime | None:
    """Return when a fizzled recording firework or step runs again (UTC); None if its tries are used up.

    Parameters
    ----------
    firework
        Document with ``fw_id``, ``archived_launches`` and ``updated_on``.
    """
    # a step has a ledger; a recording firework has only its launches
    tries = count_failed_attempts(campaign.store, firework["fw_id"])
    tries = tries or len(firework.get("archived_launches") or []) + 1
    if tries > min(campaign.spec.retries.max_retries, len(_PAUSES)):
        return None
    return updated(firework) + _PAUSES[tries - 1]


def awaits_a_try(campaign: Campaign) -> bool:
    """Whether a fizzled recording firework or step pauses before its next try."""
    tries = (next_try(campaign, firework) for firework in fizzled_fireworks(campaign.store, campaign.name))
    return any(due is not None and due > datetime.now(UTC) for due in tries)


def refresh_waiting(launchpad: LaunchPad, name: str, *, dry_run: bool = False) -> list[int]:
    """Let FireWorks refresh recording fireworks that wait although their calculation has ended; return them."""
    refreshed: list[int] = []
    for waiting in in_chunks(waiting_fireworks(launchpad, name), _CHUNK):
        # the id of a workflow's calculation precedes that of the firework that records it (stage_workflow)
        for parent in ended_fireworks(launchpad, [fw_id - 1 for fw_id in waiting]):
            if not dry_run:
                refresh_workflow(launchpad, parent)
            refreshed.append(parent + 1)
    return refreshed


def defuse_recorders(campaign: OpenCampaign, *, dry_run: bool = False) -> list[int]:
    """Defuse recording fireworks that would wait forever for a defused calculation whose end is recorded.

    ``lpad defuse_fws`` does not end a running process, which records its calculation.
    """
    defused: list[int] = []
    for waiting in in_chunks(waiting_fireworks(campaign.launchpad, campaign.name), _CHUNK):
        for calculation in behind_defused(campaign.launchpad, waiting):
            recorder = calculation["fw_id"] + 1
            if is_recorded(campaign.store, calculation) and (dry_run or defuse_recorder(campaign.launchpad, recorder)):
                defused.append(recorder)
    return defused
