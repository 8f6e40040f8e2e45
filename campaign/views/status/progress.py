"""The live display of `campaign run`: a line that is redrawn on a terminal, a line now and then in a log file."""

import time

from rich.console import Console
from rich.status import Status as Spinner

from campaign.views.status.counts import Status
from esnet.commands.console import print_labelled

_LOG_EVERY_S = 30.0


def _format_progress(status: Status) -> str:
    """Where a campaign stands, in one line."""
    parts = [f"references {_share(status.references)}"]
    if status.bootstrap["all"]:
        parts.append(f"training sample {_share(status.bootstrap)}")
    if status.needs_dos:
        parts.append(f"IS-DOS {_share(status.dos)}")
    if status.purpose == "screening" and status.needs_model:
        parts.append(_model(status))
    if status.promoted["all"]:
        parts.append(f"relaxed {_share(status.promoted)} promoted")
    parts.append(f"stable {status.stable}")
    failed = sum(status.failures.values())
    if failed:
        parts.append(f"failed {failed}")
    seconds = sum(cost["cpu_s"] for cost in status.cost.values())
    parts.append(f"{seconds:.0f} CPU-s")
    return " | ".join(parts)


def _model(status: Status) -> str:
    if status.model is None:
        return "no model yet"
    return "model trained" if status.model["number"] == 1 else f"model {status.model['number']} trained"


def _share(counts: dict[str, int]) -> str:
    return f"{counts['done']}/{counts['all']}"


class Progress:
    """Shows where a campaign stands while it runs.

    Parameters
    ----------
    console
        Where to; where it is no terminal, a line is printed every half minute.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._spinner: Spinner | None = None
        self._started = time.monotonic()
        self._logged: float | None = None
        self._problem: str | None = None
        self._paused = False

    def show(self, status: Status) -> None:
        """Show where the campaign stands now, and once what keeps it from going on."""
        if status.problem and status.problem != self._problem:
            print_labelled(self.console, "problem:", status.problem)
        self._problem = status.problem
        if status.is_paused and not self._paused:
            print_labelled(self.console, f"campaign {status.name} is paused;", status.paused_note or "")
        self._paused = status.is_paused
        elapsed = int(time.monotonic() - self._started)
        paused = "paused | " if status.is_paused else ""
        line = f"{elapsed // 60:d}:{elapsed % 60:02d}  {paused}{_format_progress(status)}"
        if self.console.is_terminal:
            if self._spinner is None:
                self._spinner = self.console.status(line)
                self._spinner.start()
            self._spinner.update(line)
        elif self._logged is None or time.monotonic() - self._logged >= _LOG_EVERY_S or status.is_finished:
            self._logged = time.monotonic()
            self.console.print(line, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the line away."""
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None
