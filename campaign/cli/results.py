"""The command `campaign results`: the ranked table."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from campaign.cli.database import LaunchpadOption, connect
from campaign.cli.options import NameArgument
from campaign.store.campaigns import Campaign
from esnet.commands.console import console as _console


class Format(StrEnum):
    """How `campaign results` prints."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def results(
    name: NameArgument,
    launchpad: LaunchpadOption = None,
    format: Annotated[Format, typer.Option(help="A table to read, or all fields as JSON or CSV")] = Format.TABLE,
) -> None:
    """Print the candidates of a campaign, the most stable first. Energies in eV/atom, cost in CPU-s.

    Example: campaign results quickstart --format csv
    """
    from campaign.store.collections import CampaignStore
    from campaign.views.results import (
        format_model,
        result_rows,
        rows_as_csv,
        rows_as_json,
        rows_as_table,
    )

    store = CampaignStore(connect(launchpad).db)
    rows = result_rows(Campaign.read(store, name))
    if format is Format.JSON:
        typer.echo(rows_as_json(rows))
    elif format is Format.CSV:
        typer.echo(rows_as_csv(rows), nl=False)
    else:
        console = _console()
        console.print(rows_as_table(rows, title=f"campaign {name}"))
        console.print(f"\n{format_model(Campaign.read(store, name))}", highlight=False)
