"""The command `campaign dataset`: exports a campaign's results as a data set for `esnet train`."""

from pathlib import Path

from campaign.commands.connection import read_campaign
from campaign.views.training_data import write_training_data
from esnet.commands.console import console
from esnet.commands.dataset import print_written
from esnet.commands.settings import filters_of


def dataset(
    *, name: str, path: Path, launchpad: Path | None, max_dos: float, max_abs_formation_energy: float, f_block: bool
) -> None:
    """Write the crystals that a campaign has relaxed so far, with their DOS, as a data set. Read-only."""
    filters = filters_of(max_dos, max_abs_formation_energy, f_block)
    out = console()
    manifest = write_training_data(read_campaign(launchpad, name), path, filters=filters)
    states = ", ".join(f"{count} {state}" for state, count in manifest.source["states"].items())
    out.print(
        f"campaign {name}: {manifest.source['relaxed']} relaxed structures, including references; states of the "
        f"candidates: {states}",
        highlight=False,
    )
    out.print(
        f"not used: {manifest.source['dos_without_target']} DOS of structures that are not relaxed, "
        f"{manifest.source['relaxed_without_dos']} relaxed structures without a DOS",
        highlight=False,
    )
    print_written(out, path, manifest)
