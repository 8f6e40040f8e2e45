"""Writing a reused calculation of another campaign into a candidate or a reference, with its ledger entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.candidates import read_ready
from campaign.store.collections import SCHEMA_VERSION, Document, history_entry, now
from campaign.store.documents import CandidateDocument, ReusedFrom, stage_fields
from campaign.store.states import RsDosState, Stage


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """A calculation that a candidate or a reference reuses.

    Attributes
    ----------
    document_id
        Id of the candidate or reference.
    facts
        Recorded fields of the stage.
    origin
        Where it was computed.
    features
        Features of a DOS to be stored; None for a relaxation.
    """

    document_id: str
    facts: Document
    origin: ReusedFrom
    features: Document | None = None


def write_taken_over(campaign: Campaign, stage: Stage, taken: Sequence[TakenOver], *, references: bool) -> int:
    """Complete calculations without a workflow: fields, ledger and features in one transaction; return their number.

    Calculations submitted by another process meanwhile are left alone.
    """
    by_id = {each.document_id: each for each in taken}
    structures = campaign.store.references if references else campaign.store.candidates

    def write(session: ClientSession) -> int:
        documents = read_ready(campaign, stage, list(by_id), references=references, session=session)
        if not documents:
            return 0
        updates = [_update(document, stage, by_id[document["_id"]]) for document in documents]
        structures.bulk_write(updates, ordered=False, session=session)
        entries = [InsertOne(_entry(campaign, document, stage, by_id[document["_id"]])) for document in documents]
        campaign.store.attempts.bulk_write(entries, ordered=False, session=session)
        features = [by_id[document["_id"]].features for document in documents]
        replaced = [ReplaceOne({"_id": found["_id"]}, found, upsert=True) for found in features if found is not None]
        if replaced:
            campaign.store.features.bulk_write(replaced, ordered=False, session=session)
        return len(documents)

    return campaign.store.in_transaction(write)


def _attempt(document: CandidateDocument, stage: Stage) -> int:
    return int(stage_fields(document, stage).get("attempt") or 0)


def _update(document: CandidateDocument, stage: Stage, taken: TakenOver) -> UpdateOne:
    of_stage: dict[str, Any] = {
        **taken.facts,
        "attempt": _attempt(document, stage),
        # the state to return to if its features are lost
        "from_state": document["state"] if stage.state_field == "state" else RsDosState.NEW,
        "recorded": now(),
        "reused_from": taken.origin,
    }
    if taken.features is not None:
        of_stage["features"] = taken.features["_id"]
    fields = {f"{stage.fields}.{name}": value for name, value in of_stage.items()}
    # an earlier try of its own left its fireworks here
    own = {f"{stage.fields}.{name}": "" for name in ("fw_id", "record_fw_id")}
    moved = history_entry(stage, stage.done) | {"reused_from": taken.origin["campaign"]}
    return UpdateOne(
        {"_id": document["_id"], **stage.ready},
        {"$set": {stage.state_field: stage.done, **fields}, "$unset": own, "$push": {"history": moved}},
    )


def _entry(campaign: Campaign, document: CandidateDocument, stage: Stage, taken: TakenOver) -> Document:
    time = now()
    return {
        "_id": f"{document['_id']}:{stage.name}:{_attempt(document, stage)}:reused",
        "schema_version": SCHEMA_VERSION,
        "campaign": campaign.name,
        "document": document["_id"],
        "stage": stage.name,
        "fw_id": None,
        "started": time,
        "ended": time,
        "outcome": "reused",
        "cause": None,
        "error": None,
        "cpu_s": 0.0,
        "gpu_s": 0.0,
        "reused_from": taken.origin,
    }
