"""A report as files, each there as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

from campaign.views.report.data import ReportData
from campaign.views.report.page import render_html
from campaign.views.report.print_figures import PRINT_DPI, print_figures
from campaign.views.report.tables import csv_texts
from esnet.files.atomic import whole_file, write_whole
from esnet.files.errors import UserError, require


class ReportFileError(UserError, OSError):
    """A file of a report cannot be written there."""


def write_page(data: ReportData, file: Path) -> None:
    """Write the page; a former one of that name is replaced.

    Raises
    ------
    ReportFileError
        If it cannot be written there.
    """
    _require_folder(file.parent)
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
    matplotlib = require("matplotlib", extra="report")
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # text stays text, and the same numbers give the same file
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "esnet"}):
            for name, figure in print_figures(data):
                for kind, metadata in (("png", None), ("svg", {"Date": None})):
                    file = folder / f"{name}.{kind}"
                    with whole_file(file) as temporary:
                        figure.savefig(temporary, format=kind, dpi=PRINT_DPI, metadata=metadata)
                    written.append(file)
    except OSError as error:
        raise ReportFileError(f"{folder}: figures cannot be written: {error.strerror}") from error
    return written


def write_csv(data: ReportData, folder: Path) -> list[Path]:
    """Write the tables, all rows.

    Raises
    ------
    ReportFileError
        If the folder cannot be made or written to.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in csv_texts(data).items():
            write_whole(folder / name, text)
            written.append(folder / name)
    except OSError as error:
        raise ReportFileError(f"{folder}: tables cannot be written: {error.strerror}") from error
    return written


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ReportFileError(f"the folder {folder.resolve()} does not exist; make it, or give another --output")
