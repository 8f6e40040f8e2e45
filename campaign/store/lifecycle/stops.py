"""That a campaign submits nothing more: because its calculations fail alike, or because a person has said so."""

from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.store.documents import StopDocument, StopKind
from campaign.store.lifecycle.events import event, pushed, this_user
from campaign.store.states import CampaignState

_UNFINISHED = {"state": {"$in": [CampaignState.STARTING, CampaignState.RUNNING]}}


def write_stop(campaign: Campaign, stop: StopDocument) -> bool:
    """Stop a campaign whose calculations fail alike; False if it is stopped already, or not running."""
    running = {"_id": campaign.name, "state": CampaignState.RUNNING, "stopped": None}
    update = {"$set": {"stopped": stop}, **pushed("stopped", cause=stop["cause"], number=stop["number"])}
    return bool(campaign.store.campaigns.update_one(running, update).modified_count)


def write_pause(campaign: Campaign, kind: StopKind, *, reason: str | None) -> bool:
    """Pause or stop a campaign for a person; False if it is so already, or stopped for more than that, or finished.

    Of a campaign that was stopped because its calculations fail alike, the cause stays: `campaign resume` needs it.
    """
    # stopping goes further than a pause; what is stopped already needs no pause
    others: dict[str, Any] = {"stopped": None} if kind == "paused" else {"stopped.kind": {"$ne": "stopped"}}
    said = {"kind": kind, "by": this_user(), "reason": reason, "time": now()}
    update = {"$set": {f"stopped.{field}": value for field, value in said.items()}, **pushed(kind, reason=reason)}
    running = {"_id": campaign.name, **_UNFINISHED, **others}
    return bool(campaign.store.campaigns.update_one(running, update).modified_count)


def end_what_runs(campaign: Campaign) -> None:
    """Tell every `campaign run` of a stopped campaign to end what its workers compute."""
    stopped = {"_id": campaign.name, "stopped.kind": "stopped"}
    campaign.store.campaigns.update_one(stopped, {"$set": {"stopped.ends_running": True}})


def clear_stop(campaign: Campaign) -> StopDocument | None:
    """Let a campaign submit again; return why it was stopped, None where it was not."""
    changes = {"$unset": {"stopped": ""}, "$set": {"resumed": now()}, "$push": {"events": event("resumed")}}
    stopped = {"_id": campaign.name, "stopped": {"$ne": None}}
    found = campaign.store.campaigns.find_one_and_update(stopped, changes, projection=["stopped"])
    return None if found is None else found["stopped"]


def write_archived(campaign: Campaign) -> bool:
    """Hide a campaign; False if it is hidden already."""
    visible = {"_id": campaign.name, "archived": None}
    update = {"$set": {"archived": now()}, **pushed("archived")}
    return bool(campaign.store.campaigns.update_one(visible, update).modified_count)


def clear_archived(campaign: Campaign) -> bool:
    """Show a campaign again; False if it was not hidden."""
    hidden = {"_id": campaign.name, "archived": {"$ne": None}}
    update = {"$unset": {"archived": ""}, **pushed("unarchived")}
    return bool(campaign.store.campaigns.update_one(hidden, update).modified_count)
