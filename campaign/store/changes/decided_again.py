"""Read and write candidates that are decided on again under another policy."""

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, history_entry
from campaign.store.states import PERSON, PREFILTER, STAGES

_FIELDS = ["prediction", "state", "decision", "n_sites", "composition"]


def not_promoted(campaign: Campaign, *, session: ClientSession | None = None) -> list[Document]:
    """Return the candidates rejected or held by a policy, not by a person or the prefilter."""
    query = {
        "campaign": campaign.name,
        "decision.promoted": False,
        "decision.kind": {"$nin": [PERSON, PREFILTER]},
        "prediction": {"$ne": None},
    }
    return list(campaign.store.candidates.find(query, _FIELDS, session=session))


def update_decided_again(document: Mapping[str, Any], decision: Mapping[str, Any], state: str) -> UpdateOne:
    """Return the update to another decision, which has no effect if the candidate has changed since it was read."""
    update: dict[str, Any] = {"$set": {"decision": decision}, "$push": {"previous_decisions": document["decision"]}}
    if state != document["state"]:
        update["$set"]["state"] = state
        update["$push"]["history"] = history_entry(STAGES["dos"], state)
    unchanged = {"state": document["state"], "decision.time": document["decision"].get("time")}
    return UpdateOne({"_id": document["_id"], **unchanged}, update)


def write_decided_again(campaign: Campaign, updates: Iterable[UpdateOne], *, session: ClientSession) -> int:
    """Apply the updates made by `update_decided_again`; return how many candidates changed."""
    found = list(updates)
    return campaign.store.candidates.bulk_write(found, ordered=False, session=session).modified_count if found else 0
