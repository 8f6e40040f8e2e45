"""Candidates held back by the budget, and the budget in a campaign's document."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign, CampaignIsDeletedError
from campaign.store.collections import Document, exists, history_entry, now
from campaign.store.documents import CampaignDocument
from campaign.store.states import SCREENED, STAGES, CampaignState, CandidateState, StepState
from campaign.store.steps import Step, is_other_step_open


def lock_budget(campaign: Campaign, session: ClientSession) -> CampaignDocument:
    """Lock the budget against reservations, additions and decisions by others until the transaction ends; must be its
    first write.

    Returns
    -------
    CampaignDocument
        The campaign's document as this transaction sees it.

    Raises
    ------
    CampaignIsDeletedError
        If the campaign has been deleted since it was opened, or is being deleted.
    """
    found = campaign.store.campaigns.find_one_and_update(
        {"_id": campaign.name}, {"$inc": {"budget_serial": 1}}, session=session, return_document=True
    )
    if found is None or found["state"] in (CampaignState.DELETING, CampaignState.IMPORTING):
        raise CampaignIsDeletedError(f"campaign {campaign.name!r} has been deleted in the meantime")
    return cast("CampaignDocument", found)


def replace_budget(campaign: Campaign, budget: Mapping[str, Any]) -> None:
    """Put a new budget in force, and append it to ``budget_history``."""
    campaign.store.campaigns.update_one(
        {"_id": campaign.name},
        {
            "$set": {"budget": budget},
            "$push": {"budget_history": {"budget": budget, "time": now()}},
            # under the new budget another candidate may be next
            "$unset": {"next_held": ""},
        },
    )


def reopen(campaign: Campaign, *, session: ClientSession | None = None) -> None:
    """Set a finished campaign to running again; its report is written again at the end."""
    report = {"_id": Step.report(campaign.name).id, "state": StepState.DONE}
    campaign.store.steps.delete_one(report, session=session)
    finished = {"_id": campaign.name, "state": CampaignState.FINISHED}
    campaign.store.campaigns.update_one(finished, {"$set": {"state": CampaignState.RUNNING}}, session=session)


def is_any_decision_held(campaign: Campaign, *, session: ClientSession | None = None) -> bool:
    """Whether a candidate is held that a policy or a person wants relaxed."""
    query = {"campaign": campaign.name, "state": CandidateState.HELD, "decision": {"$ne": None}}
    return exists(campaign.store.candidates, query, session=session)


def may_be_decided_again(campaign: Campaign, step_id: str, *, session: ClientSession | None = None) -> bool:
    """Whether an open step other than this one, e.g. a Screen or a fit, may change decisions on held candidates."""
    if not is_any_decision_held(campaign, session=session):
        return False
    return is_other_step_open(campaign, step_id, session=session)


def decided_as_held(campaign: Campaign, *, session: ClientSession | None = None) -> dict[str, Document]:
    """Return the candidates with a decision to hold them, by id; the audit may have relaxed some of them since."""
    query = {"campaign": campaign.name, "decision.outcome": "held"}
    fields = ["prediction", "state", "decision", "n_sites", "composition"]
    found = campaign.store.candidates.find(query, fields, session=session)
    return {document["_id"]: document for document in found}


def write_releases(
    campaign: Campaign, releases: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], *, session: ClientSession
) -> None:
    """Promote held candidates unless their state has changed; earlier decisions are kept.

    Parameters
    ----------
    releases
        Documents from `decided_as_held`, each with its new decision.
    session
        Transaction in which they were read.
    """
    updates = [_release(document, decision) for document, decision in releases]
    if updates:
        campaign.store.candidates.bulk_write(updates, ordered=False, session=session)


def _release(document: Mapping[str, Any], decision: Mapping[str, Any]) -> UpdateOne:
    update: dict[str, Any] = {"$set": {"decision": decision}, "$push": {"previous_decisions": document["decision"]}}
    if document["state"] == CandidateState.HELD:
        update["$set"]["state"] = CandidateState.PROMOTED
        update["$push"]["history"] = history_entry(STAGES["dos"], CandidateState.PROMOTED)
    return UpdateOne({"_id": document["_id"], "state": document["state"]}, update)


def next_held_cells(campaign: Campaign) -> list[Document]:
    """Return number of atoms and composition of the held candidates that may be released next."""
    found = campaign.store.campaigns.find_one({"_id": campaign.name}, ["next_held"]) or {}
    return found.get("next_held") or []


def note_held(campaign: Campaign, document: Mapping[str, Any], *, session: ClientSession | None = None) -> None:
    """Note the cell of a newly held candidate, which may be the next to be released."""
    update = {"$addToSet": {"next_held": _cell(document)}}
    campaign.store.campaigns.update_one({"_id": campaign.name}, update, session=session)


def note_held_id(campaign: Campaign, candidate: str) -> None:
    """Note the cell of a candidate given by id, see `note_held`."""
    document = campaign.store.candidates.find_one({"_id": candidate}, ["n_sites", "composition"]) or {}
    note_held(campaign, document)


def replace_noted(campaign: Campaign, document: Mapping[str, Any] | None, *, session: ClientSession) -> None:
    """Replace the noted candidates by this one, or by none."""
    update: dict[str, Any] = {"$unset": {"next_held": ""}}
    if document is not None:
        update = {"$set": {"next_held": [_cell(document)]}}
    campaign.store.campaigns.update_one({"_id": campaign.name}, update, session=session)


def _cell(document: Mapping[str, Any]) -> Document:
    """Return the fields that the expected cost of its relaxation depends on."""
    return {"n_sites": document["n_sites"], "composition": document["composition"]}


def hold_waiting_for_dos(campaign: Campaign) -> int:
    """Hold all candidates waiting for their IS-DOS; return their number."""
    return _move_screened(campaign, {"state": CandidateState.NEW, "decision": None}, to=CandidateState.HELD)


def free_held_before_dos(campaign: Campaign) -> int:
    """Release candidates that were held before their IS-DOS; return their number."""
    before_dos = {"state": CandidateState.HELD, "prediction": None, "decision": None}
    return _move_screened(campaign, before_dos, to=CandidateState.NEW)


def _move_screened(campaign: Campaign, query: Mapping[str, Any], *, to: CandidateState) -> int:
    moved = campaign.store.candidates.update_many(
        {"campaign": campaign.name, "role": SCREENED, **query},
        {"$set": {"state": to}, "$push": {"history": history_entry(STAGES["dos"], to)}},
    )
    return int(moved.modified_count)
