"""What a campaign has found and lost lately: the newest stable materials, failures by kind, and the newest of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, in_utc
from campaign.store.states import STAGES

_DAY = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """A stable material.

    Attributes
    ----------
    id, formula, prototype
        The candidate.
    e_form, e_hull
        Calculated, eV/atom.
    found_by
        ``promoted``, ``audit`` (not promoted, relaxed all the same), or its role where nothing was decided on it.
    time
        When it was found, UTC, ISO 8601; None where that is not known.
    """

    id: str
    formula: str
    prototype: str
    e_form: float
    e_hull: float
    found_by: str
    time: str | None


@dataclass(frozen=True, kw_only=True)
class FailureCount:
    """Candidates and references whose calculation failed for good, of one stage and kind."""

    stage: str
    kind: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One that failed for good; ``error`` is the first line of what it said, ``time`` UTC in ISO 8601."""

    id: str
    formula: str
    stage: str
    kind: str
    error: str
    time: str | None


def newest_discoveries(campaign: Campaign, *, number: int) -> list[Discovery]:
    """Stable materials that were found last, the newest first."""
    fields = ["formula", "prototype", "role", "result", "decision.promoted"]
    found = campaign.store.candidates.find({"campaign": campaign.name, "result.stable": True}, fields)
    return [
        Discovery(
            id=document["_id"],
            formula=document["formula"],
            prototype=document["prototype"],
            e_form=float(document["result"]["e_form"]),
            e_hull=float(document["result"]["e_hull"]),
            found_by=_found_by(document),
            time=_utc(document["result"].get("time")),
        )
        for document in found.sort([("result.time", -1), ("_id", 1)]).limit(number)
    ]


def _found_by(document: Document) -> str:
    decision = document.get("decision")
    if not decision:
        return str(document["role"])
    return "promoted" if decision["promoted"] else "audit"


def discoveries_of_a_day(campaign: Campaign, *, at: datetime) -> int:
    """How many stable materials were found in the last 24 h."""
    return campaign.store.candidates.count_documents(
        {"campaign": campaign.name, "result.stable": True, "result.time": {"$gte": at - _DAY}}
    )


def failure_counts(campaign: Campaign) -> list[FailureCount]:
    """Count failures by stage and kind, the most frequent first."""
    counts: dict[tuple[str, str], int] = {}
    for collection in (campaign.store.candidates, campaign.store.references):
        for query in _failed(campaign.name):
            kinds = {"_id": {"stage": "$failure.stage", "kind": "$failure.kind"}, "n": {"$sum": 1}}
            for group in collection.aggregate([{"$match": query}, {"$group": kinds}]):
                key = str(group["_id"].get("stage")), str(group["_id"].get("kind"))
                counts[key] = counts.get(key, 0) + group["n"]
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [FailureCount(stage=stage, kind=kind, number=number) for (stage, kind), number in ordered]


def newest_failures(campaign: Campaign, *, number: int) -> list[Failure]:
    """Those that failed for good last, the newest first."""
    found: list[Document] = []
    for collection in (campaign.store.candidates, campaign.store.references):
        for query in _failed(campaign.name):
            latest = collection.find(query, ["formula", "failure"]).sort("failure.time", -1)
            found.extend(latest.limit(number))
    failures = [
        Failure(
            id=document["_id"],
            formula=document["formula"],
            stage=str(document["failure"].get("stage")),
            kind=str(document["failure"].get("kind")),
            error=next(iter(str(document["failure"].get("error") or "no reason given").splitlines()), ""),
            time=_utc(document["failure"].get("time")),
        )
        for document in found
    ]
    return sorted(failures, key=lambda failure: failure.time or "", reverse=True)[:number]


def _failed(name: str) -> Iterator[dict[str, Any]]:
    """Filters of what failed for good: one for the stages that are a candidate's state, one for the RS-DOS."""
    with_reason = {"failure": {"$ne": None}}
    states = [stage.failed for stage in STAGES.values() if stage.state_field == "state"]
    yield {"campaign": name, "state": {"$in": states}, **with_reason}
    yield {"campaign": name, "state": "relaxed", "rs_dos.state": STAGES["rs_dos"].failed, **with_reason}


def _utc(time: datetime | None) -> str | None:
    return None if time is None else in_utc(time).isoformat()
