"""The command `campaign results`: the ranked table."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.results")
def results(
    name: NameArgument,
    launchpad: LaunchpadOption = None,
    format: Annotated[
        Literal["table", "json", "csv", "parquet"],
        typer.Option(help="Table for reading, or all columns for another program"),
    ] = "table",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="File to write; an existing file is replaced; default: print"
        ),
    ] = None,
    structures: Annotated[
        bool | None,
        typer.Option(
            "--structures/--no-structures",
            help="Include the unrelaxed and relaxed structure of each candidate: pymatgen dictionary in JSON and "
            "Parquet, CIF in CSV; default: included in JSON and Parquet",
        ),
    ] = None,
    wide: Annotated[
        bool,
        typer.Option("--wide", help="Also show state, space groups and decomposition in the table, for wide terminals"),
    ] = False,
) -> None:
    """Print the candidates of a campaign, most stable first. Energies are in eV/atom, costs in CPU-s.

    Example: campaign results quickstart --format csv --output quickstart.csv
    """
