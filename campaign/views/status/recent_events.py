"""What a campaign has found and lost lately: the newest stable materials, failures by kind, and the newest of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from campaign.attempts.causes import stored_cause
from campaign.budget.decision_document import is_persons
from campaign.recovery.retry import document_name
from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, in_utc
from campaign.store.counts import count_candidates, failures_by_stage_and_kind
from campaign.store.listings import newest_failed, newest_stable_candidates
from campaign.store.states import PERSON

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
        ``promoted``, ``audit`` (not promoted, relaxed all the same), ``person`` (promoted by one), or its role where
        nothing was decided on it.
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
    """One that failed for good.

    Attributes
    ----------
    id, formula, role
        The candidate, or the reference.
    name
        What people call it, ``AlPd:B2`` or ``reference Al``.
    stage, kind, cause
        Of which calculation, ``science`` or ``machine``, and why (`campaign.attempts.causes`).
    error
        First line of what it said.
    time
        UTC, ISO 8601.
    """

    id: str
    formula: str
    role: str
    name: str
    stage: str
    kind: str
    cause: str
    error: str
    time: str | None


def newest_discoveries(campaign: Campaign, *, number: int) -> list[Discovery]:
    """Stable materials that were found last, the newest first."""
    return [
        Discovery(
            id=document["_id"],
            formula=document["formula"],
            prototype=document["prototype"],
            e_form=float(document["result"]["e_form_per_atom"]),
            e_hull=float(document["result"]["e_above_hull"]),
            found_by=_found_by(document),
            time=_utc(document["result"].get("time")),
        )
        for document in newest_stable_candidates(campaign, number=number)
    ]


def _found_by(document: Document) -> str:
    decision = document.get("decision")
    if not decision:
        return str(document["role"])
    if is_persons(decision):
        return PERSON
    return "promoted" if decision["promoted"] else "audit"


def discoveries_of_a_day(campaign: Campaign, *, at: datetime) -> int:
    """How many stable materials were found in the last 24 h."""
    return count_candidates(campaign, stable=True, since=at - _DAY)


def failure_counts(campaign: Campaign) -> list[FailureCount]:
    """Count failures by stage and kind, the most frequent first."""
    ordered = sorted(failures_by_stage_and_kind(campaign).items(), key=lambda item: (-item[1], item[0]))
    return [FailureCount(stage=stage, kind=kind, number=number) for (stage, kind), number in ordered]


def newest_failures(campaign: Campaign, *, number: int) -> list[Failure]:
    """Those that failed for good last, the newest first."""
    failures = [
        Failure(
            id=document["_id"],
            formula=document["formula"],
            role=str(document.get("role")),
            name=document_name(document),
            stage=str(document["final_failure"].get("stage")),
            kind=str(document["final_failure"].get("kind")),
            cause=stored_cause(document["final_failure"]),
            error=next(iter(str(document["final_failure"].get("error") or "no reason given").splitlines()), ""),
            time=_utc(document["final_failure"].get("time")),
        )
        for document in newest_failed(campaign, number=number)
    ]
    return sorted(failures, key=lambda failure: failure.time or "", reverse=True)[:number]


def _utc(time: datetime | None) -> str | None:
    return None if time is None else in_utc(time).isoformat()
