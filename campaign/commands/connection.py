"""Connection of every command to its database."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fireworks import LaunchPad
from rich.console import Console

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore
from esnet.commands.console import print_plain
from launchers.database.check import check_database
from launchers.database.errors import LaunchpadFileError
from launchers.database.launchpad_file import EMBEDDED_PORT, write_embedded_launchpad_file
from launchers.database.settings import DatabaseSettings, DatabaseUnreachable, find_launchpad_file
from launchers.mongod import server as mongo
from launchers.mongod.ownership import is_own
from launchers.mongod.port import free_port_from
from launchers.mongod.server import LOCK_NAME, default_data_dir

UNPROTECTED = (
    "this database was started by an earlier version, and every user of this machine can read and change it: when no "
    "campaign runs, restart it with `campaign db stop` and `campaign db start` to protect it with a password"
)


def connect(launchpad_file: Path | None) -> LaunchPad:
    """Return the LaunchPad of a database that responds.

    Raises
    ------
    DatabaseError
        In one sentence: no file, no response, wrong password, no transactions.
    """
    settings = DatabaseSettings.from_file(find_launchpad_file(launchpad_file))
    check_database(settings)
    return settings.launchpad(strm_lvl="WARNING")


def read_campaign(launchpad_file: Path | None, name: str) -> Campaign:
    """Read a campaign for a command that changes nothing."""
    return Campaign.read(CampaignStore(connect(launchpad_file).db), name)


def open_for_writing(launchpad_file: Path | None, *, dry_run: bool = False) -> tuple[CampaignStore, LaunchPad]:
    """Connect for a command that changes campaigns, adding missing indexes of earlier versions."""
    launchpad = connect(launchpad_file)
    store = CampaignStore(launchpad.db)
    if not dry_run:
        store.ensure_indexes()
    return store, launchpad


def data_dir_of(launchpad_file: Path, data_dir: Path | None) -> Path:
    """Return the folder of the embedded database: the given one, or that next to my_launchpad.yaml."""
    return (data_dir or default_data_dir(launchpad_file)).resolve()


@contextlib.contextmanager
def launchpad_file_of(launchpad_file: Path | None, console: Console) -> Iterator[Path]:
    """Find my_launchpad.yaml; if none is given or found, write one for an embedded database here.

    Its port is the first free one. If the database cannot be started, the written file is removed again.
    """
    try:
        found = find_launchpad_file(launchpad_file)
    except LaunchpadFileError:
        if launchpad_file is not None:
            raise
    else:
        yield found.resolve()
        return
    port = free_port_from("127.0.0.1", EMBEDDED_PORT)
    written = write_embedded_launchpad_file(Path.cwd(), port=port)
    with contextlib.ExitStack() as undo:
        undo.callback(_remove_unstarted, written)
        yield written.resolve()
        undo.pop_all()
    other = "" if port == EMBEDDED_PORT else f", with port {port}, since {EMBEDDED_PORT} is taken"
    print_plain(console, f"wrote {written}{other}")


def _remove_unstarted(written: Path) -> None:
    """Remove a my_launchpad.yaml whose database did not start, and the folder for its data if that is empty."""
    folder = data_dir_of(written.resolve(), None)
    if mongo.status(folder).running:
        return
    written.unlink(missing_ok=True)
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK_NAME}:
        (folder / LOCK_NAME).unlink(missing_ok=True)
        folder.rmdir()


def ensure_running(launchpad_file: Path | None, console: Console) -> Path:
    """Start the embedded database if my_launchpad.yaml refers to that of its folder and it is not running.

    Another address on this machine may be a tunnel that is down, for which nothing is started.

    Returns
    -------
    Path
        Path of my_launchpad.yaml.
    """
    with launchpad_file_of(launchpad_file, console) as found:
        _start_if_own(found, console)
    return found


def _start_if_own(found: Path, console: Console) -> None:
    settings = DatabaseSettings.from_file(found)
    folder = data_dir_of(found, None)
    try:
        check_database(settings)
    except DatabaseUnreachable:
        if not is_own(settings, folder):
            raise
        was_running = mongo.status(folder).running
        server = mongo.start(settings, data_dir=folder)
        done = f"wrote its login into {found}:" if was_running else "started"
        print_plain(console, f"{done} the embedded database at {server.address}, data in {server.data_dir}")
        return
    server = mongo.status(folder)
    origin = "" if server.running else ", which was not started from this folder"
    print_plain(console, f"database at {settings.address}{origin}")
    if not server.is_protected:
        print_plain(console, UNPROTECTED)
