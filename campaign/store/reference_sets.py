"""Reference phases, frozen reference sets, and the results of candidates relative to a set."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bson import encode
from pymongo import UpdateOne

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore, Document, exists
from campaign.store.states import CandidateState

_FAILED = CandidateState.RELAX_FAILED


def phases_of(campaign: Campaign) -> list[Document]:
    """Return the reference phases that a campaign computes, sorted by id."""
    return list(campaign.store.references.find({"campaign": campaign.name}).sort("_id"))


def failed_element_phases(campaign: Campaign) -> list[Document]:
    """Return the elemental phases whose relaxation failed, sorted by id, with what a retry depends on."""
    fields = ["elements", "label", "final_failure", "overrides", "relaxation.queue"]
    return list(campaign.store.references.find(_element_phases(campaign, {"$eq": _FAILED}), fields).sort("_id"))


def elements_not_failed(campaign: Campaign) -> set[str]:
    """Return the elements with an elemental phase that is relaxed, or still to be relaxed."""
    return set(campaign.store.references.distinct("elements", _element_phases(campaign, {"$ne": _FAILED})))


def _element_phases(campaign: Campaign, state: Mapping[str, Any]) -> dict[str, Any]:
    return {"campaign": campaign.name, "state": state, "elements": {"$size": 1}}


def write_uncorrectable_phase(store: CampaignStore, phase_id: str, reason: Mapping[str, Any]) -> None:
    """Store why the correction scheme cannot treat a reference phase."""
    store.references.update_one({"_id": phase_id}, {"$set": {"correction_error": reason}})


def write_problem(campaign: Campaign, problem: str | None) -> None:
    """Store the problem that prevents a campaign from continuing."""
    campaign.store.campaigns.update_one({"_id": campaign.name}, {"$set": {"problem": problem}})


def assign_reference_set(campaign: Campaign, checksum: str) -> None:
    """Give a campaign its reference set, unless it has one or phases have been added since it was read."""
    serial = campaign.document.get("reference_serial")
    campaign.store.campaigns.update_one(
        {"_id": campaign.name, "reference_set": None, "reference_serial": serial},
        {"$set": {"reference_set": checksum}, "$unset": {"problem": ""}},
    )


def insert_reference_set(store: CampaignStore, document: Document) -> None:
    """Store a reference set unless it exists."""
    store.insert_missing(store.reference_sets, [document])


def delete_reference_set(store: CampaignStore, checksum: str) -> None:
    """Delete altered content stored under a reference set's checksum, so that the set can be stored again."""
    store.reference_sets.delete_one({"_id": checksum})


def find_reference_set(store: CampaignStore, checksum: str, fields: Sequence[str] | None = None) -> Document | None:
    """Read a stored reference set, completely or only some fields; None if there is none."""
    return store.reference_sets.find_one({"_id": checksum}, fields)


def stored_size(document: Document) -> int:
    """Return the size of a document in MongoDB, in bytes."""
    return len(encode(document))


def is_any_without_result(campaign: Campaign) -> bool:
    """Whether a relaxed candidate has neither a result nor a reason for having none."""
    return exists(campaign.store.candidates, _without_result(campaign))


def relaxed_without_result(campaign: Campaign, fields: Sequence[str]) -> list[Document]:
    """Return the relaxed candidates with neither a result nor a reason for having none."""
    return list(campaign.store.candidates.find(_without_result(campaign), fields))


def _without_result(campaign: Campaign) -> dict[str, Any]:
    return {
        "campaign": campaign.name,
        "state": CandidateState.RELAXED,
        "result.e_above_hull": None,
        "correction_error": None,
    }


def write_uncorrectable(campaign: Campaign, reasons: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
    """Store why the correction scheme cannot treat candidates, by id; return how many changed."""
    return campaign.store.bulk_update(
        UpdateOne({"_id": candidate, "correction_error": None}, {"$set": {"correction_error": reason}})
        for candidate, reason in reasons
    )


def write_results(campaign: Campaign, results: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
    """Store results of candidates without one, by id; return how many changed."""
    return campaign.store.bulk_update(
        UpdateOne({"_id": candidate, "result": None}, {"$set": {"result": result}}) for candidate, result in results
    )
