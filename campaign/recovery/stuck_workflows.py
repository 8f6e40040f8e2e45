"""Workflows that stand still although nothing of them runs: left locked, not told of an end, or fizzled."""

import time

from fireworks import LaunchPad

from campaign.recovery.firework_repairs import run_again
from campaign.store.attempts import count_failed_attempts
from campaign.store.campaigns import OpenCampaign
from campaign.store.collections import in_chunks
from campaign.store.fireworks import (
    ended_fireworks,
    fizzled_fireworks,
    is_still_locked,
    locked_workflows,
    refresh_workflow,
    unlock_workflow,
    waiting_fireworks,
)

_CHUNK = 5000
#: A FireWorks lock lives for milliseconds; one that stays this long belongs to nobody.
_STALE_LOCK_S = 3.0


def unlock_stale(launchpad: LaunchPad, name: str, *, dry_run: bool = False) -> list[int]:
    """Take locks away that stay unchanged: their process was killed while it wrote."""
    before = locked_workflows(launchpad, name)
    if not before:
        return []
    time.sleep(_STALE_LOCK_S)
    unlocked: list[int] = []
    for workflow in before:
        # still locked and not written to since: no process is at work on it
        first = min(workflow["nodes"])
        if dry_run:
            if is_still_locked(launchpad, workflow):
                unlocked.append(first)
        elif unlock_workflow(launchpad, workflow):
            unlocked.append(first)
            refresh_workflow(launchpad, first)
    return unlocked


def rerun_fizzled(campaign: OpenCampaign, max_retries: int, *, dry_run: bool = False) -> list[int]:
    """Run recording fireworks and steps again; a calculation that fizzled is its recorder's business."""
    retried: list[int] = []
    for firework in fizzled_fireworks(campaign.launchpad, campaign.name):
        fw_id, launches = firework["fw_id"], firework["launches"]
        # a step keeps a ledger; what merely records has its launches alone
        tries = count_failed_attempts(campaign.store, fw_id) or len(firework.get("archived_launches") or []) + 1
        if tries <= max_retries and (
            dry_run or run_again(campaign.launchpad, fw_id, state="FIZZLED", launches=launches)
        ):
            retried.append(fw_id)
    return retried


def refresh_waiting(launchpad: LaunchPad, name: str, *, dry_run: bool = False) -> list[int]:
    """Let FireWorks look again at recording fireworks that wait although their calculation has ended."""
    refreshed: list[int] = []
    for waiting in in_chunks(waiting_fireworks(launchpad, name), _CHUNK):
        # a workflow's calculation has the id before that of the firework that records it (stage_workflow)
        for parent in ended_fireworks(launchpad, [fw_id - 1 for fw_id in waiting]):
            if not dry_run:
                refresh_workflow(launchpad, parent)
            refreshed.append(parent + 1)
    return refreshed
