"""Candidates that the budget holds: finding, releasing and noting them; and the budget in a campaign's document."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, history_entry, now
from campaign.store.states import MOVING_STATES, SCREENED, STAGES, CampaignState, CandidateState, StepState
from campaign.store.steps import Step


def lock_budget(campaign: Campaign, session: ClientSession) -> None:
    """Keep others from promising anything until this transaction has finished; must be its first write."""
    campaign.store.campaigns.update_one({"_id": campaign.name}, {"$inc": {"budget_serial": 1}}, session=session)


def replace_budget(campaign: Campaign, budget: Mapping[str, Any]) -> None:
    """Put another budget in force, and keep it in ``budget_history``."""
    campaign.store.campaigns.update_one(
        {"_id": campaign.name},
        {
            "$set": {"budget": budget},
            "$push": {"budget_history": {"budget": budget, "time": now()}},
            # it is not known any more whether the next candidate fits
            "$unset": {"next_held": ""},
        },
    )


def reopen(campaign: Campaign) -> None:
    """Let a finished campaign run again, and write its report again at the end."""
    campaign.store.steps.delete_one({"_id": Step.report(campaign.name).id, "state": StepState.DONE})
    campaign.store.campaigns.update_one(
        {"_id": campaign.name, "state": CampaignState.FINISHED}, {"$set": {"state": CampaignState.RUNNING}}
    )


def is_any_prediction_held(campaign: Campaign) -> bool:
    """Whether a candidate with a prediction is held."""
    query = {"campaign": campaign.name, "state": CandidateState.HELD, "prediction": {"$ne": None}}
    return campaign.store.candidates.find_one(query, ["_id"]) is not None


def decided_as_held(campaign: Campaign, *, session: ClientSession | None = None) -> dict[str, Document]:
    """Candidates whose decision is to hold them, by id; the audit may have relaxed some of them meanwhile."""
    query = {"campaign": campaign.name, "decision.outcome": "held"}
    fields = ["prediction", "state", "decision", "n_sites", "composition"]
    found = campaign.store.candidates.find(query, fields, session=session)
    return {document["_id"]: document for document in found}


@dataclass(frozen=True, kw_only=True)
class Release:
    """A held candidate's new decision.

    Attributes
    ----------
    document
        The candidate's, as `decided_as_held` read it.
    decision
        The decision in place of the earlier one.
    """

    document: Mapping[str, Any]
    decision: Mapping[str, Any]


def write_releases(campaign: Campaign, releases: Iterable[Release], *, session: ClientSession) -> None:
    """Promote held candidates, each unless it has changed its state; earlier decisions are kept."""
    updates = [_release(release) for release in releases]
    if updates:
        campaign.store.candidates.bulk_write(updates, ordered=False, session=session)


def _release(release: Release) -> UpdateOne:
    document = release.document
    update: dict[str, Any] = {
        "$set": {"decision": release.decision},
        "$push": {"previous_decisions": document["decision"]},
    }
    if document["state"] == CandidateState.HELD:
        update["$set"]["state"] = CandidateState.PROMOTED
        update["$push"]["history"] = history_entry(STAGES["dos"], CandidateState.PROMOTED)
    return UpdateOne({"_id": document["_id"], "state": document["state"]}, update)


def next_held_cells(campaign: Campaign) -> list[Document]:
    """Number of atoms and composition of the held candidates that may be released next."""
    found = campaign.store.campaigns.find_one({"_id": campaign.name}, ["next_held"]) or {}
    return found.get("next_held") or []


def note_held(campaign: Campaign, document: Mapping[str, Any]) -> None:
    """Note the cell of a candidate that is held now, which may be the next to be released."""
    campaign.store.campaigns.update_one({"_id": campaign.name}, {"$addToSet": {"next_held": _cell(document)}})


def note_held_id(campaign: Campaign, candidate: str) -> None:
    """Note the cell of a candidate by its id, see `note_held`."""
    document = campaign.store.candidates.find_one({"_id": candidate}, ["n_sites", "composition"]) or {}
    note_held(campaign, document)


def replace_noted(campaign: Campaign, document: Mapping[str, Any] | None, *, session: ClientSession) -> None:
    """Note one held candidate in place of those noted before; None: none is known."""
    update: dict[str, Any] = {"$unset": {"next_held": ""}}
    if document is not None:
        update = {"$set": {"next_held": [_cell(document)]}}
    campaign.store.campaigns.update_one({"_id": campaign.name}, update, session=session)


def _cell(document: Mapping[str, Any]) -> Document:
    """What the cost of its relaxation is learnt by."""
    return {"n_sites": document["n_sites"], "composition": document["composition"]}


def does_any_wait_for_dos(campaign: Campaign) -> bool:
    """Whether a screened candidate waits for its IS-DOS to be submitted."""
    return campaign.store.candidates.find_one(_waits_for_dos(campaign), ["_id"]) is not None


def is_any_moving(campaign: Campaign) -> bool:
    """Whether a candidate is promoted or a calculation of its main stages is queued or running."""
    # what has its DOS already waits for a last Screen, which waits until no other candidate is to come
    moving = {"$in": list(MOVING_STATES)}
    return campaign.store.candidates.find_one({"campaign": campaign.name, "state": moving}, ["_id"]) is not None


def hold_waiting_for_dos(campaign: Campaign) -> int:
    """Hold every candidate that waits for its IS-DOS; return how many."""
    history = history_entry(STAGES["dos"], CandidateState.HELD)
    held = campaign.store.candidates.update_many(
        _waits_for_dos(campaign), {"$set": {"state": CandidateState.HELD}, "$push": {"history": history}}
    )
    return int(held.modified_count)


def free_held_before_dos(campaign: Campaign) -> int:
    """Let candidates that were held before their IS-DOS wait for it again; return how many."""
    history = history_entry(STAGES["dos"], CandidateState.NEW)
    freed = campaign.store.candidates.update_many(
        {"campaign": campaign.name, "role": SCREENED, "state": CandidateState.HELD, "prediction": None},
        {"$set": {"state": CandidateState.NEW}, "$push": {"history": history}},
    )
    return int(freed.modified_count)


def _waits_for_dos(campaign: Campaign) -> dict[str, Any]:
    return {"campaign": campaign.name, "role": SCREENED, "state": CandidateState.NEW}
