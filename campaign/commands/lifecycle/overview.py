"""The command `campaign list`: every campaign of the database."""

import json
from pathlib import Path

import typer

from campaign.commands.connection import connect
from campaign.store.collections import CampaignStore
from campaign.views.campaign_list import campaign_rows, campaign_table
from esnet.commands.console import console, print_plain


def list_campaigns(*, with_archived: bool, launchpad: Path | None, as_json: bool) -> None:
    """List the campaigns of the database: state, running jobs, progress, discoveries, CPU-hours. Read-only."""
    store = CampaignStore(connect(launchpad).db)
    rows = campaign_rows(store, archived=with_archived)
    if as_json:
        typer.echo(json.dumps([row.to_dict() for row in rows], indent=1))
        return
    if rows:
        console().print(campaign_table(rows))
        return
    hidden = not with_archived and bool(campaign_rows(store, archived=True))
    print_plain(console(), "all campaigns are archived: see `campaign list --all`" if hidden else "no campaign yet")
