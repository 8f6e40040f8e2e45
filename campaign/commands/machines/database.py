"""The commands `campaign db ...`: the embedded database."""

from pathlib import Path

import typer

from campaign.commands.connection import UNPROTECTED, data_dir_of, launchpad_file_of
from campaign.store.fireworks import initialise_launchpad
from esnet.commands.console import console, print_plain
from launchers.database.check import check_database
from launchers.database.settings import DatabaseSettings, DatabaseUnreachable, find_launchpad_file
from launchers.mongod import server as mongo
from launchers.mongod.server import ServerStatus


def start(*, launchpad: Path | None, data_dir: Path | None) -> None:
    """Start the database described by my_launchpad.yaml; does nothing if it already runs."""
    out = console()
    with launchpad_file_of(launchpad, out) as found:
        before = DatabaseSettings.from_file(found)
        folder = data_dir_of(found, data_dir)
        was_running = mongo.status(folder).running
        server = mongo.start(before, data_dir=folder)
    settings = DatabaseSettings.from_file(found)  # now includes the login
    new = initialise_launchpad(settings.launchpad(strm_lvl="WARNING"))
    print_plain(out, _line("already running" if was_running else "started", server))
    if not server.is_protected:
        print_plain(out, UNPROTECTED)
    elif before.user is None:
        print_plain(out, f"only you can use it; its password is in {_place_of_password(found)}")
    if new:
        out.print("an empty LaunchPad was created in it; `lpad` and `rlaunch` can be used")


def stop(*, launchpad: Path | None, data_dir: Path | None) -> None:
    """Stop the database cleanly; its data are kept."""
    folder = data_dir_of(find_launchpad_file(launchpad).resolve(), data_dir)
    before = mongo.status(folder)
    mongo.stop(folder)
    print_plain(console(), _line("stopped", before) if before.running else f"no database runs in {folder}")


def status(*, launchpad: Path | None, data_dir: Path | None) -> None:
    """Show whether the database runs, and where; exit code 1 if it does not."""
    found = find_launchpad_file(launchpad).resolve()
    settings = DatabaseSettings.from_file(found)
    folder = data_dir_of(found, data_dir)
    server = mongo.status(folder)
    out = console()
    if not server.running:
        try:
            check_database(settings)
        except DatabaseUnreachable:
            pass
        else:
            out.print(f"a database answers at {settings.address}; it was not started from {folder}", soft_wrap=True)
            return
        out.print(f"no database runs in {folder}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)
    out.print(_line("running", server), highlight=False, soft_wrap=True)
    if not server.is_protected:
        print_plain(out, UNPROTECTED)


def _place_of_password(launchpad_file: Path) -> str:
    place = launchpad_file.resolve()
    if place == launchpad_file:
        return f"{place}, which must stay out of version control"
    return f"{place}; git tracks {launchpad_file}, which is now a link to it: do not commit that file"


def _line(what: str, server: ServerStatus) -> str:
    return f"database {what}: {server.address}, process {server.pid}, data in {server.data_dir}"
