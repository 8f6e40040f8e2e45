"""The command `campaign report`: a campaign as one HTML file, print figures, CSV files."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.report")
def report(
    name: NameArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="HTML file; default: NAME-report.html")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser")] = False,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="DIR", help="Also every figure as PNG (300 dpi) and SVG; default: none"),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="DIR", help="Also the tables as CSV, all rows; default: none")
    ] = None,
    map_of_dos: Annotated[
        bool, typer.Option("--map/--no-map", help="The UMAP of the DOS: half a minute when it is made first")
    ] = True,
    launchpad: LaunchpadOption = None,
) -> None:
    """Write a campaign as one HTML file that needs no network: figures, tables, structures. It is only read.

    Example: campaign report quickstart --output quickstart.html --figures figures --csv tables
    """
