"""The command `campaign serve`: the live page."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.serve")
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any that is free")] = 8642,
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than this machine's own always asks for a token")
    ] = "127.0.0.1",
    refresh: Annotated[float, typer.Option(min=1.0, help="Seconds after which an open page looks again")] = 15.0,
    with_token: Annotated[
        bool,
        typer.Option(
            "--with-token",
            help="Ask for a token on this machine too, where others work on it; $ESNET_CAMPAIGN_SERVE_TOKEN, "
            "else a new one",
        ),
    ] = False,
    launchpad: LaunchpadOption = None,
) -> None:
    """Show all campaigns of the database in a browser, as `campaign report` does, refreshing by itself. Read-only.

    On another machine (a login node), reach it through ssh: `ssh -L 8642:127.0.0.1:8642 LOGIN-NODE`.

    Example: campaign serve --port 8642
    """
