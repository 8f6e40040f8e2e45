"""Live display of `campaign run`: redrawn bars on a terminal, otherwise a dated line every half minute."""

import sys
import time
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from campaign.store.collections import now
from campaign.store.states import CandidateState
from campaign.views.status.counts import Status
from campaign.views.status.run_view import RunView
from campaign.views.status.running_jobs import RunningJob
from campaign.views.status.stages import StageShare
from campaign.views.status.time_left import format_left, format_since
from esnet.commands.console import LogsAbove, draws_on, print_dated, print_labelled

_LOG_EVERY_S = 30.0
_JOBS = 3
#: Columns of a bar, and those that its label and numbers take.
_BAR, _BESIDE = (6, 40), 34


def format_progress(view: RunView) -> str:
    """Format the state of a campaign in one line."""
    status = view.status
    parts = [f"references {_share(status.references)}"] if status.references["all"] else []
    if status.bootstrap["all"]:
        parts.append(f"training sample {_share(status.bootstrap)}")
    if status.prefilter is not None:
        parts.append(f"prefilter {_share(status.prefilter)}, {status.prefilter['rejected']} rejected")
    if status.needs_dos:
        parts.append(f"IS-DOS {_share(status.dos)}")
    if status.purpose == "screening" and status.needs_model:
        parts.append(_model(status))
    if status.promoted["all"]:
        parts.append(f"relaxed {_share(status.promoted)} promoted")
    parts += [_results(status), *([left] if (left := _time_left(view)) else [])]
    return " | ".join(parts)


def _results(status: Status) -> str:
    parts = [f"stable {status.stable}"]
    if failed := sum(status.failures.values()):
        parts.append(f"failed {failed}")
    if held := status.candidates.get(CandidateState.HELD):
        parts.append(f"held {held}")
    return " | ".join([*parts, f"{status.cpu_s:.0f} CPU-s"])


def _time_left(view: RunView) -> str:
    left = view.time_left
    if left is None or view.status.is_finished or view.status.is_paused or view.status.blocked is not None:
        return ""
    said = format_left(left)
    return f"{said} left" if said else ""


def _model(status: Status) -> str:
    if status.model is None:
        return "no model yet"
    if status.model["source"] == "bundle":
        return "model given"
    return "model trained" if status.model["number"] == 1 else f"model {status.model['number']} trained"


def _share(counts: dict[str, int]) -> str:
    return f"{counts['done']}/{counts['all']}"


class Progress:
    """Display of the state of a running campaign.

    Parameters
    ----------
    console
        Output console; if its lines cannot be redrawn, a line is printed every half minute.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._draws = draws_on(console)
        self._live: Live | None = None
        self._logs = LogsAbove()
        self._started = time.monotonic()
        self._logged: float | None = None
        self._problem: str | None = None
        self._paused = False

    def show(self, view: RunView) -> None:
        """Show the current state of the campaign, and once the problem that keeps it from continuing."""
        status = view.status
        if status.problem and status.problem != self._problem:
            label, text = status.labelled_problem
            print_labelled(self.console, f"{label}:", text)
        self._problem = status.problem
        if status.is_paused and not self._paused:
            print_labelled(self.console, f"campaign {status.name} is paused;", status.paused_note or "")
        self._paused = status.is_paused
        if self._draws:
            self._draw(view)
        elif self._logged is None or time.monotonic() - self._logged >= _LOG_EVERY_S or status.is_finished:
            self._logged = time.monotonic()
            paused = "paused | " if status.is_paused else ""
            print_dated(self.console, f"{paused}{format_progress(view)}")

    def _draw(self, view: RunView) -> None:
        picture = self._picture(view)
        if self._live is None:
            # drawn here alone, after each look: no thread, so nothing is written in the middle of another line
            self._live = Live(
                picture,
                console=self.console,
                auto_refresh=False,
                transient=True,
                redirect_stderr=sys.stderr.isatty(),  # what goes into a file stays there
            )
            self._live.start(refresh=True)
            self._logs.begin()
        self._live.update(picture, refresh=True)

    def _picture(self, view: RunView) -> RenderableType:
        elapsed = int(time.monotonic() - self._started)
        said = f"{elapsed // 60:d}:{elapsed % 60:02d}  "
        said += " | ".join(
            part
            for part in ("paused" if view.status.is_paused else "", _time_left(view), _results(view.status))
            if part
        )
        summary = Text(said, no_wrap=True, overflow="ellipsis")
        running = Text(f"running: {_running(view.jobs)}", style="dim", no_wrap=True, overflow="ellipsis")
        lines = [*self._bars(view.stages), summary, running]
        # what does not fit would push the lines above it away, one with every look
        room = self.console.size.height - 1
        return Group(*lines) if len(lines) <= room else Group(*lines[-2:][: max(room, 1)])

    def _bars(self, stages: list[StageShare]) -> Iterator[RenderableType]:
        least, most = _BAR
        width = min(max(self.console.size.width - _BESIDE, least), most)
        for stage in stages:
            table = Table.grid(padding=(0, 1))
            table.add_column(style="cyan", no_wrap=True, width=15)
            table.add_column(no_wrap=True, width=width)
            table.add_column(no_wrap=True, overflow="ellipsis")
            bar = ProgressBar(total=stage.whole, completed=min(stage.done, stage.whole), width=width)
            table.add_row(stage.title, bar, f"{stage.done}/{stage.whole}")
            yield table

    def close(self) -> None:
        """Remove the bars and show the cursor again."""
        if self._live is None:
            return
        try:
            self._logs.end()
            self._live.stop()
        finally:
            self.console.show_cursor(True)  # a second Ctrl-C may have come in between
        self._live = None


def _running(jobs: list[RunningJob]) -> str:
    """Format the number of running jobs and the longest of them: ``3: AlPd B2 relaxation (2 min), ...``."""
    running = [job for job in jobs if job.state == "RUNNING"]
    waiting = len(jobs) - len(running)
    said = [job.name + (f" ({age})" if (age := format_since(job.since, now())) else "") for job in running[:_JOBS]]
    more = f", {len(running) - _JOBS} more" if len(running) > _JOBS else ""
    queued = f"; {waiting} in the scheduler's queues" if waiting else ""
    return (f"{', '.join(said)}{more}" if running else "nothing") + queued
