"""What a reconciliation has repaired, or would repair."""

from collections.abc import Iterator
from dataclasses import dataclass, field

_KINDS = {
    "lost": "ran in a process or job that is gone; run again while tries are left",
    "requeued": "ran in a job that its scheduler has put back into the queue, and wait for it",
    "half_checked_out": "was taken by a process that is gone before it began, and is ready again",
    "unreserved": "were reserved for a job that is gone, and are ready again",
    "completed": "had left their results before their process was gone, and are complete",
    "recorded": "had results that were not recorded, and now are",
    "retried": "had fizzled and will run again",
    "refreshed": "waited for a firework that had ended",
    "defused": "waited to record calculations that were defused and are recorded, and are defused too",
    "unlocked": "were left locked",
}


@dataclass
class ReconcileReport:
    """Firework ids by what was repaired.

    Attributes
    ----------
    lost, requeued, half_checked_out, unreserved, completed, recorded, retried, refreshed, defused, unlocked
        What was changed, see `_KINDS`.
    delayed
        Steps that fizzled, and run again after a pause.
    unknown
        Running or reserved elsewhere, and their scheduler says nothing of their job: left alone.
    unanswered
        Those of the unknown that were reserved from this host, some time ago: their jobs' ids.
    removed
        What waits for a workflow that was deleted, archived or defused, in words: left alone.
    why
        What is known of the cause, by firework id.
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
        """Yield each kind of repair in words, with the ids of its fireworks."""
        for kind, what in _KINDS.items():
            yield what, getattr(self, kind)

    def lines(self) -> Iterator[str]:
        """Say what was done, or would be, a line for each kind."""
        would = "would be repaired: " if self.dry_run else ""
        yield from (f"{would}{finding}" for finding in self.findings())
        if self.delayed:
            named = ", ".join(f"{fw_id} ({self.why[fw_id]})" for fw_id in self.delayed)
            yield f"{len(self.delayed)} firework(s) had fizzled and run again after a pause: {named}"

    def findings(self) -> Iterator[str]:
        """Say what was found, a line for each kind."""
        for what, ids in self.by_kind():
            if ids:
                named = [f"{fw_id} ({self.why[fw_id]})" if fw_id in self.why else str(fw_id) for fw_id in ids]
                yield f"{len(ids)} firework(s) {what}: {', '.join(named)}"

    def unknown_line(self) -> str | None:
        """Say what was left alone for want of an answer; None: nothing was."""
        if not self.unknown:
            return None
        return (
            f"{len(self.unknown)} firework(s) run or wait elsewhere, and nobody here can say whether they still do: "
            f"{', '.join(map(str, self.unknown))}. Unknown means left alone; see docs/failures.md"
        )
