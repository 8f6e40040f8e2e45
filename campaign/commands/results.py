"""The command `campaign results`: the ranked table."""

from pathlib import Path
from typing import Literal

import typer

from campaign.commands.connection import read_campaign
from campaign.views.results import format_model, result_rows, rows_as_csv, rows_as_json, rows_as_table
from esnet.commands.console import console as _console
from esnet.commands.console import printable


def results(*, name: str, launchpad: Path | None, format: Literal["table", "json", "csv"]) -> None:
    """Print the candidates of a campaign, the most stable first. Energies in eV/atom, cost in CPU-s."""
    campaign = read_campaign(launchpad, name)
    rows = result_rows(campaign)
    if format == "json":
        typer.echo(rows_as_json(rows))
    elif format == "csv":
        typer.echo(printable(rows_as_csv(rows)), nl=False)
    else:
        console = _console()
        console.print(rows_as_table(rows, title=f"campaign {name}"))
        console.print(f"\n{format_model(campaign)}", highlight=False)
