"""The dated changes of a campaign: who did what to it, and when."""

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
    """Name of the user who runs this program (``user``), and of the machine (``host``)."""
    try:
        user = getpass.getuser()
    except (KeyError, ImportError, OSError):  # a container may have no name for its user
        user = f"uid {os.getuid()}"
    return {"user": user, "host": socket.gethostname()}


def record_event(
    campaign: Campaign, kind: str, details: Mapping[str, Any], session: ClientSession | None = None
) -> str:
    """Write a change of a campaign into its history, with the user's name and the time; return the entry's id.

    Parameters
    ----------
    kind
        What was done, one word: the command's name (``set``, ``promote``, ``add``, ``pause`` ...).
    details
        What changed; ``text``, if it is there, is the sentence that `campaign history` prints.
    session
        Transaction of the change itself, so that there is both or neither.
    """
    # readable, ordered by nothing but its time, and different from those of any other database
    event_id = f"{campaign.name}/event/{uuid.uuid4().hex}"
    entry = {"_id": event_id, "campaign": campaign.name, "kind": kind, "time": now(), **who(), "details": dict(details)}
    campaign.store.events.insert_one(entry, session=session)
    return event_id


def read_events(campaign: Campaign, *, newest: int | None = None) -> list[Document]:
    """Read the history of a campaign, the oldest first; the newest entries alone, if a number is given."""
    found = campaign.store.events.find({"campaign": campaign.name}).sort([("time", -1), ("_id", -1)])
    return list(found if newest is None else found.limit(newest))[::-1]
