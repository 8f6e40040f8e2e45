"""Section ``stable``: the definition of stable."""

from pydantic import Field

from campaign.config.strict_model import EnergyPerAtom, StrictModel


class StableSection(StrictModel):
    """Definition of stable, applied to the relaxed crystal's DFT energies."""

    max_formation_energy: EnergyPerAtom = Field(
        default=0.0, description="largest formation energy in eV/atom that counts as stable"
    )
    max_hull_energy: EnergyPerAtom = Field(
        default=0.1, description="largest energy above the hull in eV/atom that counts as stable"
    )
