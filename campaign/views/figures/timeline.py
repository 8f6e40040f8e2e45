"""Attempts of the last hours as bars over time, in as few rows as there were simultaneous attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from campaign.store.activity.ledger import (
    active_until,
    count_attempts_since,
    names_of_structures,
    newest_attempts,
    running_attempts,
)
from campaign.store.campaigns import Campaign
from campaign.store.collections import in_utc
from campaign.views.figures.costs import TITLES

HOURS = 6.0
MOST_ATTEMPTS = 300
MOST_ROWS = 24


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One attempt.

    Attributes
    ----------
    row
        Name of its row: the stage, with a number if several ran simultaneously.
    label
        Name of the calculated material.
    start, end
        UTC; a running attempt ends now.
    outcome
        ``running``, ``completed``, ``science``, ``machine``, ``lost`` or ``stopped``.
    cause, host
        Reason of the failure and host, if known.
    """

    row: str
    label: str
    start: datetime
    end: datetime
    outcome: str
    cause: str | None
    host: str | None


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Attempts of the last hours.

    Attributes
    ----------
    start, end
        Time range, UTC.
    rows
        Names of the rows, stage by stage in the order in which a candidate meets them.
    bars
        Attempts by their start.
    n_attempts
        Total number, shown or not.
    """

    start: datetime
    end: datetime
    rows: list[str]
    bars: list[Bar]
    n_attempts: int


def timeline(campaign: Campaign, *, at: datetime) -> Timeline | None:
    """Return the attempts of the last hours, or before the last end of an idle campaign; None if there are none."""
    end = active_until(campaign, at=at)
    if end is None:
        return None
    running = running_attempts(campaign, number=MOST_ATTEMPTS)
    since = end - timedelta(hours=HOURS)
    ended = newest_attempts(campaign, since=since, number=max(MOST_ATTEMPTS - len(running), 0))
    entries = [entry for entry in [*running, *ended] if isinstance(entry.get("started"), datetime)]
    bars = _packed(campaign, entries, since=since, end=end)
    if not bars:
        return None
    return Timeline(
        start=min(bar.start for bar in bars),
        end=end,
        rows=sorted({bar.row for bar in bars}, key=_order),
        bars=bars,
        n_attempts=len(running) + count_attempts_since(campaign, since),
    )


def _order(row: str) -> tuple[int, str, int]:
    """Return a sort key that puts ``relaxations 2`` after ``relaxations``, and these after ``IS-DOS``."""
    stage, _, number = row.rpartition(" ") if row[-1].isdigit() else (row, "", "1")
    titles = list(TITLES.values())
    return titles.index(stage) if stage in titles else len(titles), stage, int(number)


def _packed(campaign: Campaign, entries: Sequence[Mapping[str, Any]], *, since: datetime, end: datetime) -> list[Bar]:
    """Return the attempts as bars, each in the first row of its stage that is free when it starts."""
    documents = names_of_structures(campaign, {entry["document"] for entry in entries if entry.get("document")})
    rows: dict[str, list[datetime]] = {}
    bars: list[Bar] = []
    for entry in sorted(entries, key=lambda found: in_utc(found["started"])):
        started = in_utc(entry["started"])
        until = in_utc(entry["ended"]) if entry.get("ended") is not None else end
        stage = str(entry.get("stage") or "other")
        ends = rows.setdefault(stage, [])
        place = next((place for place, busy_until in enumerate(ends) if busy_until <= started), len(ends))
        ends[place : place + 1] = [until]
        if place >= MOST_ROWS:
            continue
        bars.append(
            Bar(
                row=TITLES.get(stage, stage) + (f" {place + 1}" if place else ""),
                label=_label(documents.get(entry.get("document") or "")),
                start=max(started, since),
                end=until,
                outcome=str(entry.get("outcome")),
                cause=entry.get("cause"),
                host=entry.get("host"),
            )
        )
    return bars


def _label(document: Mapping[str, Any] | None) -> str:
    if document is None:
        return ""
    return str(document.get("label") or f"{document.get('formula')} {document.get('prototype')}")
