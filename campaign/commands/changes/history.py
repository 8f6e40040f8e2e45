"""The command `campaign history`."""

import json
from pathlib import Path

import typer

from campaign.commands.connection import read_campaign
from campaign.views.history import campaign_history, format_history
from esnet.commands.console import console, print_plain


def history(*, name: str, launchpad: Path | None, as_json: bool) -> None:
    """Show the changes made to a campaign since it started: when, by whom, and the previous values."""
    found = campaign_history(read_campaign(launchpad, name))
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        print_plain(console(), *format_history(found))
