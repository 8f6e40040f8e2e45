"""Read-only queries of the ledger over time: finished and running attempts, and sums per interval."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pymongo.collection import Collection as MongoCollection

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, in_utc
from campaign.store.states import STAGES
from campaign.store.steps import StepKind

#: Stages of the ledger, and outcomes of finished attempts. Naming all of them lets the index return the newest attempts
#: without reading any other entry.
_STAGES = (*STAGES, *StepKind)
_ENDED = ("completed", "science", "machine", "lost", "stopped")
_FIELDS = ("document", "stage", "outcome", "cause", "error", "started", "ended", "host")


class Interval(NamedTuple):
    """Sum over an interval of time; `start` is None for entries without a time."""

    start: datetime | None
    total: float


def newest_attempts(
    campaign: Campaign, *, since: datetime, number: int, outcomes: Sequence[str] = _ENDED
) -> list[Document]:
    """Read the attempts that ended last with these outcomes, since a time (UTC), newest first, at most `number`."""
    query = {
        "campaign": campaign.name,
        "stage": {"$in": list(_STAGES)},
        "outcome": {"$in": list(outcomes)},
        "ended": {"$gte": since},
    }
    return list(campaign.store.attempts.find(query, _FIELDS).sort("ended", -1).limit(number))


def completed_since(campaign: Campaign, documents: Collection[str], since: datetime) -> set[tuple[str, str, datetime]]:
    """Return the calculations completed since a time: id of candidate or reference, stage and end (UTC)."""
    query = {"campaign": campaign.name, "document": {"$in": sorted(documents)}, "outcome": "completed"}
    found = campaign.store.attempts.find({**query, "ended": {"$gte": since}}, ["document", "stage", "ended"])
    return {(each["document"], each["stage"], in_utc(each["ended"])) for each in found}


def count_attempts_since(campaign: Campaign, since: datetime) -> int:
    """Count the attempts that ended since a time (UTC), from an index alone."""
    query = {"stage": {"$in": list(_STAGES)}, "outcome": {"$in": list(_ENDED)}, "ended": {"$gte": since}}
    return campaign.store.attempts.count_documents({"campaign": campaign.name, **query})


def running_attempts(campaign: Campaign, *, number: int) -> list[Document]:
    """Read the attempts that are running, in any order, at most `number`."""
    query = {"campaign": campaign.name, "stage": {"$in": list(_STAGES)}, "outcome": "running"}
    return list(campaign.store.attempts.find(query, _FIELDS).limit(number))


def active_until(campaign: Campaign, *, at: datetime) -> datetime | None:
    """Return `at` while an attempt is running, otherwise the end of the last one (UTC); None before the first."""
    if running_attempts(campaign, number=1):
        return at
    newest = newest_attempts(campaign, since=datetime.fromtimestamp(0, UTC), number=1)
    return min(at, in_utc(newest[0]["ended"])) if newest else None


def names_of_structures(campaign: Campaign, ids: Collection[str]) -> dict[str, Document]:
    """Read names, ``role`` and ``final_failure.kind`` of candidates and references by id."""
    fields = ["formula", "prototype", "label", "role", "final_failure.kind"]
    found = campaign.store.find_structures({"_id": {"$in": sorted(ids)}}, fields)
    return {document["_id"]: document for document in found}


def cpu_seconds_over_time(campaign: Campaign, *, width_s: float) -> list[Interval]:
    """Sum the ledger's CPU-seconds per interval of `width_s` in which attempts ended, from an index alone.

    Running attempts come first, without a time. Reused calculations cost nothing here.
    """
    query = {"campaign": campaign.name, "outcome": {"$ne": "reused"}}
    return _over_time(campaign.store.attempts, query, "ended", "$cpu_s", width_s=width_s)


def discoveries_over_time(campaign: Campaign, *, width_s: float) -> list[Interval]:
    """Count the stable candidates per interval of `width_s` in which they were found, those without a time first."""
    query = {"campaign": campaign.name, "result.stable": True}
    return _over_time(campaign.store.candidates, query, "result.time", 1, width_s=width_s)


def _over_time(
    collection: MongoCollection[Document], query: dict[str, Any], field: str, summed: Any, *, width_s: float
) -> list[Interval]:
    milliseconds = {"$toLong": f"${field}"}
    interval = {"$floor": {"$divide": [milliseconds, 1000.0 * width_s]}}
    groups = list(collection.aggregate([{"$match": query}, {"$group": {"_id": interval, "total": {"$sum": summed}}}]))
    groups.sort(key=lambda group: -1.0 if group["_id"] is None else group["_id"])
    return [
        Interval(
            None if group["_id"] is None else datetime.fromtimestamp(group["_id"] * width_s, UTC), float(group["total"])
        )
        for group in groups
    ]
