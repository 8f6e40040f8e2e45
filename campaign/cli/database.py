"""The commands `campaign db ...`, and how every other command finds its database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launchers.database.check import check_database

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from rich.console import Console

    from launchers.mongod.server import ServerStatus

app = typer.Typer(
    help="The embedded database: a real MongoDB on this machine.\n\nExample: campaign db start", no_args_is_help=True
)

LaunchpadOption = Annotated[
    Path | None,
    typer.Option("--launchpad", "-l", metavar="FILE", help="my_launchpad.yaml; default: the one that lpad would take"),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of its data; default: mongodb/ beside my_launchpad.yaml"),
]


def connect(launchpad_file: Path | None) -> LaunchPad:
    """LaunchPad of a database that answers.

    Raises
    ------
    DatabaseError
        One sentence: no file, nobody answers, wrong password, no transactions.
    """
    from launchers.database.settings import DatabaseSettings, find_launchpad_file

    settings = DatabaseSettings.from_file(find_launchpad_file(launchpad_file))
    check_database(settings)
    return settings.launchpad(strm_lvl="WARNING")


def _data_dir(launchpad_file: Path, data_dir: Path | None) -> Path:
    from launchers.mongod.server import default_data_dir

    return (data_dir or default_data_dir(launchpad_file)).resolve()


def ensure_running(launchpad_file: Path | None, console: Console) -> Path:
    """Start the embedded database where my_launchpad.yaml means one of this machine that does not run yet.

    Returns
    -------
    Path
        my_launchpad.yaml.
    """
    from launchers.database.settings import DatabaseSettings, DatabaseUnreachable, find_launchpad_file
    from launchers.mongod import server as mongo

    found = find_launchpad_file(launchpad_file).resolve()
    settings = DatabaseSettings.from_file(found)
    folder = _data_dir(found, None)
    try:
        check_database(settings)
    except DatabaseUnreachable:
        if not settings.is_local:
            raise
        server = mongo.start(settings, data_dir=folder)
        console.print(
            f"started the embedded database at {server.address}, data in {server.data_dir}",
            highlight=False,
            soft_wrap=True,
        )
        return found
    ours = mongo.status(folder).running
    origin = "" if ours else ", which was not started from this folder"
    console.print(f"database at {settings.address}{origin}", highlight=False, soft_wrap=True)
    return found


@app.command()
def start(launchpad: LaunchpadOption = None, data_dir: DataDirOption = None) -> None:
    """Start the database that my_launchpad.yaml describes; harmless where it runs already.

    Where there is no my_launchpad.yaml, one is written into this folder. The database listens on loopback only.

    Example: campaign db start
    """
    from rich.console import Console

    from campaign.scheduling.workflows import initialise_launchpad
    from launchers.database.errors import LaunchpadFileError
    from launchers.database.launchpad_file import write_embedded_launchpad_file
    from launchers.database.settings import DatabaseSettings, find_launchpad_file
    from launchers.mongod import server as mongo

    console = Console()
    try:
        found = find_launchpad_file(launchpad).resolve()
    except LaunchpadFileError:
        if launchpad is not None:
            raise
        found = write_embedded_launchpad_file(Path.cwd())
        console.print(f"wrote {found}", highlight=False, soft_wrap=True)
    settings = DatabaseSettings.from_file(found)
    folder = _data_dir(found, data_dir)
    was_running = mongo.status(folder).running
    server = mongo.start(settings, data_dir=folder)
    new = initialise_launchpad(settings.launchpad(strm_lvl="WARNING"))
    console.print(
        _format_server("already running" if was_running else "started", server), highlight=False, soft_wrap=True
    )
    if new:
        console.print("an empty LaunchPad was made in it: `lpad` and `rlaunch` can be used")


@app.command()
def stop(launchpad: LaunchpadOption = None, data_dir: DataDirOption = None) -> None:
    """Stop the database cleanly; its data stay.

    Example: campaign db stop
    """
    from rich.console import Console

    from launchers.database.settings import find_launchpad_file
    from launchers.mongod import server as mongo

    folder = _data_dir(find_launchpad_file(launchpad).resolve(), data_dir)
    before = mongo.status(folder)
    mongo.stop(folder)
    console = Console()
    console.print(
        _format_server("stopped", before) if before.running else f"no database runs in {folder}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def status(launchpad: LaunchpadOption = None, data_dir: DataDirOption = None) -> None:
    """Say whether the database runs, and where; exit code 1 if it does not.

    Example: campaign db status
    """
    from rich.console import Console

    from launchers.database.settings import DatabaseSettings, DatabaseUnreachable, find_launchpad_file
    from launchers.mongod import server as mongo

    found = find_launchpad_file(launchpad).resolve()
    settings = DatabaseSettings.from_file(found)
    folder = _data_dir(found, data_dir)
    server = mongo.status(folder)
    console = Console()
    if not server.running:
        try:
            check_database(settings)
        except DatabaseUnreachable:
            pass
        else:
            console.print(f"a database answers at {settings.address}; it was not started from {folder}", soft_wrap=True)
            return
        console.print(f"no database runs in {folder}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)
    console.print(_format_server("running", server), highlight=False, soft_wrap=True)


def _format_server(what: str, server: ServerStatus) -> str:
    return f"database {what}: {server.address}, process {server.pid}, data in {server.data_dir}"
