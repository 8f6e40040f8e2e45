"""The history of a campaign: dated changes with their user."""

import getpass
import os
import socket
import uuid
from collections.abc import Mapping
from typing import Any

from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, now


def who() -> dict[str, str]:
    """Return the name of the user running this program (``user``) and of the machine (``host``)."""
    try:
        user = getpass.getuser()
    except (KeyError, ImportError, OSError):  # in a container the user may have no name
        user = f"uid {os.getuid()}"
    return {"user": user, "host": socket.gethostname()}


def record_event(
    campaign: Campaign, kind: str, details: Mapping[str, Any], session: ClientSession | None = None
) -> str:
    """Record a change in the campaign's history, with user and time; return the entry's id.

    Parameters
    ----------
    kind
        Name of the command (``set``, ``promote``, ``add``, ``pause`` ...).
    details
        The change; ``text``, if present, is the sentence printed by `campaign history`.
    session
        Transaction of the change itself, so that both are written or neither.
    """
    # readable, and unique across databases
    event_id = f"{campaign.name}/event/{uuid.uuid4().hex}"
    entry = {"_id": event_id, "campaign": campaign.name, "kind": kind, "time": now(), **who(), "details": dict(details)}
    campaign.store.events.insert_one(entry, session=session)
    return event_id


def read_events(campaign: Campaign, *, newest: int | None = None) -> list[Document]:
    """Read the history of a campaign, oldest first; with `newest`, only that number of latest entries."""
    found = campaign.store.events.find({"campaign": campaign.name}).sort([("time", -1), ("_id", -1)])
    return list(found if newest is None else found.limit(newest))[::-1]
