"""Sums over the ledger and queued work: the queries behind budgets and expected costs."""

from collections.abc import Collection
from typing import Any

from pymongo.client_session import ClientSession

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, sums_by
from campaign.store.counts import CostSum
from campaign.store.states import (
    AWAITS_RS_DOS,
    BEFORE_SCREEN,
    BOOTSTRAP,
    OPEN_RS_DOS,
    REFERENCE,
    SCREENED,
    STAGES,
    TRAINING,
    CandidateState,
    StepState,
)

StageCosts = dict[str, dict[str, float]]
"""``{stage: {attempts, cpu_s, gpu_s}}``."""

NO_STAGE = "other"
_TO_BE_RELAXED = (CandidateState.PROMOTED, CandidateState.RELAX_RUNNING)
#: States of candidates that have been, are being or will be relaxed, successfully or not.
SENT_TO_RELAXATION = (*_TO_BE_RELAXED, CandidateState.RELAXED, CandidateState.RELAX_FAILED)
#: Fields that the expected cost of a relaxation depends on.
_CELL = ["n_sites", "composition"]


def cpu_seconds_by_document(
    campaign: Campaign,
    *,
    stage: str | None = None,
    documents: Collection[str] | None = None,
    session: ClientSession | None = None,
) -> dict[str, float]:
    """Return the CPU-seconds of each candidate and reference so far, over all attempts.

    Optionally restricted to one stage or to some documents.
    """
    query: dict[str, Any] = {"campaign": campaign.name} | ({} if stage is None else {"stage": stage})
    query["document"] = {"$ne": None} if documents is None else {"$in": list(documents)}
    groups = sums_by(campaign.store.attempts, query, "document", session=session, cpu_s="$cpu_s")
    return {document: float(group["cpu_s"]) for document, group in groups.items()}


def cost_by_stage(campaign: Campaign, *, session: ClientSession | None = None) -> StageCosts:
    """Return the number of attempts and their cost by stage, ``{stage: {attempts, cpu_s, gpu_s}}``.

    Attempts to start the campaign, which belong to no stage, are listed under `NO_STAGE`. Reused calculations are not
    attempts of this campaign and cost nothing.
    """
    sums = {"attempts": 1, "cpu_s": "$cpu_s", "gpu_s": "$gpu_s"}
    query = {"campaign": campaign.name, "outcome": {"$ne": "reused"}}
    groups = sums_by(campaign.store.attempts, query, "stage", session=session, **sums)
    return {
        NO_STAGE if stage is None else stage: {
            "attempts": group["attempts"],
            "cpu_s": float(group["cpu_s"]),
            "gpu_s": float(group["gpu_s"]),
        }
        for stage, group in sorted(groups.items(), key=lambda item: item[0] or "")
    }


def latest_relaxation_costs(
    campaign: Campaign, *, limit: int, session: ClientSession | None = None
) -> dict[str, float]:
    """Return the CPU-seconds of the relaxations completed last, by candidate or reference."""
    query = {"campaign": campaign.name, "stage": "relax", "outcome": "completed"}
    found = campaign.store.attempts.find(query, ["document", "cpu_s"], session=session).sort("ended", -1).limit(limit)
    return {entry["document"]: float(entry.get("cpu_s") or 0.0) for entry in found}


def cells(campaign: Campaign, ids: Collection[str], *, session: ClientSession | None = None) -> dict[str, Document]:
    """Return number of atoms and composition of candidates and references, by id."""
    found = campaign.store.find_structures({"_id": {"$in": list(ids)}}, _CELL, session=session)
    return {document["_id"]: document for document in found}


def running_attempts(campaign: Campaign, *, apart_from: str) -> list[Document]:
    """Return running calculations with their cost so far, except those of one candidate."""
    query = {"campaign": campaign.name, "outcome": "running", "document": {"$nin": [None, apart_from]}}
    return list(campaign.store.attempts.find(query, ["document", "stage", "cpu_s"]))


def count_sent_to_relaxation(campaign: Campaign, *, session: ClientSession | None = None) -> int:
    """Return the number of screened candidates sent to a relaxation, whatever its outcome, without reused ones."""
    counts = campaign.store.role_counts(campaign.name, session=session)
    sent = sum(counts.get((SCREENED, state), 0) for state in SENT_TO_RELAXATION)
    reused = {"campaign": campaign.name, "stage": "relax", "outcome": "reused"}
    if campaign.store.attempts.find_one(reused, ["_id"], session=session) is None:
        return sent
    query: dict[str, Any] = {"campaign": campaign.name, "role": SCREENED, "state": CandidateState.RELAXED}
    query["relaxation.reused_from"] = {"$exists": True}
    return sent - campaign.store.candidates.count_documents(query, session=session)


