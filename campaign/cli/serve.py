"""The command `campaign serve`: the live page."""

from __future__ import annotations

from typing import Annotated

import typer

from campaign.cli.database import LaunchpadOption, connect

TOKEN_VARIABLE = "ESNET_CAMPAIGN_SERVE_TOKEN"


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
            help=f"Ask for a token on this machine too, where others work on it; ${TOKEN_VARIABLE}, else a new one",
        ),
    ] = False,
    launchpad: LaunchpadOption = None,
) -> None:
    """Show all campaigns of the database in a browser, as `campaign report` does, refreshing by itself. Read-only.

    On another machine (a login node), reach it through ssh: `ssh -L 8642:127.0.0.1:8642 LOGIN-NODE`.

    Example: campaign serve --port 8642
    """
    import os
    import secrets

    from campaign.store.collections import CampaignStore
    from campaign.views.server.access import is_loopback
    from campaign.views.server.application import application
    from campaign.views.server.serving import listen, run
    from esnet.commands.console import console

    store = CampaignStore(connect(launchpad).db)
    token = None
    if with_token or not is_loopback(host):
        token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    app = application(store, host=host, token=token, refresh_s=refresh)
    with listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}/"
        out = console()
        out.print(
            f"campaigns at {address}" + (f"?token={token}" if token else ""),
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
        out.print("Ctrl-C ends it")
        run(app, listener)
