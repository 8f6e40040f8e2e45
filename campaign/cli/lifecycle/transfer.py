"""The commands `campaign export` and `campaign import`: their options and help."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import DryRunOption, LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.lifecycle.transfer")
def export(
    name: NameArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File to write; an earlier export of the same campaign is replaced")
    ],
    launchpad: LaunchpadOption = None,
) -> None:
    """Write a whole campaign into one file, with which another database continues it (`campaign import`).

    The file holds all documents, features, outputs, models and reference sets, each part with its checksum; no
    credentials, no launch folders. The campaign may be running: what is being computed is not begun in the file.

    Example: campaign export my-alloys my-alloys.campaign
    """


@implemented_in("campaign.commands.lifecycle.transfer")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File that `campaign export` has written")],
    launchpad: LaunchpadOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Take a campaign from a file into this database, and submit what is due.

    The file is checked before anything is written. An import that was cut short is completed by the same command, and
    nothing of the campaign starts before; importing the same file again changes nothing.

    Example: campaign import my-alloys.campaign --dry-run
    """
