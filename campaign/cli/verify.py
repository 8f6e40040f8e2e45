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
        bool,
        typer.Option("--features", help="Also compare each stored DOS with its checksum: 100 kB are read for each"),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that nothing of a campaign is lost, doubled, damaged or stuck; exit code 1 if something is. Read-only.

    Example: campaign verify my-alloys --json
    """
