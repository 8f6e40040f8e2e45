"""Messages while given crystals are read, and about those left out."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from campaign.candidates.given.crystals import LeftOut
from campaign.candidates.given.reading import OnProgress
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.given import MadeCandidates, make_candidates
from campaign.views.results import csv_text
from esnet.commands.console import console, print_labelled, print_plain
from esnet.files.atomic import write_whole
from esnet.files.output_folder import OutputPlaceError

_LOG_EVERY_S = 15.0


@contextlib.contextmanager
def reading_progress() -> Iterator[OnProgress]:
    """Show the progress of reading on standard error: a bar on a terminal, otherwise an occasional line."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield _log_lines(out)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out, transient=True) as bars:
        tasks: dict[str, object] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(f"{what} crystals", total=total)
            bars.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

        yield show


def _log_lines(out: Console) -> OnProgress:
    latest = time.monotonic()

    def show(what: str, done: int, total: int | None) -> None:
        nonlocal latest
        if (now := time.monotonic()) - latest >= _LOG_EVERY_S:
            latest = now
            of_all = "" if total is None else f" of {total}"
            print_plain(out, f"{what} crystals: {done}{of_all}")

    return show


def make_and_report(spec: CampaignSpec, *, strict: bool, list_file: Path) -> MadeCandidates:
    """Make a campaign's candidates, and write a list of the crystals left out.

    Parameters
    ----------
    strict
        Raise if a crystal cannot be a candidate.
    list_file
        File for the list.

    Raises
    ------
    LeftOutError
        With `strict`, if crystals are left out; names them.
    """
    if spec.candidates.as_given is None:
        return make_candidates(spec)
    with reading_progress() as show:
        made = make_candidates(spec, on_progress=show)
    if strict:
        made.refuse_bad()
    report_left_out(made, list_file)
    return made


def report_left_out(made: MadeCandidates, list_file: Path) -> None:
    """Print how many crystals are left out and why, and list them in a file, replacing an old list."""
    if not made.left_out and not list_file.exists():
        return
    write_left_out(made.left_out, list_file)
    if made.left_out:
        n_read = sum(source.n_read for source in made.sources)
        out = console(stderr=True)
        print_labelled(
            out, "left out:", f"{len(made.left_out)} of {n_read} crystals ({made.counts()}), see {list_file}"
        )


def write_left_out(left_out: Sequence[LeftOut], file: Path) -> None:
    """Write the crystals left out as CSV: name, file, reason, detail.

    Raises
    ------
    OutputPlaceError
        If the file cannot be written.
    """
    rows = [(each.name, each.file, str(each.reason), each.detail) for each in left_out]
    try:
        write_whole(file, csv_text([("name", "file", "reason", "detail"), *rows]))
    except OSError as error:
        raise OutputPlaceError(
            f"{file} cannot be written: {error.strerror}; use --left-out to name another file for the list of "
            "crystals left out"
        ) from error
