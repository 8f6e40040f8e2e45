"""The command `campaign import`: its options and help."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import DryRunOption, LaunchpadOption
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.lifecycle.transfer")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File written by `campaign export`")],
    launchpad: LaunchpadOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Import a campaign from a file into this database, and submit all work that is due.

    The file is checked before anything is written. The same command completes an interrupted import, and nothing of the
    campaign starts before that. Importing the same file again changes nothing.

    Example: campaign import my-alloys.campaign --dry-run
    """
