"""What a chaos run comes to: a line for each campaign, and a table for each way of running."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from chaos_campaign import Outcome

_HEADINGS = (
    *("campaigns", "faults", "finished", "same table", "lost", "doubled", "hung", "tracebacks", "failed tasks"),
    "verify",
)


def outcome_line(outcome: Outcome) -> str:
    """One campaign in one line."""
    said = f"{outcome.way:9s} {outcome.campaign:5s} seed {outcome.seed}: {len(outcome.faults)} faults, "
    return said + f"{outcome.seconds:.0f} s, {'; '.join(_wrong(outcome)) or 'as undisturbed'}"


def _wrong(outcome: Outcome) -> Iterator[str]:
    if not outcome.finished:
        yield "NOT FINISHED"
    if outcome.hung:
        yield "HUNG"
    for name in ("different", "lost", "doubled", "tracebacks", "findings"):
        if number := len(getattr(outcome, name)):
            yield f"{number} {name}"


def outcome_details(outcome: Outcome) -> Iterator[str]:
    """Everything of a campaign that ended otherwise than undisturbed."""
    for name in ("faults", "remedies", "different", "lost", "doubled", "tracebacks", "of_fireworks", "findings"):
        yield from (f"    {name}: {line}" for line in getattr(outcome, name))


def table(outcomes: Sequence[Outcome]) -> str:
    """Rows for each way of running and for all of them."""
    ways = list(dict.fromkeys(outcome.way for outcome in outcomes))
    rows = [("", *_HEADINGS)]
    rows += [(way, *_numbers(outcome for outcome in outcomes if outcome.way == way)) for way in ways]
    rows.append(("all", *_numbers(outcomes)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*lines, "", faults_line(outcomes)])


def _numbers(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    found = list(outcomes)
    same = sum(outcome.finished and not outcome.different and not outcome.lost for outcome in found)
    numbers = (
        *(len(found), sum(len(outcome.faults) for outcome in found), sum(outcome.finished for outcome in found), same),
        *(sum(len(getattr(outcome, name)) for outcome in found) for name in ("lost", "doubled")),
        sum(outcome.hung for outcome in found),
        *(sum(len(getattr(outcome, name)) for outcome in found) for name in ("tracebacks", "of_fireworks")),
        sum(len(outcome.findings) for outcome in found),
    )
    return tuple(map(str, numbers))


def faults_line(outcomes: Iterable[Outcome]) -> str:
    """How often each fault happened."""
    names = Counter(fault.split(":")[0] for outcome in outcomes for fault in outcome.faults)
    return "faults: " + ", ".join(f"{name} {number}" for name, number in sorted(names.items()))
