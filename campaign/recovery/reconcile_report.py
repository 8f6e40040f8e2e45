"""Report of what a reconciliation has repaired, or would repair."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from campaign.config.wording import format_count

_KINDS = {
    "lost": "left by a process or job that is gone; run again while retries are left",
    "requeued": "left by a job that its scheduler has requeued; waiting for it",
    "half_checked_out": "taken by a process that was gone before it started; ready again",
    "unreserved": "reserved for a job that is gone; ready again",
    "completed": "finished before their process was gone; now complete",
    "recorded": "with results that had not been recorded; now recorded",
    "retried": "fizzled; will be run again",
    "refreshed": "waiting for a firework that had finished; released",
    "defused": "waiting to record calculations that were defused and are recorded; defused too",
    "unlocked": "left locked; unlocked",
}


@dataclass
class ReconcileReport:
    """Firework ids by kind of repair.

    Attributes
    ----------
    lost, requeued, half_checked_out, unreserved, completed, recorded, retried, refreshed, defused, unlocked
        Fireworks changed, see `_KINDS`.
    delayed
        Fizzled steps, to be run again after a pause.
    unknown
        Running or reserved elsewhere, with a job unknown to the scheduler; left alone.
    unanswered
        Job ids of unknown ones reserved from this host some time ago.
    removed
        Descriptions of work whose workflow was deleted, archived or defused; left alone.
    why
        Known causes by firework id.
    dry_run
        Whether nothing was changed.
    """

    lost: list[int] = field(default_factory=list)
    requeued: list[int] = field(default_factory=list)
    half_checked_out: list[int] = field(default_factory=list)
    unreserved: list[int] = field(default_factory=list)
    completed: list[int] = field(default_factory=list)
    recorded: list[int] = field(default_factory=list)
    retried: list[int] = field(default_factory=list)
    refreshed: list[int] = field(default_factory=list)
    defused: list[int] = field(default_factory=list)
    unlocked: list[int] = field(default_factory=list)
    delayed: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    unanswered: dict[int, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    why: dict[int, str] = field(default_factory=dict)
    dry_run: bool = False

    def __bool__(self) -> bool:
        """Whether anything was repaired, would be, or will be after a pause."""
        return bool(self.delayed) or any(getattr(self, kind) for kind in _KINDS)

    def by_kind(self) -> Iterator[tuple[str, list[int]]]:
        """Yield each kind of repair as text, with the ids of its fireworks."""
        for kind, what in _KINDS.items():
            yield what, getattr(self, kind)

    def lines(self) -> Iterator[str]:
        """Yield a line for each kind of repair done or to be done."""
        would = "would be repaired: " if self.dry_run else ""
        yield from (f"{would}{finding}" for finding in self.findings())
        if self.delayed:
            named = ", ".join(f"{fw_id} ({self.why[fw_id]})" for fw_id in self.delayed)
            yield f"{format_count(len(self.delayed), 'firework')} fizzled, to be run again after a pause: {named}"

    def findings(self) -> Iterator[str]:
        """Yield a line for each kind of finding."""
        for what, ids in self.by_kind():
            if ids:
                named = [f"{fw_id} ({self.why[fw_id]})" if fw_id in self.why else str(fw_id) for fw_id in ids]
                yield f"{format_count(len(ids), 'firework')} {what}: {', '.join(named)}"

    def unknown_line(self) -> str | None:
        """Return a line on fireworks left unchanged for lack of an answer, or None."""
        if not self.unknown:
            return None
        return (
            f"{format_count(len(self.unknown), 'firework')} elsewhere, of which it is not known from here whether "
            f"they still run or wait: {', '.join(map(str, self.unknown))}. These are left alone; "
            "see docs/how-to/failures.md"
        )
