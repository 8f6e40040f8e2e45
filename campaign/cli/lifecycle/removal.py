"""The commands `campaign archive` and `campaign delete`: a campaign put away, or removed for good."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.lifecycle.removal")
def archive(
    name: NameArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Bring it back as it was")] = False,
    launchpad: LaunchpadOption = None,
) -> None:
    """Hide a campaign from lists, and its fireworks from workers. Nothing is lost; results can still be read.

    Only while nothing of it runs.

    Example: campaign archive my-alloys
    """


@implemented_in("campaign.commands.lifecycle.removal")
def delete(
    name: NameArgument,
    outputs: Annotated[
        bool, typer.Option(help="Also its outputs in the JobStore; those that another campaign took over stay")
    ] = True,
    features: Annotated[bool, typer.Option(help="Also its stored DOS (features)")] = True,
    files: Annotated[
        bool, typer.Option("--files", help="Also its launch folders on this machine; default: they stay")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for the campaign's name")] = False,
    launchpad: LaunchpadOption = None,
) -> None:
    """Remove a campaign for good: fireworks, candidates, results, ledger, outputs, features. Its name is free then.

    Only while nothing of it runs. A deletion that was interrupted is completed by the same command.

    Example: campaign delete my-alloys --files
    """
