"""A report as files, each there as a whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from campaign.views.report.data import ReportData
from campaign.views.report.page import render_html
from campaign.views.report.print_figures import PRINT_DPI, print_figures
from campaign.views.report.tables import csv_texts
from esnet.files.atomic import write_whole
from esnet.files.errors import UserError, require
from esnet.files.figures import save_figure


class ReportFileError(UserError, OSError):
    """A file of a report cannot be written there."""


def write_page(data: ReportData, file: Path) -> None:
    """Write the page; a former one of that name is replaced.

    Raises
    ------
    ReportFileError
        If it cannot be written there.
    """
    if not file.parent.is_dir():
        raise ReportFileError(f"the folder {file.parent.resolve()} does not exist; create it, or give another --output")
    if file.is_dir():
        raise ReportFileError(f"{file} is a folder; right: the name of a file, e.g. {file / 'report.html'}")
    html = render_html(data)
    try:
        write_whole(file, html)
    except OSError as error:
        raise ReportFileError(f"{file} cannot be written: {error.strerror}") from error


def write_figures(data: ReportData, folder: Path) -> list[Path]:
    """Write every figure that there are numbers for as PNG (300 dpi) and SVG.

    Raises
    ------
    ReportFileError
        If the folder cannot be made or written to.
    """
    require("matplotlib", extra="report")
    written = []
    with _writing("figures", folder):
        for name, figure in print_figures(data):
            written += save_figure(figure, folder / name, dpi=PRINT_DPI, fonttype="none")
    return written


def write_csv(data: ReportData, folder: Path) -> list[Path]:
    """Write the tables, all rows.

    Raises
    ------
    ReportFileError
        If the folder cannot be made or written to.
    """
    texts = {folder / name: text for name, text in csv_texts(data).items()}
    with _writing("tables", folder):
        for file, text in texts.items():
            write_whole(file, text)
    return list(texts)


@contextmanager
def _writing(what: str, folder: Path) -> Iterator[None]:
    """Make a folder to write into."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ReportFileError(f"{folder}: {what} cannot be written: {error.strerror}") from error
