"""The command `campaign budget`: what is spent, reserved and left, and changes to the limits of a running campaign."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption

_KEPT = "default: unchanged"


@implemented_in("campaign.commands.budget")
def budget(
    name: NameArgument,
    cpu_hours: Annotated[str | None, typer.Option(help=f"CPU-hours for the whole campaign, or none; {_KEPT}")] = None,
    relaxation_cpu_hours: Annotated[
        str | None,
        typer.Option(help=f"CPU-hours for the relaxations of candidates, or none (the policy's own limit); {_KEPT}"),
    ] = None,
    relaxations: Annotated[
        str | None, typer.Option(help=f"Maximum number of relaxations of candidates, or none; {_KEPT}")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help=f"Time with time zone, e.g. 2027-03-01T08:00:00Z, or none; {_KEPT}")
    ] = None,
    stop_after_stable: Annotated[
        str | None, typer.Option(help=f"Stop after this number of stable materials, or none; {_KEPT}")
    ] = None,
    stop_after_no_discovery: Annotated[
        str | None,
        typer.Option(
            help=f"Stop after this number of consecutive relaxations without a stable material, or none; {_KEPT}"
        ),
    ] = None,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a campaign has spent and has left. Options change its limits and release held candidates.

    `none` removes a limit.

    Example: campaign budget my-alloys --cpu-hours 5000
    """
