"""Workflows that stand still although nothing of them runs: left locked, not told of an end, or fizzled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from campaign.recovery.firework_repairs import run_again
from campaign.recovery.processes import fizzled_query
from campaign.store.campaigns import OpenCampaign

if TYPE_CHECKING:
    from fireworks import LaunchPad

_CHUNK = 5000
#: A FireWorks lock lives for milliseconds; one that stays this long belongs to nobody.
_STALE_LOCK_S = 3.0


def unlock_stale(launchpad: LaunchPad, name: str, *, dry_run: bool = False) -> list[int]:
    """Take locks away that stay unchanged: their process was killed while it wrote."""
    query = {"metadata.campaign": name, "locked": {"$exists": True}}
    before = {found["_id"]: found for found in launchpad.workflows.find(query, ["nodes", "updated_on"])}
    if not before:
        return []
    time.sleep(_STALE_LOCK_S)
    unlocked: list[int] = []
    for workflow_id, found in before.items():
        # still locked and not written to since: nobody is at work on it
        unchanged = {"_id": workflow_id, "locked": {"$exists": True}, "updated_on": found["updated_on"]}
        first = min(found["nodes"])
        if dry_run:
            if launchpad.workflows.find_one(unchanged, ["_id"]) is not None:
                unlocked.append(first)
        elif launchpad.workflows.find_one_and_update(unchanged, {"$unset": {"locked": True}}) is not None:
            unlocked.append(first)
            launchpad._refresh_wf(first)  # what `lpad admin refresh` calls
    return unlocked


def rerun_fizzled(campaign: OpenCampaign, max_retries: int, *, dry_run: bool = False) -> list[int]:
    """Run recording fireworks and steps again; a calculation that fizzled is its recorder's business."""
    retried: list[int] = []
    for firework in list(
        campaign.launchpad.fireworks.find(fizzled_query(campaign.name), ["fw_id", "launches", "archived_launches"])
    ):
        fw_id, launches = firework["fw_id"], firework["launches"]
        failed = {"fw_id": fw_id, "outcome": {"$in": ["science", "machine", "lost"]}}
        # a step keeps a ledger; what merely records has its launches alone
        tries = campaign.store.attempts.count_documents(failed) or len(firework.get("archived_launches") or []) + 1
        if tries <= max_retries and (
            dry_run or run_again(campaign.launchpad, fw_id, state="FIZZLED", launches=launches)
        ):
            retried.append(fw_id)
    return retried


def refresh_waiting(launchpad: LaunchPad, name: str, *, dry_run: bool = False) -> list[int]:
    """Let FireWorks look again at recording fireworks that wait although their calculation has ended."""
    waiting = launchpad.fireworks.distinct("fw_id", {"spec.campaign_name": name, "state": "WAITING"})
    refreshed: list[int] = []
    for start in range(0, len(waiting), _CHUNK):
        # a workflow's calculation has the id before that of the firework that records it (stage_workflow)
        parents = [fw_id - 1 for fw_id in waiting[start : start + _CHUNK]]
        ended = {"fw_id": {"$in": parents}, "state": {"$in": ["COMPLETED", "FIZZLED"]}}
        for parent in list(launchpad.fireworks.find(ended, ["fw_id"])):
            if not dry_run:
                launchpad._refresh_wf(parent["fw_id"])  # what `lpad admin refresh` calls
            refreshed.append(parent["fw_id"] + 1)
    return refreshed
