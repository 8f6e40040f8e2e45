"""Arguments and options shared by several commands of `campaign`."""

from pathlib import Path
from typing import Annotated

import typer

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the campaign, as given in its file")]
LaunchpadOption = Annotated[
    Path | None,
    typer.Option("--launchpad", "-l", metavar="FILE", help="my_launchpad.yaml; default: the file that lpad would use"),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change, without changing anything")]
