"""Files of a report, each written atomically."""

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
    """A file of a report cannot be written."""


def write_page(data: ReportData, file: Path) -> None:
    """Write the page, replacing an existing file.

    Raises
    ------
    ReportFileError
        If the file cannot be written.
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
    """Write every figure that has data as PNG (300 dpi) and SVG, and return the paths.

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
    """Write the complete tables as CSV files and return their paths.

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
    """Create a folder to write into, and convert write errors to ReportFileError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ReportFileError(f"{folder}: {what} cannot be written: {error.strerror}") from error
