"""That a campaign submits nothing more: because its calculations fail alike, or because a person has said so."""

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
    """Stop a campaign whose calculations fail alike; False if it is stopped already, or not running."""
    running = {"state": CampaignState.RUNNING, "stopped": None}
    text = f"{stop['number']} consecutive calculations failed in the same way ({stop['cause']})"
    return _change(campaign, running, {"$set": {"stopped": stop}}, "stopped", text) is not None


def write_pause(campaign: Campaign, kind: StopKind, *, reason: str | None) -> bool:
    """Pause or stop a campaign for a person; False if it is so already, or stopped for more than that, or finished.

    Of a campaign that was stopped because its calculations fail alike, the cause stays: `campaign resume` needs it.
    """
    # stopping goes further than pausing; a stopped campaign needs no pause
    others: dict[str, Any] = {"stopped": None} if kind == "paused" else {"stopped.kind": {"$ne": "stopped"}}
    user = who()
    said = {"kind": kind, "by": f"{user['user']}@{user['host']}", "reason": reason, "time": now()}
    update = {"$set": {f"stopped.{field}": value for field, value in said.items()}}
    return _change(campaign, {**_UNFINISHED, **others}, update, kind, reason) is not None


def end_what_runs(campaign: Campaign) -> None:
    """Tell every `campaign run` of a stopped campaign to end what its workers compute."""
    stopped = {"_id": campaign.name, "stopped.kind": "stopped"}
    campaign.store.campaigns.update_one(stopped, {"$set": {"stopped.ends_running": True}})


def clear_stop(campaign: Campaign) -> StopDocument | None:
    """Let a campaign submit again; return why it was stopped, None where it was not."""
    update = {"$unset": {"stopped": ""}, "$set": {"resumed": now()}}
    before = _change(campaign, {"stopped": {"$ne": None}}, update, "resumed")
    return None if before is None else before["stopped"]


def write_archived(campaign: Campaign) -> bool:
    """Hide a campaign; False if it is hidden already."""
    return _change(campaign, {"archived": None}, {"$set": {"archived": now()}}, "archived") is not None


def clear_archived(campaign: Campaign) -> bool:
    """Show a campaign again; False if it was not hidden."""
    return _change(campaign, {"archived": {"$ne": None}}, {"$unset": {"archived": ""}}, "unarchived") is not None


def _change(
    campaign: Campaign, query: Mapping[str, Any], update: Mapping[str, Any], kind: str, text: str | None = None
) -> Mapping[str, Any] | None:
    """Change the campaign's document and its history, both or neither; return the document as it was.

    Returns
    -------
    Mapping or None
        None where the document does not match the query: nothing was changed.
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
