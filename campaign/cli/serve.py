"""The command `campaign serve`: the live page."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.serve")
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free port")] = 8642,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any address other than loopback requires a token")
    ] = "127.0.0.1",
    refresh: Annotated[float, typer.Option(min=1.0, help="Seconds between refreshes of an open page")] = 15.0,
    with_token: Annotated[
        bool,
        typer.Option(
            "--with-token",
            help="Require a token on loopback too, for a machine with other users; from $ESNET_CAMPAIGN_SERVE_TOKEN, "
            "else a new one",
        ),
    ] = False,
    launchpad: LaunchpadOption = None,
) -> None:
    """Show all campaigns of the database in a browser, as `campaign report` does, with automatic refresh. Read-only.

    To reach it on another machine (a login node), use ssh: `ssh -L 8642:127.0.0.1:8642 LOGIN-NODE`.

    Example: campaign serve --port 8642
    """
