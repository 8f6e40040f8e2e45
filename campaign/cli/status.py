"""The command `campaign status`: once, as JSON, or again and again until the campaign has ended."""

from __future__ import annotations

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption

_EVERY_S = 5.0
#: Looking for killed workers lasts longer than counting.
_RECONCILE_EVERY_S = 60.0


@implemented_in("campaign.commands.status")
def status(
    name: NameArgument,
    seconds: Annotated[
        float | None, typer.Argument(metavar="SECONDS", min=0.5, help="With --watch: between two looks; default 5")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until the campaign has ended or Ctrl-C")
    ] = False,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a campaign stands, and what `campaign reconcile` would repair. Read-only.

    Example: campaign status my-alloys --watch 10
    """
