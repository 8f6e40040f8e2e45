"""The command `campaign list`: its options and help."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.lifecycle.overview")
def list_campaigns(
    with_archived: Annotated[bool, typer.Option("--all", help="Include archived campaigns")] = False,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the campaigns of the database: state, running jobs, progress, discoveries, CPU-hours. Read-only.

    Example: campaign list --all
    """
