"""The command `campaign serve`: the live page."""

import os
import secrets
from pathlib import Path

from campaign.commands.connection import connect
from campaign.store.collections import CampaignStore
from campaign.views.server.access import is_loopback
from campaign.views.server.application import application
from campaign.views.server.serving import listen, run
from esnet.commands.console import console, print_plain

TOKEN_VARIABLE = "ESNET_CAMPAIGN_SERVE_TOKEN"


def serve(*, port: int, host: str, refresh: float, with_token: bool, launchpad: Path | None) -> None:
    """Show all campaigns of the database in a browser, as `campaign report` does, with automatic refresh. Read-only."""
    store = CampaignStore(connect(launchpad).db)
    token = None
    if with_token or not is_loopback(host):
        token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    app = application(store, host=host, token=token, refresh_s=refresh)
    with listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}/"
        out = console()
        print_plain(out, f"campaigns at {address}" + (f"?token={token}" if token else ""))
        out.print("Ctrl-C stops it")
        run(app, listener)
