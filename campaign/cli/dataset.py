"""The command `campaign dataset`: what a campaign computed as a data set for `esnet train`."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import FBlockOption, MaxDosOption, MaxEnergyOption


@implemented_in("campaign.commands.dataset")
def dataset(
    name: NameArgument,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Directory to make")],
    launchpad: LaunchpadOption = None,
    max_dos: MaxDosOption = 50.0,
    max_abs_formation_energy: MaxEnergyOption = 5.0,
    f_block: FBlockOption = False,
) -> None:
    """Write what a campaign has relaxed so far, with its DOS, as a data set; the campaign is only read.

    Example: campaign dataset training-set alloys
    """
