"""Relax a crystal with an interatomic potential under the guards set in a campaign file."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field
from pymatgen.core import Lattice, Structure

from campaign.candidates.elements import volume_per_atom
from campaign.config.strict_model import StrictModel
from esnet.potentials.potentials import EMT, EMT_ELEMENTS
from esnet.potentials.relaxation import LARGEST_FORMATION_ENERGY, NoEnergyError, PotentialRelaxer, energy_of_elements


class Guards(StrictModel):
    """Limits of plausibility; a relaxation that exceeds them is stopped immediately, without a prediction."""

    start_volume: float | None = Field(
        default=10.0,
        gt=1.0,
        le=1e6,
        description="largest ratio, up or down, of the volume of an unrelaxed cell to the sum of its atoms' volumes "
        "in the elemental crystals; null: no limit",
    )
    volume_change: float | None = Field(
        default=10.0,
        gt=1.0,
        le=1e6,
        description="largest factor, up or down, by which a relaxation may change the volume; null: no limit",
    )
    formation_energy: float = Field(
        default=LARGEST_FORMATION_ENERGY, gt=0.0, le=100.0, description="largest absolute formation energy in eV/atom"
    )


#: Guards of versions that had no setting for them.
FORMER_GUARDS: Mapping[str, Any] = {"start_volume": 3.0, "volume_change": 3.0, "formation_energy": 20.0}


class Relaxer(PotentialRelaxer):
    """A potential with the guards of a campaign."""

    def __init__(
        self,
        calculator: str,
        *,
        model: str | None = None,
        steps: int,
        force_tolerance: float,
        guards: Guards | None = None,
    ) -> None:
        self.guards = guards or Guards()
        super().__init__(
            calculator,
            model=model,
            steps=steps,
            force_tolerance=force_tolerance,
            volume_change=self.guards.volume_change,
            largest_formation_energy=self.guards.formation_energy,
        )

    def knows(self, symbol: str) -> bool:
        """Whether the potential gives an element's simple cubic crystal a finite energy."""
        crystal = Structure(Lattice.cubic(volume_per_atom(symbol) ** (1.0 / 3.0)), [symbol], [[0.0, 0.0, 0.0]])
        return self.gives_energy(crystal)


def check_density(structure: Structure, guards: Guards) -> None:
    """Refuse a crystal of implausible density, outside the range of any potential, before time is spent on it.

    Raises
    ------
    NoEnergyError
        If the ratio of its cell volume to that of its atoms in their elements is beyond ``guards.start_volume``.
    """
    if (largest := guards.start_volume) is None:
        return
    expected = sum(number * volume_per_atom(element.symbol) for element, number in structure.composition.items())
    ratio = structure.volume / expected
    if not 1.0 / largest < ratio < largest:
        raise NoEnergyError(f"its cell has {ratio:.2g} times the volume of its atoms in their own elements")


def formation_energy(structure: Structure, relaxer: Relaxer, elements: Mapping[str, float | str]) -> float:
    """Relax a crystal; return its formation energy in eV/atom.

    Parameters
    ----------
    structure
        The unrelaxed crystal.
    relaxer
        The potential.
    elements
        Energy of each element in eV/atom with the same potential, or the reason why there is none.

    Raises
    ------
    NoEnergyError
        If there is no energy or it is implausible.
    """
    check_density(structure, relaxer.guards)
    return relaxer.formation_energy(structure, energy_of_elements(structure, elements))


def unknown_elements(calculator: str, elements: Sequence[str], *, model: str | None = None) -> list[str]:
    """Return the elements that a potential does not know; an ML potential is loaded and queried.

    Raises
    ------
    MissingExtraError
        If its package is not installed.
    """
    if calculator == EMT:
        return [symbol for symbol in elements if symbol not in EMT_ELEMENTS]
    relaxer = Relaxer(calculator, model=model, steps=2, force_tolerance=0.1)
    return [symbol for symbol in elements if not relaxer.knows(symbol)]
