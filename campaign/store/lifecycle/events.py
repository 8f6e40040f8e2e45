"""Dated events in a campaign's document (``events``): who changed what of it as a whole, and when."""

import getpass
import socket
from collections.abc import Mapping
from typing import Any

from pymongo.client_session import ClientSession

from campaign.store.collections import CampaignStore, now
from campaign.store.documents import EventDocument


def this_user() -> str:
    """``user@host`` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def event(kind: str, **details: Any) -> EventDocument:
    """Make an event of this user and moment."""
    return {"kind": kind, "at": now(), "by": this_user(), "details": details}


def pushed(kind: str, **details: Any) -> dict[str, Any]:
    """Part of an update that appends an event, for a write that changes the campaign's document anyway."""
    return {"$push": {"events": event(kind, **details)}}


def record_event(
    store: CampaignStore,
    name: str,
    kind: str,
    *,
    details: Mapping[str, Any] | None = None,
    session: ClientSession | None = None,
) -> None:
    """Append an event to a campaign's document."""
    store.campaigns.update_one({"_id": name}, pushed(kind, **(details or {})), session=session)
