"""The command `campaign dashboard`: opens Ray's dashboard of a run on this machine."""

import webbrowser
from pathlib import Path

import typer

from campaign.runner import RAY_DASHBOARD, RAY_TOKEN
from esnet.commands.console import console, print_plain
from esnet.files.errors import UserError
from esnet.ray.allocation import private_text
from esnet.ray.dashboard_link import DashboardLink, answers

_WAIT_S = 300.0


class NoDashboardError(UserError, LookupError):
    """There is no Ray dashboard of that run; the message says what was looked at."""


def dashboard(*, name: str, directory: Path, no_open: bool) -> None:
    """Open Ray's dashboard of a campaign that `campaign run` runs on this machine."""
    folder, out = directory / name, console()
    try:
        address, token = private_text(folder / RAY_DASHBOARD), private_text(folder / RAY_TOKEN)
    except OSError:
        raise NoDashboardError(
            f"{folder / RAY_DASHBOARD} is not there: no `campaign run` of {name} with a model has begun in this "
            "folder; right: the folder that it was given with --directory, or that it was called in"
        ) from None
    if not address or not answers(address):
        raise NoDashboardError(
            f"the dashboard of {name} does not answer at {address or 'any address'}: the run has ended, or is on "
            "another machine"
        )
    with DashboardLink(address, token) as link:
        if no_open or not webbrowser.open(link.address):
            print_plain(out, f"open in a browser of this machine, once, within 5 minutes: {link.address}")
        if not link.used.wait(_WAIT_S):
            print_plain(out, "no browser came: the link is gone")
            raise typer.Exit(1)
    print_plain(out, f"opened {address}")
