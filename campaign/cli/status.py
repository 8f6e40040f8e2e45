"""The command `campaign status`: its options and help."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.status")
def status(
    name: NameArgument,
    seconds: Annotated[
        float | None,
        typer.Argument(metavar="SECONDS", min=0.5, help="With --watch: seconds between two updates; default: 5"),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Update the display until the campaign is finished or Ctrl-C is pressed")
    ] = False,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the state of a campaign, and what `campaign reconcile` would repair. Read-only.

    Example: campaign status my-alloys --watch 10
    """
