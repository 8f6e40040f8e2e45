"""Candidates that wait for the prefilter, and the prefilter's results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.candidates import collection_of_candidates
from campaign.store.collections import counts_by, history_entry
from campaign.store.documents import PrefilterDocument
from campaign.store.states import SCREENED, STAGES, CandidateState, PrefilterState

#: A candidate that may wait for the prefilter; a spent budget may hold it meanwhile. A person's decision excludes it.
_UNDECIDED: dict[str, Any] = {"state": {"$in": [CandidateState.NEW, CandidateState.HELD]}, "decision": None}


def ids_before_prefilter(campaign: Campaign, batch: int) -> list[str]:
    """Return the sorted ids of candidates of a batch that wait for the prefilter."""
    query = {**_waiting(campaign), "batch": batch}
    return [found["_id"] for found in collection_of_candidates(campaign.store).find(query, ["_id"]).sort("_id")]


def _waiting(campaign: Campaign) -> dict[str, Any]:
    query = {"campaign": campaign.name, "prefilter.state": PrefilterState.NEW}
    return query | _UNDECIDED | {"role": SCREENED}


def rejected_by_batch(campaign: Campaign, batches: Sequence[int]) -> dict[int, int]:
    """Count the candidates of each batch that the prefilter left without an IS-DOS, from an index alone."""
    if campaign.spec.prefilter is None or not batches:
        return {}
    query: dict[str, Any] = {"campaign": campaign.name, "prefilter.state": PrefilterState.DONE}
    query |= {"prefilter.outcome": CandidateState.REJECTED, "prefilter.audit": False}
    query["batch"] = {"$gte": min(batches), "$lte": max(batches)}
    return counts_by(campaign.store.candidates, query, "batch")


def write_prefiltered(
    campaign: Campaign, told: Sequence[tuple[str, PrefilterDocument]], rejected: Mapping[str, Mapping[str, Any]]
) -> int:
    """Write the prefilter's results for candidates that wait for it; return how many it rejected.

    Candidates that a person has decided on meanwhile are skipped.

    Parameters
    ----------
    told
        Candidate id and result of each.
    rejected
        Decisions on candidates without IS-DOS, by id.
    """
    found = dict(told)
    moved = campaign.store.bulk_update(
        UpdateOne(
            {"_id": name, "prefilter.state": PrefilterState.NEW, **_UNDECIDED},
            {
                "$set": {"prefilter": found[name], "decision": decision, "state": CandidateState.REJECTED},
                "$push": {"history": history_entry(STAGES["dos"], CandidateState.REJECTED)},
            },
        )
        for name, decision in rejected.items()
    )
    campaign.store.bulk_update(
        UpdateOne({"_id": name, "prefilter.state": PrefilterState.NEW, **_UNDECIDED}, {"$set": {"prefilter": document}})
        for name, document in told
        if name not in rejected
    )
    return moved


@dataclass(frozen=True, kw_only=True)
class PrefilterCounts:
    """Numbers of candidates by result of the prefilter; all zero without a prefilter.

    Attributes
    ----------
    waiting
        Still to be scored; no person has decided on them.
    passed
        They get an IS-DOS.
    rejected
        They get none.
    audited
        Rejected but drawn for the audit: they get an IS-DOS and are relaxed.
    """

    waiting: int = 0
    passed: int = 0
    rejected: int = 0
    audited: int = 0

    @property
    def seen(self) -> int:
        """Number of candidates scored by the prefilter."""
        return self.passed + self.rejected + self.audited


def prefilter_counts(campaign: Campaign, *, session: ClientSession | None = None) -> PrefilterCounts:
    """Count the prefilter's results for a campaign's candidates, nearly all from an index."""
    if campaign.spec.prefilter is None:
        return PrefilterCounts()
    candidates, waiting = campaign.store.candidates, {"campaign": campaign.name, "prefilter.state": PrefilterState.NEW}
    query = {"campaign": campaign.name, "prefilter.state": PrefilterState.DONE}
    found = counts_by(candidates, query, "prefilter.outcome", "prefilter.audit", session=session)
    rejected = CandidateState.REJECTED
    # a person's decision moves a candidate on from new, so most are counted without reading documents
    held = {**waiting, "state": CandidateState.HELD, "decision": None}
    return PrefilterCounts(
        waiting=candidates.count_documents({**waiting, "state": CandidateState.NEW}, session=session)
        + candidates.count_documents(held, session=session),
        passed=found.get(("passed", False), 0),
        rejected=found.get((rejected, False), 0),
        audited=found.get((rejected, True), 0),
    )
