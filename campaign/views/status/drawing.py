"""`campaign status` on a terminal of 60 or more columns: events first, details below."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from campaign.config.wording import format_count
from campaign.store.states import STAGES
from campaign.views.history import format_history
from campaign.views.status.funnel import FunnelStep
from campaign.views.status.recalibration import format_recalibration
from campaign.views.status.report import StatusReport
from campaign.views.status.scoring import format_scoring
from campaign.views.status.words import (
    format_last_day,
    format_prediction_quality,
    format_spent,
    format_stage,
    format_time_left,
    format_workers,
)

_BAR = 10
_LABEL = 11


def draw(report: StatusReport, *, notes: tuple[str, ...] = ()) -> Group:
    """Return a report rendered for a terminal, followed by notes, e.g. on repairs."""
    return Group(*_parts(report), *(_line("note", note) for note in notes))


def _parts(report: StatusReport) -> Iterator[RenderableType]:
    status = report.status
    yield _title(report)
    if status.problem:
        yield _line(*status.labelled_problem, style="red")
    if report.budget.closed:
        yield _line("budget", f"nothing more is submitted: {report.budget.closed}", style="yellow")
    yield _line("24 h", format_last_day(report))
    yield _line("time left", format_time_left(report))
    yield _line("CPU-hours", format_spent(report.budget))
    yield _funnel(report.funnel)
    yield from _preparations(report)
    if report.pace.stages:
        yield _heading("rates")
        yield _rates(report)
    yield _heading("queues")
    yield _queues(report)
    yield from _discoveries(report)
    if status.purpose == "screening":
        yield _heading("predictions")
        yield from _predictions(report)
    yield from _failures(report)
    if report.changes:
        yield _heading("last changes")
        yield from (Text(line) for line in format_history(report.changes))
    yield _line("engine", _engine(report), style="dim")


def _line(label: str, content: str, *, style: str = "") -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="cyan", no_wrap=True, min_width=_LABEL)
    table.add_column(overflow="fold")
    table.add_row(label, Text(content, style))
    return table


def _heading(title: str) -> Text:
    return Text(title, "bold")


def _title(report: StatusReport) -> Text:
    state = report.status.state
    title = Text(f"campaign {report.status.name}: ", "bold")
    title.append(state, "bold green" if report.status.is_finished else "bold")
    return title.append(f"   {report.at[:16].replace('T', ' ')} UTC", "dim")


def _funnel(steps: list[FunnelStep]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="cyan", no_wrap=True, min_width=_LABEL)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    whole = max([step.number for step in steps], default=0)
    for step in steps:
        share = step.number / whole if whole else 0.0
        full = round(share * _BAR) or (1 if step.number else 0)
        rest = ", ".join(f"{number} {what}" for what, number in step.rest.items())
        table.add_row(step.title, str(step.number), Text("█" * full + "·" * (_BAR - full), "green"), rest)
    return table


def _preparations(report: StatusReport) -> Iterator[Table]:
    """References and training sample."""
    status = report.status
    if status.references["all"]:
        yield _line("references", f"{status.references['done']}/{status.references['all']} relaxed")
    if status.bootstrap["all"] and status.purpose == "screening":
        yield _line("training", f"{status.bootstrap['done']}/{status.bootstrap['all']} relaxed")


def _table(*headings: str, numbers: int) -> Table:
    """Table whose first `numbers` columns after the name are numbers."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", show_edge=False)
    for place, heading in enumerate(headings):
        is_number = 0 < place <= numbers
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    return table


def _rates(report: StatusReport) -> Table:
    pace = report.pace
    window = f"per hour ({pace.hours:.2g} h)" if pace.hours else "per hour"
    table = _table("", window, "in 24 h", "CPU-s each", numbers=3)
    for stage, rate in pace.stages.items():
        mean = "" if rate.mean_cpu_s is None else f"{rate.mean_cpu_s:.1f}"
        table.add_row(STAGES[stage].title, f"{rate.per_hour:.1f}", str(rate.ended), mean)
    return table


def _queues(report: StatusReport) -> RenderableType:
    if not report.queues:
        return Text("nothing is queued" if not report.status.is_finished else "nothing is left to run", "dim")
    table = _table("", "running", "queued", "ready", "workers, scheduler's jobs", numbers=3)
    for queue in report.queues:
        numbers = [str(number) for number in (queue.running, queue.reserved, queue.ready)]
        table.add_row(queue.category, *numbers, Text(format_workers(queue), "dim"))
    return table


def _discoveries(report: StatusReport) -> Iterator[RenderableType]:
    yield _heading(f"stable: {report.status.stable}" + (", the newest:" if report.discoveries else ""))
    if not report.discoveries:
        return
    table = _table("", "E_f", "E_hull", "found (UTC)", "", numbers=2)
    for found in report.discoveries:
        name = Text(f"{found.formula} {found.prototype}")
        e_f, e_hull = f"{found.e_form:+.3f}", f"{found.e_hull:+.3f}"
        table.add_row(name, e_f, e_hull, _time(found.time), "" if found.found_by == "promoted" else found.found_by)
    yield table


def _time(time: str | None) -> str:
    return "" if time is None else time[5:16].replace("T", " ")


def _predictions(report: StatusReport) -> Iterator[RenderableType]:
    status = report.status
    if status.scorer is not None and not status.needs_model:
        yield _line("scorer", status.scorer)
    elif status.model is None:
        yield _line("model", "not trained yet")
    else:
        number = status.model["number"]
        which = f", number {number} of {number}" if number > 1 else ""
        trained = f"trained on {status.model['n_structures']} materials"
        yield _line("model", f"{trained}, {status.model['checksum'][:12]}{which}")
    if report.recalibration is not None:
        yield _line("correction", format_recalibration(report.recalibration))
    if report.scoring.predicted:
        yield _line("scoring", format_scoring(report.scoring))
    yield _line("so far", format_prediction_quality(report.predictions))
    if status.needs_model and report.predictions_of_model.n != report.predictions.n:
        yield _line("this model", format_prediction_quality(report.predictions_of_model))


def _failures(report: StatusReport) -> Iterator[RenderableType]:
    if not report.failures:
        return
    counts = ", ".join(
        f"{format_count(found.number, format_stage(found.stage))} ({found.kind})" for found in report.failures
    )
    yield _heading("failed permanently")
    yield Text(f"{counts}; `campaign failures {report.status.name}` for details")
    for found in report.newest_failures:
        line = Text(f"{_time(found.time)} ", "dim", no_wrap=True, overflow="ellipsis")
        yield line.append(f"{found.formula} {format_stage(found.stage)}: {found.error}", "not dim")


def _engine(report: StatusReport) -> str:
    quality = ", fast: coarse k-points, for examples only" if report.status.quality == "fast" else ""
    return f"{report.status.engine}{quality}"
