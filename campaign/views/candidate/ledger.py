"""Attempts at a candidate's calculations from the ledger, and the folders of their files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from campaign.attempts.causes import stored_cause
from campaign.store.collections import in_utc
from campaign.store.states import STAGES
from campaign.views.status.words import format_stage

_FAILED = ("science", "machine", "lost")


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """Row of one attempt.

    Attributes
    ----------
    stage, number
        Calculation, and number of the attempt, from 1.
    id
        Id of the ledger entry.
    outcome, cause
        From the ledger; `cause` is empty unless the attempt failed.
    cpu_s
        CPU-seconds; None if unknown.
    worker
        Host, process and batch job.
    started, duration
        Start in UTC, and run time (so far).
    last_words
        Last output of a failed attempt; otherwise empty.
    """

    stage: str
    number: int
    id: str
    outcome: str
    cause: str
    cpu_s: float | None
    worker: str
    started: str
    duration: str
    last_words: str


def attempt_rows(
    entries: Sequence[Mapping[str, Any]], earlier: Mapping[str, int] = MappingProxyType({})
) -> list[AttemptRow]:
    """Return rows of ledger entries, the oldest attempt first.

    Parameters
    ----------
    earlier
        Number of earlier attempts per stage.
    """
    numbers = dict(earlier)
    rows = []
    for entry in sorted(entries, key=_order):
        stage = str(entry.get("stage"))
        numbers[stage] = numbers.get(stage, 0) + 1
        rows.append(_row(entry, stage, numbers[stage]))
    return rows


def _order(entry: Mapping[str, Any]) -> tuple[str, str]:
    time = _time(entry, "started") or _time(entry, "ended")
    return "" if time is None else time.isoformat(), str(entry.get("_id"))


def _row(entry: Mapping[str, Any], stage: str, number: int) -> AttemptRow:
    outcome, cpu_s = str(entry.get("outcome")), entry.get("cpu_s")
    started = _time(entry, "started")
    return AttemptRow(
        stage=format_stage(stage),
        number=number,
        id=str(entry["_id"]),
        outcome=outcome,
        cause=stored_cause(entry) if outcome in _FAILED else str(entry.get("cause") or ""),
        cpu_s=None if cpu_s is None else float(cpu_s),
        worker=_worker(entry),
        started="" if started is None else f"{started:%Y-%m-%d %H:%M:%S}",
        duration=_duration(entry),
        last_words=str(entry.get("error") or "").strip(),
    )


def _worker(entry: Mapping[str, Any]) -> str:
    """Format the worker (``node1, process 4711, slurm job 42``), or the campaign from which the result was reused."""
    if origin := entry.get("reused_from"):
        return f"reused from campaign {origin['campaign']}, attempt {origin['entry']}"
    parts = [str(entry["host"])] if entry.get("host") else []
    parts += [f"process {entry['pid']}"] if entry.get("pid") else []
    parts += [f"{entry.get('scheduler') or 'batch'} job {entry['job_id']}"] if entry.get("job_id") else []
    return ", ".join(parts)


def _duration(entry: Mapping[str, Any]) -> str:
    started, ended = _time(entry, "started"), _time(entry, "ended")
    if started is None:
        return ""
    seen = ended or _time(entry, "seen")
    if seen is None:
        return "begun"
    return format_seconds((seen - started).total_seconds()) + ("" if ended else " so far")


def format_seconds(seconds: float) -> str:
    """Format a duration: ``12.3 s``, ``4 min 10 s`` or ``3 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _time(entry: Mapping[str, Any], field: str) -> datetime | None:
    found = entry.get(field)
    return in_utc(found) if isinstance(found, datetime) else None


def folders(document: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return calculation, host (empty if unknown) and folder, each folder once."""
    found: dict[str, tuple[str, str]] = {}
    for title, place, host in _places(document, entries):
        # emmet writes host:path, but the host in the ledger, which comes first, is more reliable
        before, colon, path = place.partition(":")
        here, name = (path, before) if colon and path.startswith("/") else (place, host)
        found.setdefault(here, (title, name))
    return [(title, host, path) for path, (title, host) in found.items()]


def _places(document: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for entry in sorted(entries, key=_order):
        if entry.get("directory"):
            yield format_stage(str(entry.get("stage"))), str(entry["directory"]), str(entry.get("host") or "")
    for stage in STAGES.values():
        facts = document.get(stage.fields) or {}
        if facts.get("directory"):
            yield stage.title, str(facts["directory"]), ""
