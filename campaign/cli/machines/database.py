"""The commands `campaign db ...`: the embedded database."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in
from esnet.cli.program import Program

app = Program(help="The embedded database: a real MongoDB on this machine.\n\nExample: campaign db start")
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the database's data; default: mongodb/ beside my_launchpad.yaml"),
]


@app.command()
@implemented_in("campaign.commands.machines.database")
def start(launchpad: LaunchpadOption = None, data_dir: DataDirOption = None) -> None:
    """Start the database described by my_launchpad.yaml; does nothing if it already runs.

    If there is no my_launchpad.yaml, one is written into this folder, with the first free port from 27117 on. The
    database listens on loopback only and admits only its owner: a generated password is written into
    my_launchpad.yaml.

    Example: campaign db start
    """


@app.command()
@implemented_in("campaign.commands.machines.database")
def stop(launchpad: LaunchpadOption = None, data_dir: DataDirOption = None) -> None:
    """Stop the database cleanly; its data are kept.

    Example: campaign db stop
    """


@app.command()
@implemented_in("campaign.commands.machines.database")
def status(launchpad: LaunchpadOption = None, data_dir: DataDirOption = None) -> None:
    """Show whether the database runs, and where; exit code 1 if it does not.

    Example: campaign db status
    """
