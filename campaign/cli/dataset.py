"""The command `campaign dataset`: exports a campaign's results as a data set for `esnet train`."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import FBlockOption, MaxDosOption, MaxEnergyOption


@implemented_in("campaign.commands.dataset")
def dataset(
    name: NameArgument,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Directory to create")],
    launchpad: LaunchpadOption = None,
    max_dos: MaxDosOption = 50.0,
    max_abs_formation_energy: MaxEnergyOption = 5.0,
    f_block: FBlockOption = False,
) -> None:
    """Write the crystals that a campaign has relaxed so far, with their DOS, as a data set. Read-only.

    Example: campaign dataset training-set alloys
    """
