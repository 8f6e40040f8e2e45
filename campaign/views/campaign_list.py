"""List of the campaigns in a database."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.table import Table

from campaign.attempts.blocked import BLOCKED
from campaign.store.collections import CampaignStore, in_utc
from campaign.store.lifecycle.overviews import read_overviews
from campaign.store.states import BEFORE_SCREEN, BOOTSTRAP, OPEN_STATES, CampaignState, CandidateState
from campaign.store.usage import SENT_TO_RELAXATION

#: What a firework of each category does, as people call it.
_WORK = {"dos": "DOS", "relax": "relaxation", "train": "training", "screen": "Screen", "record": "record"}


@dataclass(frozen=True, kw_only=True)
class CampaignRow:
    """Row of the list of campaigns.

    Attributes
    ----------
    state
        ``starting``, ``running``, ``blocked``, ``paused``, ``stopped``, ``finished``, ``archived`` or ``deleting``.
    runs
        Numbers of running fireworks by task, of fireworks in a batch queue, and of fireworks waiting for a worker.
    candidates, ended
        Number of candidates, and of those whose last calculation has ended.
    to_screen, after_dos
        Number of candidates outside the training sample, and of those that have an IS-DOS or need none.
    to_relax, after_relaxation
        Number of those sent to a relaxation, and of those whose relaxation has ended, failures included.
    stable
        Discoveries: candidates found stable.
    cpu_hours
        CPU-hours of all attempts.
    started, last_activity
        ISO 8601, UTC. The last activity is the end of an attempt or a user's action.
    """

    name: str
    state: str
    runs: dict[str, int]
    candidates: int
    ended: int
    to_screen: int
    after_dos: int
    to_relax: int
    after_relaxation: int
    stable: int
    cpu_hours: float
    started: str | None
    last_activity: str | None
    engine: str

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        return asdict(self)


def campaign_rows(store: CampaignStore, *, archived: bool = False) -> list[CampaignRow]:
    """Return the campaigns of a database, active ones first, then by name."""
    rows = [_row(found) for found in read_overviews(store, archived=archived)]
    return sorted(rows, key=lambda row: (row.state in (CampaignState.FINISHED, "archived"), row.name))


def _row(found: Mapping[str, Any]) -> CampaignRow:
    every: Counter[str] = Counter()
    by_state: Counter[str] = Counter()
    for (role, state), number in found["counts"].items():
        every[state] += number
        if role != BOOTSTRAP:
            by_state[state] += number
    runs: Counter[str] = Counter()
    for (state, category), number in found["fireworks"].items():
        kind = {"RESERVED": "queued", "READY": "ready"}.get(state, _WORK.get(category, str(category)))
        if state != "PAUSED":
            runs[kind] += number
    is_live = any(state != "PAUSED" for state, _ in found["fireworks"])
    times = [found.get("created"), found.get("ended"), found["last_attempt"], found["last_event"]]
    known = [in_utc(time) for time in times if time is not None]
    return CampaignRow(
        name=found["_id"],
        state=_state(found, is_held=bool(found["fireworks"]) and not is_live),
        runs=dict(runs),
        candidates=sum(every.values()),
        ended=sum(number for state, number in every.items() if state not in OPEN_STATES),
        to_screen=sum(by_state.values()),
        after_dos=sum(number for state, number in by_state.items() if state not in BEFORE_SCREEN),
        to_relax=sum(by_state[state] for state in SENT_TO_RELAXATION),
        after_relaxation=by_state[CandidateState.RELAXED] + by_state[CandidateState.RELAX_FAILED],
        stable=found["stable"],
        cpu_hours=found["cpu_s"] / 3600.0,
        started=_iso(found.get("created")),
        last_activity=_iso(max(known, default=None)),
        engine=", ".join([str(found.get("engine")), *(["fast"] if found.get("quality") == "fast" else [])]),
    )


def _state(found: Mapping[str, Any], *, is_held: bool) -> str:
    if found["state"] == CampaignState.DELETING:
        return CampaignState.DELETING
    if found.get("archived") is not None:
        return "archived"
    if found["state"] == CampaignState.RUNNING and (stop := found.get("stopped")):
        return "paused" if stop.get("kind") == "paused" else "stopped"
    if found["state"] == CampaignState.RUNNING and not found["fireworks"] and found.get("problem"):
        return BLOCKED
    # paused with lpad
    return "paused" if found["state"] == CampaignState.RUNNING and is_held else str(found["state"])


def _iso(time: datetime | None) -> str | None:
    return None if time is None else in_utc(time).isoformat(timespec="seconds")


def campaign_table(rows: Sequence[CampaignRow]) -> Table:
    """Return the rows as a table for a terminal."""
    table = Table(title="campaigns")
    columns = ("campaign", "state", "runs now", "candidates ended", "stable", "CPU-hours", "started", "last activity")
    for column in (*columns, "engine"):
        table.add_column(column, justify="right" if column in ("candidates ended", "stable", "CPU-hours") else "left")
    for row in rows:
        runs = ", ".join(f"{number} {kind}" for kind, number in row.runs.items()) or "-"
        table.add_row(
            *(row.name, row.state, runs, f"{row.ended}/{row.candidates}", str(row.stable), f"{row.cpu_hours:.4g}"),
            *(_short(row.started), _short(row.last_activity), row.engine),
        )
    return table


def _short(time: str | None) -> str:
    return "-" if time is None else time[:16].replace("T", " ")
