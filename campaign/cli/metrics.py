"""The command `campaign metrics`: how good a campaign's decisions were, and how much they saved."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.metrics")
def metrics(
    name: NameArgument,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also compare other thresholds on the relaxed candidates")
    ] = False,
    cpu_hours: Annotated[
        float | None,
        typer.Option(
            "--cpu-hours",
            min=0.0,
            help="With --sweep: also the threshold that finds most within this number of CPU-hours; default: off",
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence",
            min=0.5,
            max=0.999,
            help="Confidence level of the interval for the discoverability, as a fraction",
        ),
    ] = 0.95,
) -> None:
    """Measure a campaign's decisions: success ratio, discoverability from the audit, cost, saving. Read-only.

    Example: campaign metrics quickstart --sweep
    """
