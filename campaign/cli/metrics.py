"""The command `campaign metrics`: how good a campaign's decisions were, and what they saved."""

from __future__ import annotations

from typing import Annotated

import typer

from campaign.cli.database import LaunchpadOption, connect
from campaign.cli.options import NameArgument
from campaign.store.campaigns import Campaign


def metrics(
    name: NameArgument,
    launchpad: LaunchpadOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also compare other thresholds on the candidates that are relaxed")
    ] = False,
    cpu_hours: Annotated[
        float | None,
        typer.Option(
            "--cpu-hours",
            min=0.0,
            help="With --sweep: also what finds most within so many CPU-hours; default: not asked",
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence", min=0.5, max=0.999, help="Level of the interval for the discoverability, a fraction"
        ),
    ] = 0.95,
) -> None:
    """Measure a campaign's decisions: success ratio, discoverability from the audit, cost, saving. It is only read.

    Example: campaign metrics quickstart --sweep
    """
    import json as json_module

    from campaign.store.collections import CampaignStore
    from campaign.views.metrics.campaign_metrics import campaign_metrics

    if cpu_hours is not None and not sweep:
        raise typer.BadParameter("--cpu-hours is a budget for --sweep: give both")
    store = CampaignStore(connect(launchpad).db)
    found = campaign_metrics(Campaign.read(store, name), confidence=confidence, sweep=sweep, cpu_hours=cpu_hours)
    if json:
        typer.echo(json_module.dumps(found.to_dict(), indent=1, allow_nan=False))
        return
    from campaign.views.metrics.text import metrics_notes, metrics_table, sweep_note, sweep_table
    from esnet.commands.console import console

    out = console()
    out.print(metrics_table(found))
    for note in metrics_notes(found):
        out.print(f"\n{note}", highlight=False, soft_wrap=True)
    if found.sweep is not None:
        if found.sweep.optima:
            out.print()
            out.print(sweep_table(found.sweep))
        out.print(f"\n{sweep_note(found.sweep)}", highlight=False, soft_wrap=True)
