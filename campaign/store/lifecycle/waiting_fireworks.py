"""Withholding waiting fireworks from workers, and giving them back: pausing and archiving in bulk."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.collections import in_chunks, now

_CHUNK = 500
#: Calculations, and fireworks that run a step; recording fireworks are neither.
CALCULATION = {"spec.stage": {"$exists": True}, "spec._allow_fizzled_parents": {"$exists": False}}
STEP = {"spec.step": {"$exists": True}}
_PAUSED = "spec.paused_by_stop"
_ARCHIVED = "spec.archived_from"
#: States of fireworks that archiving hides from workers; finished ones are unchanged.
_ARCHIVABLE = ("READY", "PAUSED", "DEFUSED", "WAITING")


def pause_waiting(campaign: Campaign, *kinds: Mapping[str, Any]) -> int:
    """Pause all waiting fireworks of these kinds, like `lpad pause_fws`; return their number.

    They are marked so that `resume_waiting` resumes only these. A queued job checks for itself whether its campaign is
    stopped.
    """
    ready = {"spec.campaign_name": campaign.name, "state": "READY", "$or": list(kinds)}
    return _change(campaign, ready, to="PAUSED", update={"$set": {_PAUSED: True}})


def resume_waiting(campaign: Campaign) -> int:
    """Make fireworks paused by `pause_waiting` ready again; return their number."""
    paused = {"spec.campaign_name": campaign.name, "state": "PAUSED", _PAUSED: True}
    return _change(campaign, paused, to="READY", update={"$unset": {_PAUSED: ""}})


def archive_waiting(campaign: Campaign) -> int:
    """Archive all fireworks that have not ended and do not run; return their number."""
    of_campaign = {"spec.campaign_name": campaign.name}
    return sum(
        _change(campaign, {**of_campaign, "state": state}, to="ARCHIVED", update={"$set": {_ARCHIVED: state}})
        for state in _ARCHIVABLE
    )


def restore_archived(campaign: Campaign) -> int:
    """Restore the states that `archive_waiting` replaced; return the number of fireworks."""
    archived = {"spec.campaign_name": campaign.name, "state": "ARCHIVED"}
    # dependent fireworks first, so that the workflow ends up with the state of the other one
    return sum(
        _change(campaign, {**archived, _ARCHIVED: state}, to=state, update={"$unset": {_ARCHIVED: ""}})
        for state in reversed(_ARCHIVABLE)
    )


def _change(campaign: Campaign, query: Mapping[str, Any], *, to: str, update: Mapping[str, Any]) -> int:
    """Change the state of matching fireworks and in their workflows, one transaction per chunk."""
    store = campaign.store
    found = store.database["fireworks"].find(query, ["fw_id"])
    return sum(
        store.in_transaction(_writer(campaign, query, chunk, to=to, update=update))
        for chunk in in_chunks([firework["fw_id"] for firework in found], _CHUNK)
    )


def _writer(
    campaign: Campaign, query: Mapping[str, Any], fw_ids: Sequence[int], *, to: str, update: Mapping[str, Any]
) -> Callable[[ClientSession], int]:
    fireworks, workflows = (campaign.store.database[name] for name in ("fireworks", "workflows"))
    dated = {**update, "$set": {**update.get("$set", {}), "state": to, "updated_on": now().isoformat()}}

    def write(session: ClientSession) -> int:
        # only if no worker has started it meanwhile
        mine = {**query, "fw_id": {"$in": list(fw_ids)}}
        ids = [firework["fw_id"] for firework in fireworks.find(mine, ["fw_id"], session=session)]
        if not ids:
            return 0
        changed = fireworks.update_many({"fw_id": {"$in": ids}}, dated, session=session).modified_count
        of_workflow: dict[str, Any] = {"updated_on": now(), **({} if to == "WAITING" else {"state": to})}
        workflows.bulk_write(
            [UpdateOne({"nodes": fw_id}, {"$set": {f"fw_states.{fw_id}": to, **of_workflow}}) for fw_id in ids],
            ordered=False,
            session=session,
        )
        return int(changed)

    return write
