"""The command `campaign report`: a campaign as one HTML file, print figures, CSV files."""

import webbrowser
from pathlib import Path

from campaign.commands.connection import read_campaign
from campaign.config.wording import format_count
from campaign.views.report.data import build_report
from campaign.views.report.files import write_csv, write_figures, write_page
from esnet.commands.console import console


def report(
    *,
    name: str,
    output: Path | None,
    open_it: bool,
    figures: Path | None,
    csv: Path | None,
    map_of_dos: bool,
    launchpad: Path | None,
) -> None:
    """Write a campaign as one self-contained HTML file: figures, tables, structures. Read-only."""
    out = console()
    target = output or Path(f"{name}-report.html")
    data = build_report(read_campaign(launchpad, name), map_of_dos=map_of_dos)
    write_page(data, target)
    out.print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)", highlight=False, soft_wrap=True)
    if figures is not None:
        written = write_figures(data, figures)
        out.print(f"{format_count(len(written), 'figure')} in {figures}", highlight=False, soft_wrap=True)
    if csv is not None:
        written = write_csv(data, csv)
        out.print(f"{format_count(len(written), 'table')} in {csv}", highlight=False, soft_wrap=True)
    if open_it and not webbrowser.open(target.resolve().as_uri()):
        out.print(f"no browser was found; open {target.resolve()} manually", soft_wrap=True)
