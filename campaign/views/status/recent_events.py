"""Recent discoveries and failures of a campaign: the newest of both, and counts by kind of failure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from campaign.attempts.causes import stored_cause
from campaign.budget.decision_document import is_persons
from campaign.recovery.retry import document_name
from campaign.store.activity.ledger import completed_since, names_of_structures, newest_attempts
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
        ``promoted``, ``audit`` (not promoted, relaxed anyway), ``person`` (promoted by a person), or its role if
        nothing was decided on it.
    time
        When it was found, UTC, ISO 8601; None if unknown.
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
    """Number of candidates and references with a permanent failure of one stage and kind."""

    stage: str
    kind: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A calculation that failed, permanently or to be retried.

    Attributes
    ----------
    id, formula, role
        The candidate, or the reference; of a step the role ``step`` alone.
    name
        Name for users, ``AlPd:B2`` or ``reference Al``.
    stage, kind, cause
        Of which calculation, ``science`` or ``machine``, and why (`campaign.attempts.causes`).
    error
        First line of the error.
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
    """Return the latest discoveries, the newest first."""
    return [discovery_of(document) for document in newest_stable_candidates(campaign, number=number)]


def discovery_of(document: Document) -> Discovery:
    """Return the description of a stable candidate."""
    return Discovery(
        id=document["_id"],
        formula=document["formula"],
        prototype=document["prototype"],
        e_form=float(document["result"]["e_form_per_atom"]),
        e_hull=float(document["result"]["e_above_hull"]),
        found_by=_found_by(document),
        time=_utc(document["result"].get("time")),
    )


def _found_by(document: Document) -> str:
    decision = document.get("decision")
    if not decision:
        return str(document["role"])
    if is_persons(decision):
        return PERSON
    return "promoted" if decision["promoted"] else "audit"


def discoveries_of_a_day(campaign: Campaign, *, at: datetime) -> int:
    """Return the number of stable materials found in the last 24 h."""
    return count_candidates(campaign, stable=True, since=at - _DAY)


def failure_counts(campaign: Campaign) -> list[FailureCount]:
    """Return the number of failures by stage and kind, the most frequent first."""
    ordered = sorted(failures_by_stage_and_kind(campaign).items(), key=lambda item: (-item[1], item[0]))
    return [FailureCount(stage=stage, kind=kind, number=number) for (stage, kind), number in ordered]


def newest_failures(campaign: Campaign, *, number: int) -> list[Failure]:
    """Return the latest permanent failures, the newest first."""
    failures = [
        Failure(
            id=document["_id"],
            formula=document["formula"],
            role=str(document.get("role")),
            name=document_name(document),
            stage=str(document["final_failure"].get("stage")),
            kind=str(document["final_failure"].get("kind")),
            cause=stored_cause(document["final_failure"]),
            error=_first_line(document["final_failure"]),
            time=_utc(document["final_failure"].get("time")),
        )
        for document in newest_failed(campaign, number=number)
    ]
    return sorted(failures, key=lambda failure: failure.time or "", reverse=True)[:number]


def newest_retried(campaign: Campaign, *, at: datetime, number: int) -> list[Failure]:
    """Return attempts that failed on their machine in the last 24 h and have not succeeded since, the newest first."""
    entries = newest_attempts(campaign, since=at - _DAY, number=2 * number, outcomes=("machine", "lost"))
    ids = {entry["document"] for entry in entries if entry.get("document")}
    structures, completed = names_of_structures(campaign, ids), completed_since(campaign, ids, at - _DAY)
    failures, seen = [], set[str]()
    for entry in entries:
        document = structures.get(entry.get("document") or "")
        # one entry for each; what failed permanently is said elsewhere
        if document is not None and (document.get("final_failure") or document["_id"] in seen):
            continue
        what, ended = (entry.get("document"), entry.get("stage")), in_utc(entry["ended"])
        if any(done[:2] == what and done[2] >= ended for done in completed):
            continue
        if document is not None:
            seen.add(document["_id"])
        failures.append(
            Failure(
                id="" if document is None else document["_id"],
                formula="" if document is None else str(document["formula"]),
                role="step" if document is None else str(document.get("role")),
                name=str(entry.get("stage")) if document is None else document_name(document),
                stage=str(entry.get("stage")),
                kind="machine",
                cause=stored_cause(entry),
                error=_first_line(entry),
                time=_utc(entry["ended"]),
            )
        )
    return failures[:number]


def _first_line(failure: Mapping[str, Any]) -> str:
    return next(iter(str(failure.get("error") or "no reason given").splitlines()), "")


def _utc(time: datetime | None) -> str | None:
    return None if time is None else in_utc(time).isoformat()
