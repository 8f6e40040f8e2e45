"""The command `campaign example`: a campaign file to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.example")
def example(
    name: Annotated[str | None, typer.Argument(help="Which one, e.g. quickstart; default: list them")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write; default: NAME.yaml here")
    ] = None,
) -> None:
    """Write an example campaign file to begin with; without a name, list the examples.

    Example: campaign example quickstart
    """
