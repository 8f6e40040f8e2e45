"""The command `campaign dashboard`: opens Ray's dashboard of a run on this machine."""

import html
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from campaign.runner import RAY_DASHBOARD, RAY_TOKEN
from esnet.commands.console import console, print_plain
from esnet.files.errors import UserError
from esnet.ray.allocation import private_text
from esnet.ray.credentials import write_private
from esnet.ray.dashboard_link import DashboardLink, answers

_WAIT_S = 300.0


class NoDashboardError(UserError, LookupError):
    """There is no Ray dashboard of that run; the message says what was checked."""


def dashboard(*, name: str, directory: Path, no_open: bool) -> None:
    """Open Ray's dashboard of a campaign run by `campaign run` on this machine."""
    folder, out = directory / name, console()
    try:
        address, token = private_text(folder / RAY_DASHBOARD), private_text(folder / RAY_TOKEN)
    except OSError:
        raise NoDashboardError(
            f"{folder / RAY_DASHBOARD} does not exist: no `campaign run` of {name} with a model is running in this "
            "folder; right: the folder given with its --directory, or the one in which it was started"
        ) from None
    if not address or not answers(address, token):
        raise NoDashboardError(
            f"the dashboard of {name} does not answer at {address or 'any address'}: the run has finished, or is on "
            "another machine"
        )
    with DashboardLink(address, token) as link:
        by_hand = f"open in a browser of this machine, once, within 5 minutes: {link.address}"
        if no_open:
            print_plain(out, by_hand)
            came = link.used.wait(_WAIT_S)
        else:
            print_plain(out, f"opening {address} in a browser, 5 minutes at most (--no-open prints a link instead)")
            with _page(folder, link.address) as page:
                if not webbrowser.open(page.as_uri()):
                    print_plain(out, by_hand)
                came = link.used.wait(_WAIT_S)
        if not came:
            print_plain(out, "no browser opened the link: it has expired")
            raise typer.Exit(1)
    print_plain(out, f"opened {address}")


@contextmanager
def _page(folder: Path, address: str) -> Iterator[Path]:
    """Write a page that redirects to the link, which a browser's command line would show to every user.

    It is not in /tmp, which sandboxed browsers (snap, flatpak) cannot read.
    """
    with tempfile.TemporaryDirectory(prefix="dashboard-", dir=folder.resolve()) as made:
        link = html.escape(address)
        text = f'<!doctype html><meta http-equiv="refresh" content="0; url={link}"><a href="{link}">Ray dashboard</a>'
        yield write_private(Path(made) / "open.html", text + "\n")
