"""The command `campaign dashboard`: opens Ray's dashboard of a run on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.machines.dashboard")
def dashboard(
    name: NameArgument,
    directory: Annotated[Path, typer.Option(help="Folder that `campaign run` was given with --directory")] = Path(
        "runs"
    ),
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Start no browser: print a link that opens it once")
    ] = False,
) -> None:
    """Open Ray's dashboard of a campaign that `campaign run` runs on this machine, without its token being pasted.

    The link is of this machine, works once, and is gone after 5 minutes; the token is in no address and in no log.

    Example: campaign dashboard my-alloys
    """
