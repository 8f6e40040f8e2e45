"""Stopping a campaign from submitting work, after repeated failures or on a person's request."""

from collections.abc import Mapping
from typing import Any

from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.changes.events import record_event, who
from campaign.store.collections import now
from campaign.store.documents import StopDocument, StopKind
from campaign.store.states import CampaignState

_UNFINISHED = {"state": {"$in": [CampaignState.STARTING, CampaignState.RUNNING]}}


def write_stop(campaign: Campaign, stop: StopDocument) -> bool:
    """Stop a campaign whose calculations fail alike; return False if it is already stopped or not running."""
    running = {"state": CampaignState.RUNNING, "stopped": None}
    text = f"{stop['number']} consecutive calculations failed in the same way ({stop['cause']})"
    return _change(campaign, running, {"$set": {"stopped": stop}}, "stopped", text) is not None


def write_pause(campaign: Campaign, kind: StopKind, *, reason: str | None) -> bool:
    """Pause or stop a campaign for a person; return False if it already is, is stopped altogether, or has finished.

    The cause of an earlier stop after failures is kept, since `campaign resume` needs it.
    """
    # a stop includes a pause
    others: dict[str, Any] = {"stopped": None} if kind == "paused" else {"stopped.kind": {"$ne": "stopped"}}
    user = who()
    said = {"kind": kind, "by": f"{user['user']}@{user['host']}", "reason": reason, "time": now()}
    update = {"$set": {f"stopped.{field}": value for field, value in said.items()}}
    return _change(campaign, {**_UNFINISHED, **others}, update, kind, reason) is not None


def end_what_runs(campaign: Campaign) -> None:
    """Tell every `campaign run` of a stopped campaign to terminate running calculations."""
    stopped = {"_id": campaign.name, "stopped.kind": "stopped"}
    campaign.store.campaigns.update_one(stopped, {"$set": {"stopped.ends_running": True}})


def clear_stop(campaign: Campaign) -> StopDocument | None:
    """Let a campaign submit work again; return why it was stopped, or None."""
    update = {"$unset": {"stopped": ""}, "$set": {"resumed": now()}}
    before = _change(campaign, {"stopped": {"$ne": None}}, update, "resumed")
    return None if before is None else before["stopped"]


def write_archived(campaign: Campaign) -> bool:
    """Hide a campaign; return False if it is already hidden."""
    return _change(campaign, {"archived": None}, {"$set": {"archived": now()}}, "archived") is not None


def clear_archived(campaign: Campaign) -> bool:
    """Show a campaign again; return False if it was not hidden."""
    return _change(campaign, {"archived": {"$ne": None}}, {"$unset": {"archived": ""}}, "unarchived") is not None


def _change(
    campaign: Campaign, query: Mapping[str, Any], update: Mapping[str, Any], kind: str, text: str | None = None
) -> Mapping[str, Any] | None:
    """Change a campaign's document and history in one transaction; return the document as it was before.

    Returns
    -------
    Mapping or None
        None if the document does not match the query; nothing is changed then.
    """

    def change(session: ClientSession) -> Mapping[str, Any] | None:
        of_campaign = {"_id": campaign.name, **query}
        before: Mapping[str, Any] | None = campaign.store.campaigns.find_one_and_update(
            of_campaign, update, projection=["stopped"], session=session
        )
        if before is not None:
            record_event(campaign, kind, {"text": text} if text else {}, session)
        return before

    return campaign.store.in_transaction(change)
