"""The command `campaign report`: a campaign as one HTML file, print figures, CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.database import LaunchpadOption, connect
from campaign.cli.options import NameArgument
from campaign.store.campaigns import Campaign


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
    from campaign.store.collections import CampaignStore
    from campaign.views.report.data import build_report
    from campaign.views.report.files import write_csv, write_figures, write_page
    from esnet.commands.console import console

    out = console()
    target = output or Path(f"{name}-report.html")
    data = build_report(Campaign.read(CampaignStore(connect(launchpad).db), name), map_of_dos=map_of_dos)
    write_page(data, target)
    out.print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)", highlight=False, soft_wrap=True)
    if figures is not None:
        written = write_figures(data, figures)
        out.print(f"{len(written)} figures in {figures}", highlight=False, soft_wrap=True)
    if csv is not None:
        written = write_csv(data, csv)
        out.print(f"{len(written)} tables in {csv}", highlight=False, soft_wrap=True)
    if open_it:
        import webbrowser

        if not webbrowser.open(target.resolve().as_uri()):
            out.print(f"no browser was found here: open {target.resolve()} yourself", soft_wrap=True)
