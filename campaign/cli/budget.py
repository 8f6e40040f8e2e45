"""The command `campaign budget`: what is spent, promised and left, and changing the limits of a running campaign."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption

_KEPT = "default: as it is"


@implemented_in("campaign.commands.budget")
def budget(
    name: NameArgument,
    cpu_hours: Annotated[str | None, typer.Option(help=f"CPU-hours of the whole campaign, or none; {_KEPT}")] = None,
    relaxation_cpu_hours: Annotated[
        str | None,
        typer.Option(help=f"CPU-hours of the relaxations of candidates, or none (the policy's own); {_KEPT}"),
    ] = None,
    relaxations: Annotated[
        str | None, typer.Option(help=f"Number of relaxations of candidates, or none; {_KEPT}")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help=f"Time with its zone, 2027-03-01T08:00:00Z, or none; {_KEPT}")
    ] = None,
    stop_after_stable: Annotated[str | None, typer.Option(help=f"Number of stable materials, or none; {_KEPT}")] = None,
    stop_after_no_discovery: Annotated[
        str | None, typer.Option(help=f"Number of relaxations in a row without a stable one, or none; {_KEPT}")
    ] = None,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a campaign has spent and has left; with options: change its limits, and let held candidates go on.

    `none` takes a limit away.

    Example: campaign budget my-alloys --cpu-hours 5000
    """
