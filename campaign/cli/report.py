"""The command `campaign report`: a campaign as one HTML file, figures for print, CSV files."""

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
    open_it: Annotated[bool, typer.Option("--open", help="Open the report in the browser")] = False,
    figures: Annotated[
        Path | None,
        typer.Option(
            "--figures", metavar="DIR", help="Also write every figure as PNG (300 dpi) and SVG; default: none"
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="DIR", help="Also write the tables with all rows as CSV; default: none"),
    ] = None,
    map_of_dos: Annotated[
        bool,
        typer.Option("--map/--no-map", help="Include the UMAP of the DOS; takes about half a minute the first time"),
    ] = True,
    launchpad: LaunchpadOption = None,
) -> None:
    """Write a self-contained HTML report of a campaign: figures, tables, structures. Read-only.

    Example: campaign report quickstart --output quickstart.html --figures figures --csv tables
    """
