"""The command `campaign dashboard`: opens Ray's dashboard of a run on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.machines.dashboard")
def dashboard(
    name: NameArgument,
    directory: Annotated[Path, typer.Option(help="Folder given to `campaign run` with --directory")] = Path("runs"),
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Do not start a browser; print a link that works once")
    ] = False,
) -> None:
    """Open Ray's dashboard of a `campaign run` on this machine, without pasting its token.

    The link is valid on this machine, works once, and expires after 5 minutes; the token appears in no address and no
    log.

    Example: campaign dashboard my-alloys
    """
