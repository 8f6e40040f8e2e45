"""The command `campaign import`: its options and help."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import DryRunOption, LaunchpadOption
from esnet.cli.lazy import implemented_in


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
