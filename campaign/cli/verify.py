"""The command `campaign verify`: its options and help."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.verify")
def verify(
    name: NameArgument,
    launchpad: LaunchpadOption = None,
    features: Annotated[
        bool, typer.Option("--features", help="Also compare each stored DOS with its checksum (reads 100 kB per DOS)")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that nothing in a campaign is lost, duplicated, damaged or stuck; exit code 1 if anything is. Read-only.

    Example: campaign verify my-alloys --json
    """
