"""The command `campaign results`: the ranked table."""

from typing import Annotated, Literal

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.results")
def results(
    name: NameArgument,
    launchpad: LaunchpadOption = None,
    format: Annotated[
        Literal["table", "json", "csv"], typer.Option(help="A table to read, or all fields as JSON or CSV")
    ] = "table",
) -> None:
    """Print the candidates of a campaign, the most stable first. Energies in eV/atom, cost in CPU-s.

    Example: campaign results quickstart --format csv
    """
