"""How every command finds its database."""

from pathlib import Path

from fireworks import LaunchPad
from rich.console import Console

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore
from esnet.commands.console import print_plain
from launchers.database.check import check_database
from launchers.database.settings import DatabaseSettings, DatabaseUnreachable, find_launchpad_file
from launchers.mongod import server as mongo
from launchers.mongod.server import default_data_dir


def connect(launchpad_file: Path | None) -> LaunchPad:
    """LaunchPad of a database that answers.

    Raises
    ------
    DatabaseError
        One sentence: no file, nobody answers, wrong password, no transactions.
    """
    settings = DatabaseSettings.from_file(find_launchpad_file(launchpad_file))
    check_database(settings)
    return settings.launchpad(strm_lvl="WARNING")


def read_campaign(launchpad_file: Path | None, name: str) -> Campaign:
    """Read a campaign for a command that changes nothing."""
    return Campaign.read(CampaignStore(connect(launchpad_file).db), name)


def open_for_writing(launchpad_file: Path | None, *, dry_run: bool = False) -> tuple[CampaignStore, LaunchPad]:
    """Connect for a command that changes campaigns; one that an earlier version started gets the indexes it lacks."""
    launchpad = connect(launchpad_file)
    store = CampaignStore(launchpad.db)
    if not dry_run:
        store.ensure_indexes()
    return store, launchpad


def data_dir_of(launchpad_file: Path, data_dir: Path | None) -> Path:
    """Folder of the embedded database: the one asked for, or that beside my_launchpad.yaml."""
    return (data_dir or default_data_dir(launchpad_file)).resolve()


def ensure_running(launchpad_file: Path | None, console: Console) -> Path:
    """Start the embedded database where my_launchpad.yaml means one of this machine that does not run yet.

    Returns
    -------
    Path
        my_launchpad.yaml.
    """
    found = find_launchpad_file(launchpad_file).resolve()
    settings = DatabaseSettings.from_file(found)
    folder = data_dir_of(found, None)
    try:
        check_database(settings)
    except DatabaseUnreachable:
        if not settings.is_local:
            raise
        server = mongo.start(settings, data_dir=folder)
        print_plain(console, f"started the embedded database at {server.address}, data in {server.data_dir}")
        return found
    ours = mongo.status(folder).running
    origin = "" if ours else ", which was not started from this folder"
    print_plain(console, f"database at {settings.address}{origin}")
    return found
