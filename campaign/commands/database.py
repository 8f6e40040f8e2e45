"""The commands `campaign db ...`: the embedded database."""

from pathlib import Path

import typer

from campaign.commands.connection import data_dir_of
from campaign.store.fireworks import initialise_launchpad
from esnet.commands.console import console, print_plain
from launchers.database.check import check_database
from launchers.database.errors import LaunchpadFileError
from launchers.database.launchpad_file import write_embedded_launchpad_file
from launchers.database.settings import DatabaseSettings, DatabaseUnreachable, find_launchpad_file
from launchers.mongod import server as mongo
from launchers.mongod.server import ServerStatus


def start(*, launchpad: Path | None, data_dir: Path | None) -> None:
    """Start the database that my_launchpad.yaml describes; harmless where it runs already."""
    out = console()
    try:
        found = find_launchpad_file(launchpad).resolve()
    except LaunchpadFileError:
        if launchpad is not None:
            raise
        found = write_embedded_launchpad_file(Path.cwd())
        out.print(f"wrote {found}", highlight=False, soft_wrap=True)
    settings = DatabaseSettings.from_file(found)
    folder = data_dir_of(found, data_dir)
    was_running = mongo.status(folder).running
    server = mongo.start(settings, data_dir=folder)
    new = initialise_launchpad(settings.launchpad(strm_lvl="WARNING"))
    out.print(_line("already running" if was_running else "started", server), highlight=False, soft_wrap=True)
    if new:
        out.print("an empty LaunchPad was made in it: `lpad` and `rlaunch` can be used")


def stop(*, launchpad: Path | None, data_dir: Path | None) -> None:
    """Stop the database cleanly; its data stay."""
    folder = data_dir_of(find_launchpad_file(launchpad).resolve(), data_dir)
    before = mongo.status(folder)
    mongo.stop(folder)
    print_plain(console(), _line("stopped", before) if before.running else f"no database runs in {folder}")


def status(*, launchpad: Path | None, data_dir: Path | None) -> None:
    """Say whether the database runs, and where; exit code 1 if it does not."""
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


def _line(what: str, server: ServerStatus) -> str:
    return f"database {what}: {server.address}, process {server.pid}, data in {server.data_dir}"