def queued_screened(campaign: Campaign, *, session: ClientSession | None = None) -> list[Document]:
    """Return id, number of atoms and composition of screened candidates with a queued or running relaxation."""
    query = {"campaign": campaign.name, "role": SCREENED, "state": {"$in": list(_TO_BE_RELAXED)}}
    return list(campaign.store.candidates.find(query, _CELL, session=session))


def not_screened_ids(campaign: Campaign, *, session: ClientSession | None = None) -> list[str]:
    """Return the ids of the references and the training sample."""
    other_roles = {"campaign": campaign.name, "role": {"$in": [BOOTSTRAP, TRAINING]}}
    found = [
        *campaign.store.references.find({"campaign": campaign.name}, ["_id"], session=session),
        *campaign.store.candidates.find(other_roles, ["_id"], session=session),
    ]
    return [document["_id"] for document in found]


_OTHER_ROLES = {"$in": [BOOTSTRAP, TRAINING, REFERENCE]}


def count_open_dos(campaign: Campaign, *, session: ClientSession | None = None) -> int:
    """Return the number of IS-DOS and RS-DOS that are queued, running or certain to follow."""
    queries: tuple[dict[str, Any], ...] = (
        {"state": STAGES["dos"].running},
        # a screened candidate gets an RS-DOS only if relaxed; until then its relaxation's cost includes it
        AWAITS_RS_DOS,
        # structures relaxed in any case count before they are submitted, and so do their RS-DOS
        {"role": _OTHER_ROLES, "state": {"$ne": CandidateState.RELAXED}, **OPEN_RS_DOS},
    )
    return sum(
        collection.count_documents({"campaign": campaign.name, **query}, session=session)
        for collection in campaign.store.structures
        for query in queries
    )


def queued_not_screened(campaign: Campaign, *, session: ClientSession | None = None) -> list[Document]:
    """Return id, number of atoms and composition of references and training samples with a pending or running
    relaxation.
    """
    states = [CandidateState.NEW, CandidateState.RELAX_RUNNING]
    query = {"campaign": campaign.name, "state": {"$in": states}, "role": _OTHER_ROLES}
    return list(campaign.store.find_structures(query, _CELL, session=session))


def audited_cost(campaign: Campaign, *, session: ClientSession | None = None) -> CostSum:
    """Return number and expected cost, at the time of decision, of the audit sample's relaxations so far."""
    # by an index: many more are not relaxed
    sent = {"$in": list(SENT_TO_RELAXATION)}
    query = {"campaign": campaign.name, "role": SCREENED, "state": sent, "decision.audit": True}
    groups = sums_by(campaign.store.candidates, query, session=session, cpu_s="$decision.relax_cpu_s", n=1)
    return next((CostSum(group["n"], float(group["cpu_s"])) for group in groups.values()), CostSum())


def reserved_by_screens(
    campaign: Campaign, *, apart_from: str | None, session: ClientSession | None = None
) -> list[Document]:
    """Return the reservations (``cpu_s``, ``relaxations``) of Screens that are deciding now, except one Screen."""
    query: dict[str, Any] = {"campaign": campaign.name, "state": StepState.SUBMITTED, "reserved": {"$exists": True}}
    if apart_from is not None:
        query["_id"] = {"$ne": apart_from}
    return [step["reserved"] for step in campaign.store.steps.find(query, ["reserved"], session=session)]


def count_before_screen(campaign: Campaign, *, session: ClientSession | None = None) -> int:
    """Return the number of screened candidates not yet predicted by a Screen."""
    not_yet = [{"state": {"$in": list(BEFORE_SCREEN)}}, {"state": CandidateState.DOS_DONE, "prediction": None}]
    query = {"campaign": campaign.name, "role": SCREENED, "$or": not_yet}
    return campaign.store.candidates.count_documents(query, session=session)


def latest_results(campaign: Campaign, *, limit: int, session: ClientSession | None = None) -> list[bool]:
    """Return whether the screened candidates with the latest results are stable, newest first."""
    query = {"campaign": campaign.name, "role": SCREENED, "result.stable": {"$in": [True, False]}}
    latest = campaign.store.candidates.find(query, ["result.stable"], session=session).sort("result.time", -1)
    return [found["result"]["stable"] for found in latest.limit(limit)]
