"""StrictModel ``stable``: what counts as stable."""

from pydantic import Field

from campaign.config.strict_model import EnergyPerAtom, StrictModel


class StableSection(StrictModel):
    """What counts as stable after the relaxation: the truth."""

    max_formation_energy: EnergyPerAtom = Field(
        default=0.0, description="largest formation energy in eV/atom that counts as stable"
    )
    max_hull_energy: EnergyPerAtom = Field(
        default=0.1, description="largest energy above the hull in eV/atom that counts as stable"
    )
