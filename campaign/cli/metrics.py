"""The command `campaign metrics`: how good a campaign's decisions were, and what they saved."""

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
