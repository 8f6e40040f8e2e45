"""Candidates that a person decides on: reading, writing, and finding those whose IS-DOS has finished since."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.collections import BY_ID, Document, exists, history_entry
from campaign.store.documents import stage_fields
from campaign.store.states import PERSON, STAGES, CandidateState, Stage

_FIELDS = [
    *("formula", "prototype", "role", "state", "decision", "final_failure", "n_sites", "composition"),
    *(f"{stage.fields}.{field}" for stage in STAGES.values() for field in ("fw_id", "record_fw_id", "energy")),
]
#: FireWorks states of a firework that no process has started.
_NOT_BEGUN = ("READY", "WAITING", "RESERVED", "PAUSED", "DEFUSED")
#: States of a candidate promoted by a person whose IS-DOS has ended, or is to be retried, after the decision.
_DUE_TO_PROMOTE = (CandidateState.NEW, CandidateState.DOS_DONE, CandidateState.DOS_FAILED)
_DUE_TO_REJECT = (CandidateState.NEW, CandidateState.DOS_DONE)


def read_for_decision(campaign: Campaign, ids: Sequence[str], *, session: ClientSession) -> list[Document]:
    """Read the candidates that a person decides on, in the given order."""
    query = {"campaign": campaign.name, "_id": {"$in": list(ids)}}
    found = {each["_id"]: each for each in campaign.store.candidates.find(query, _FIELDS, session=session, hint=BY_ID)}
    return [found[name] for name in ids if name in found]


def write_person_decisions(
    campaign: Campaign, made: Iterable[tuple[Mapping[str, Any], Mapping[str, Any], str]], *, session: ClientSession
) -> None:
    """Write decisions of persons, moving earlier ones to ``previous_decisions``.

    Parameters
    ----------
    made
        Documents from `read_for_decision`, each with its decision and its new state.
    session
        Transaction in which they were read.
    """
    updates = [_update(document, decision, state) for document, decision, state in made]
    if updates:
        campaign.store.candidates.bulk_write(updates, ordered=False, session=session)


def _update(document: Mapping[str, Any], decision: Mapping[str, Any], state: str) -> UpdateOne:
    changes: dict[str, Any] = {"decision": decision}
    push: dict[str, Any] = {}
    earlier = document.get("decision")
    if earlier and (earlier.get("kind"), earlier["outcome"]) != (decision["kind"], decision["outcome"]):
        push["previous_decisions"] = earlier
    if state != document["state"]:
        changes["state"] = state
        push["history"] = history_entry(STAGES["dos"], state)
    if document["state"] == CandidateState.DOS_FAILED and state != document["state"]:
        changes |= {"final_failure": None, "retried_failure": document.get("final_failure")}
    return UpdateOne({"_id": document["_id"]}, {"$set": changes} | ({"$push": push} if push else {}))


def _due_queries(campaign: Campaign) -> tuple[dict[str, Any], ...]:
    """Return filters of candidates that a person decided on while their IS-DOS ran; an index answers each."""
    by_person = {"campaign": campaign.name, "decision.kind": PERSON}
    return (
        {**by_person, "decision.promoted": True, "state": {"$in": list(_DUE_TO_PROMOTE)}},
        {**by_person, "decision.promoted": False, "state": {"$in": list(_DUE_TO_REJECT)}},
    )


def is_any_due(campaign: Campaign) -> bool:
    """Whether the IS-DOS of a candidate has finished that a person decided on meanwhile."""
    return any(exists(campaign.store.candidates, query) for query in _due_queries(campaign))


def read_due(campaign: Campaign, *, limit: int, session: ClientSession) -> list[Document]:
    """Read candidates whose IS-DOS has finished since a person decided on them."""
    found: list[Document] = []
    for query in _due_queries(campaign):
        found += campaign.store.candidates.find(query, _FIELDS, session=session).limit(limit)
    return found[:limit]


def is_any_held_by_person(campaign: Campaign, *, session: ClientSession | None = None) -> bool:
    """Whether the budget holds a candidate that a person wants relaxed."""
    query = {"campaign": campaign.name, "state": CandidateState.HELD, "decision.kind": PERSON}
    return campaign.store.candidates.find_one(query, ["_id"], session=session) is not None


def over_budget_ids(campaign: Campaign) -> set[str]:
    """Return the ids of candidates that a person has relaxed regardless of the budget."""
    query = {"campaign": campaign.name, "decision.promoted": True, "decision.over_budget": True}
    return {found["_id"] for found in campaign.store.candidates.find(query, ["_id"])}


def withdraw(campaign: Campaign, document: Mapping[str, Any], stage: Stage, *, session: ClientSession) -> bool:
    """Archive the fireworks of a calculation unless a process has started one; return whether they were archived.

    A queue job that has reserved one finds nothing to run when it starts, and ends.
    """
    facts = stage_fields(document, stage)
    fw_id = facts.get("fw_id")
    fireworks, workflows = (campaign.store.database[name] for name in ("fireworks", "workflows"))
    ids = [facts[field] for field in ("fw_id", "record_fw_id") if facts.get(field) is not None]
    states = {
        found["fw_id"]: found["state"]
        for found in fireworks.find({"fw_id": {"$in": ids}}, ["fw_id", "state"], session=session)
    }
    if states.get(fw_id, "ARCHIVED") not in (*_NOT_BEGUN, "ARCHIVED"):
        return False
    # a worker just starting it holds the workflow's lock; a process whose workflow was deleted may still be computing
    locked = {"nodes": fw_id, "locked": {"$exists": True}}
    running = {"fw_id": fw_id, "outcome": "running"}
    if workflows.find_one(locked, session=session) or campaign.store.attempts.find_one(running, session=session):
        return False
    archived = {
        "state": "ARCHIVED",
        "archived_launches": {"$concatArrays": [{"$ifNull": ["$archived_launches", []]}, "$launches"]},
        "launches": [],
    }
    # `campaign archive --undo` must not restore it either
    withdrawn: list[dict[str, Any]] = [{"$set": archived}, {"$unset": "spec.archived_from"}]
    fireworks.update_many({"fw_id": {"$in": list(states)}}, withdrawn, session=session)
    of_workflow = {"state": "ARCHIVED", **{f"fw_states.{each}": "ARCHIVED" for each in states}}
    workflows.update_one({"nodes": fw_id}, {"$set": of_workflow}, session=session)
    # a worker that started it nevertheless finds that it is no longer the candidate's firework
    forgotten = {f"{stage.fields}.{field}": "" for field in ("fw_id", "record_fw_id", "submitted")}
    campaign.store.candidates.update_one({"_id": document["_id"]}, {"$unset": forgotten}, session=session)
    return True
