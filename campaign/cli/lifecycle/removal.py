"""The commands `campaign archive` and `campaign delete`: a campaign is hidden, or permanently removed."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.lifecycle.removal")
def archive(
    name: NameArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Restore the campaign as it was")] = False,
    launchpad: LaunchpadOption = None,
) -> None:
    """Hide a campaign from lists and its fireworks from workers. Nothing is lost; results can still be read.

    Possible only while nothing of the campaign runs.

    Example: campaign archive my-alloys
    """


@implemented_in("campaign.commands.lifecycle.removal")
def delete(
    name: NameArgument,
    outputs: Annotated[
        bool, typer.Option(help="Also delete its outputs in the JobStore; those reused by another campaign are kept")
    ] = True,
    features: Annotated[bool, typer.Option(help="Also delete its stored DOS (features)")] = True,
    files: Annotated[
        bool, typer.Option("--files", help="Also delete its launch folders on this machine; default: keep them")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for the campaign's name")] = False,
    launchpad: LaunchpadOption = None,
) -> None:
    """Permanently remove a campaign: fireworks, candidates, results, ledger, outputs, features. Its name can be reused.

    Possible only while nothing of the campaign runs. The same command completes an interrupted deletion.

    Example: campaign delete my-alloys --files
    """
