"""The command `campaign results`: the ranked table."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import typer

from campaign.commands.connection import read_campaign
from campaign.store.campaigns import Campaign
from campaign.views.export.formats import csv_texts, json_texts, write_parquet
from campaign.views.export.full_rows import FullRow, full_rows
from campaign.views.results import closing_lines, result_rows, rows_as_table, why_no_energy
from esnet.commands.console import console as _console
from esnet.commands.console import print_plain
from esnet.files.atomic import whole_file
from esnet.files.errors import require

_WIDE = {
    "state": "state",
    "group": "space_group",
    "group\nrelaxed": "relaxed_space_group",
    "decomposition": "decomposition",
}
"""Additional columns on a wide terminal."""


def results(
    *,
    name: str,
    launchpad: Path | None,
    format: Literal["table", "json", "csv", "parquet"],
    output: Path | None,
    structures: bool | None,
    wide: bool,
) -> None:
    """Print the candidates of a campaign, most stable first. Energies are in eV/atom, costs in CPU-s."""
    _refuse(format, output, structures=structures, wide=wide)
    campaign = read_campaign(launchpad, name)
    if format == "table":
        _print_table(campaign, wide=wide)
        if (note := why_no_energy(campaign)) is not None:
            print_plain(_console(), note)
        return
    if (note := why_no_energy(campaign)) is not None:
        print_plain(_console(stderr=True), note)
    with_structures = format != "csv" if structures is None else structures
    rows = full_rows(campaign)
    if output is None:
        for text in _texts(rows, format, structures=with_structures):
            sys.stdout.write(text)
        return
    with whole_file(output) as temporary:
        if format == "parquet":
            write_parquet(rows, temporary, structures=with_structures)
        else:
            with temporary.open("w", encoding="utf-8") as stream:
                stream.writelines(_texts(rows, format, structures=with_structures))
    print_plain(_console(stderr=True), f"written to {output}")


def _refuse(format: str, output: Path | None, *, structures: bool | None, wide: bool) -> None:
    """Refuse incompatible options before anything is read."""
    if format == "table" and (output is not None or structures is not None):
        raise typer.BadParameter(
            "the table contains no structures; right: add --format csv, json or parquet",
            param_hint="--output or --structures",
        )
    if wide and format != "table":
        raise typer.BadParameter(
            f"{format} contains all columns; --wide applies only to the table", param_hint="--wide"
        )
    if format == "parquet":
        require("pyarrow", extra="parquet")
        if output is None:
            raise typer.BadParameter("a Parquet file cannot be printed; right: --output FILE", param_hint="--format")
    if output is not None and (output.is_dir() or not output.resolve().parent.is_dir()):
        found = f"{output} is a folder" if output.is_dir() else f"the folder {output.resolve().parent} does not exist"
        raise typer.BadParameter(f"{found}; right: a file in an existing folder", param_hint="--output")


def _texts(rows: Iterable[FullRow], format: str, *, structures: bool) -> Iterable[str]:
    return (json_texts if format == "json" else csv_texts)(rows, structures=structures)


def _print_table(campaign: Campaign, *, wide: bool) -> None:
    console = _console()
    rows = result_rows(campaign)
    more = _more_columns(full_rows(campaign, rows)) if wide else None
    console.print(rows_as_table(rows, title=f"campaign {campaign.name}", more=more))
    print_plain(console, *closing_lines(campaign, rows))


def _more_columns(rows: Iterable[FullRow]) -> dict[str, list[str]]:
    more: dict[str, list[str]] = {heading: [] for heading in _WIDE}
    for row in rows:
        for heading, name in _WIDE.items():
            more[heading].append(str(getattr(row, name) or ""))
    return {heading: texts for heading, texts in more.items() if any(texts)}
