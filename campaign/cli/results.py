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
        typer.Option(help="A table to read, or all columns for another program"),
    ] = "table",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="File to write, in place of a former one; default: print it"
        ),
    ] = None,
    structures: Annotated[
        bool | None,
        typer.Option(
            "--structures/--no-structures",
            help="Unrelaxed and relaxed structure of each candidate: pymatgen's dictionary in JSON and Parquet, CIF in "
            "CSV; default: in JSON and Parquet",
        ),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Table with state, space groups and decomposition too: for wide terminals")
    ] = False,
) -> None:
    """Print the candidates of a campaign, the most stable first. Energies in eV/atom, cost in CPU-s.

    Example: campaign results quickstart --format csv --output quickstart.csv
    """
