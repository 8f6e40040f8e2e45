"""StrictModel ``stable``: what counts as stable."""

from pydantic import Field

from campaign.config.strict_model import EnergyPerAtom, StrictModel


class StableSection(StrictModel):
    """What counts as stable after the relaxation: the truth."""

    max_formation_energy: EnergyPerAtom = Field(
        default=0.0, description="stable if the formation energy in eV/atom is at most this"
    )
    max_hull_energy: EnergyPerAtom = Field(
        default=0.1, description="stable if the energy above the hull in eV/atom is at most this"
    )
