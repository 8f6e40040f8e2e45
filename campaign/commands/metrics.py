"""The command `campaign metrics`: how good a campaign's decisions were, and how much they saved."""

import json
from pathlib import Path

import typer

from campaign.commands.connection import read_campaign
from campaign.views.metrics.campaign_metrics import campaign_metrics
from campaign.views.metrics.text import metrics_notes, metrics_table, sweep_note, sweep_table
from esnet.commands.console import console


def metrics(
    *, name: str, launchpad: Path | None, as_json: bool, sweep: bool, cpu_hours: float | None, confidence: float
) -> None:
    """Measure a campaign's decisions: success ratio, discoverability from the audit, cost, saving. Read-only."""
    if cpu_hours is not None and not sweep:
        raise typer.BadParameter("--cpu-hours sets the budget of --sweep; give both")
    campaign = read_campaign(launchpad, name)
    found = campaign_metrics(campaign, confidence=confidence, sweep=sweep, cpu_hours=cpu_hours)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1, allow_nan=False))
        return

    out = console()
    out.print(metrics_table(found))
    for note in metrics_notes(found):
        out.print(f"\n{note}", highlight=False, soft_wrap=True)
    if found.sweep is not None:
        if found.sweep.optima:
            out.print()
            out.print(sweep_table(found.sweep))
        out.print(f"\n{sweep_note(found.sweep)}", highlight=False, soft_wrap=True)
