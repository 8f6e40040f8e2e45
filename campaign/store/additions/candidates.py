"""Add candidates to a campaign with their batches and references, each chunk in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.candidates import is_any_open
from campaign.store.collections import CampaignStore, Document, in_chunks, now
from campaign.store.documents import AdditionDocument, CandidateDocument
from campaign.store.held import lock_budget, may_be_decided_again, reopen
from campaign.store.states import CampaignState, StepState
from campaign.store.steps import StepKind


def candidates_of_formulas(campaign: Campaign, formulas: Collection[str]) -> list[Document]:
    """Return the candidates with one of these reduced formulas: id, formula, prototype, name and structure."""
    query = {"campaign": campaign.name, "formula": {"$in": sorted(formulas)}}
    fields = ["formula", "prototype", "parent.name", "structure.lattice", "structure.sites"]
    return list(campaign.store.candidates.find(query, fields))


def are_all_stored(store: CampaignStore, candidates: Sequence[str], references: Sequence[str]) -> bool:
    """Whether every id has a document."""
    return all(
        collection.count_documents({"_id": {"$in": chunk}}) == len(chunk)
        for collection, ids in ((store.candidates, candidates), (store.references, references))
        for chunk in in_chunks(ids, 10_000)
    )


def absent_ids(campaign: Campaign, ids: Sequence[str], session: ClientSession) -> set[str]:
    """Return the ids that no candidate has."""
    there = campaign.store.candidates.find({"_id": {"$in": list(ids)}}, ["_id"], session=session)
    return set(ids) - {found["_id"] for found in there}


def append_candidates(
    campaign: Campaign,
    documents: Sequence[CandidateDocument],
    sizes: Sequence[int],
    addition: AdditionDocument,
    session: ClientSession,
) -> None:
    """Insert candidates and the sizes of their batches, and let a finished campaign run again.

    Parameters
    ----------
    sizes
        Number of candidates in each new batch.
    addition
        Record of the addition; its `n_added` grows with each chunk.
    """
    campaigns, name = campaign.store.campaigns, campaign.name
    campaigns.update_one(
        {"_id": name, "additions.id": {"$ne": addition["id"]}},
        {"$push": {"additions": {**addition, "n_added": 0}}},
        session=session,
    )
    campaigns.update_one(
        {"_id": name, "additions.id": addition["id"]},
        {
            "$inc": {"n_screened": sum(sizes), "additions.$.n_added": len(documents)},
            "$push": {"batch_sizes": {"$each": list(sizes)}},
        },
        session=session,
    )
    campaign.store.candidates.insert_many(cast("Any", documents), session=session)
    reopen(campaign, session=session)


def open_steps_of_sets(campaign: Campaign, session: ClientSession) -> list[str]:
    """Return the open steps that use the reference set as it is when they run."""
    kinds = [StepKind.PREFILTER, StepKind.SCREEN, StepKind.TRAIN, StepKind.RETRAIN, StepKind.RECALIBRATE]
    query = {"campaign": campaign.name, "kind": {"$in": kinds}, "state": {"$ne": StepState.DONE}}
    return sorted(step["_id"] for step in campaign.store.steps.find(query, ["_id"], session=session))


def append_references(
    campaign: Campaign, documents: Sequence[CandidateDocument], imported: str | None, session: ClientSession
) -> None:
    """Insert further phases of the reference set, which is frozen again once they are computed.

    Parameters
    ----------
    imported
        Checksum of the file of entries that replaces the earlier one; None without a file.
    """
    campaigns, name = campaign.store.campaigns, campaign.name
    found = campaigns.find_one({"_id": name}, ["reference_set", "imported_references"], session=session) or {}
    # makes a concurrent freezing of the set without these phases fail
    update: dict[str, Any] = {"$set": {"reference_set": None}, "$inc": {"reference_serial": 1}}
    if imported is not None:
        update["$set"]["imported_references"] = imported
    earlier = {found.get("reference_set"), found.get("imported_references")} - {None, imported}
    if earlier:
        update["$addToSet"] = {"previous_reference_sets": {"$each": sorted(earlier)}}
    campaigns.update_one({"_id": name}, update, session=session)
    if documents:
        campaign.store.references.insert_many(cast("Any", documents), session=session)
    reopen(campaign, session=session)


def close_campaign(campaign: Campaign, summary: Mapping[str, Any], step_id: str) -> bool:
    """Close a campaign and its Finish step with the summary, unless candidates are still open.

    An open step counts as well while a candidate is held, since the candidate may be decided on again.

    Returns
    -------
    bool
        False if anything is left; the report is then submitted again at the end.
    """

    def close(session: ClientSession) -> bool:
        lock_budget(campaign, session)
        if is_any_open(campaign, session=session) or may_be_decided_again(campaign, step_id, session=session):
            return False
        campaign.store.campaigns.update_one(
            {"_id": campaign.name, "state": {"$ne": CampaignState.FINISHED}},
            {"$set": {"state": CampaignState.FINISHED, "summary": summary, "ended": now()}},
            session=session,
        )
        # in the same transaction: opening the campaign again discards a finished report
        campaign.store.close_step(step_id, session=session)
        return True

    return campaign.store.in_transaction(close)
