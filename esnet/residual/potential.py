"""The potential of a residual: selected by name, with everything that affects its energies."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from esnet.dataset.mp2020 import convert_formation_energy, is_corrected
from esnet.files.errors import UserError
from esnet.potentials.energies import energies_of
from esnet.potentials.potentials import EMT, EMT_ELEMENTS, ML_POTENTIALS, MODELS, calculator_versions, model_of
from esnet.potentials.relaxation import NoEnergyError, PotentialRelaxer, energy_of_elements, plausible_formation_energy

if TYPE_CHECKING:
    from pymatgen.core import Structure

STEPS, FORCE_TOLERANCE = 500, 0.03


def no_element(symbol: str) -> str:
    """Return why a bundle cannot predict a crystal with an element that was not in its training."""
    return f"the bundle has no energy of {symbol} by the potential"


class PotentialError(UserError, ValueError):
    """A potential, or a data set for it, cannot be used; the message gives the reason and a remedy."""


def _names() -> dict[str, tuple[str, str | None]]:
    """Return the PBE potentials by name: ``CHGNet`` with its default weights, ``CHGNet-0.2.0``, ``SevenNet-0``, ..."""
    names: dict[str, tuple[str, str | None]] = {}
    for calculator in (EMT, *ML_POTENTIALS):
        names[calculator] = calculator, model_of(calculator, None)
        for model in MODELS.get(calculator, {}):
            names[f"{calculator}-{model.removeprefix(f'{calculator}-')}"] = calculator, model
    return {name: found for name, found in names.items() if energies_of(*found).functional != "r2SCAN"}


@dataclass(frozen=True)
class ResidualPotential:
    """A potential with its weights, by a name of `_names`.

    Attributes
    ----------
    calculator, model
        As in the section ``scorer`` of a campaign file.
    """

    calculator: str
    model: str | None

    @classmethod
    def named(cls, name: str) -> Self:
        """Select a potential by name; PotentialError lists the known ones."""
        names = _names()
        if name not in names:
            raise PotentialError(
                f"--residual-of: found {name!r}, right: single_point, or one of {', '.join(names)} (potentials of PBE; "
                "energies of two functionals have no meaningful difference)"
            )
        return cls(*names[name])

    @property
    def title(self) -> str:
        """Name of the calculator and its weights."""
        return self.calculator if self.model is None else f"{self.calculator} {self.model}"

    @property
    def corrections(self) -> str | None:
        """Corrections contained in its energies; None if unknown."""
        return energies_of(self.calculator, self.model).corrections

    def description(self) -> dict[str, Any]:
        """Return everything that affects its energies, in JSON types."""
        return {
            "potential": self.title,
            "calculator": self.calculator,
            "model": self.model,
            "corrections": self.corrections,
            "steps": STEPS,
            "force_tolerance": FORCE_TOLERANCE,
            "versions": calculator_versions(self.calculator),
        }

    def differences(self, description: Mapping[str, Any]) -> str:
        """Return the differences from another description: weights, settings, or version of the potential's package.

        Versions of other packages (such as PyTorch for another GPU) only affect rounding and are ignored.
        """
        package = "ase" if self.calculator == EMT else ML_POTENTIALS[self.calculator].distribution
        pairs = {key: (description.get(key), mine) for key, mine in self.description().items() if key != "versions"}
        pairs[package] = (description["versions"].get(package), self.description()["versions"].get(package))
        return "; ".join(f"{key} {there} there, {here} here" for key, (there, here) in pairs.items() if there != here)

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Self:
        """Return the potential described in a bundle.

        Raises
        ------
        PotentialError
            If the installed one differs, since its energies may differ too.
        """
        potential = cls(description["calculator"], description["model"])
        if differing := potential.differences(description):
            raise PotentialError(f"the potential {potential.title} was another one: {differing}; right: the same one")
        return potential

    @cached_property
    def _relaxer(self) -> PotentialRelaxer:
        return PotentialRelaxer(self.calculator, model=self.model, steps=STEPS, force_tolerance=FORCE_TOLERANCE)

    def energy(self, structure: "Structure") -> float:
        """Relax a crystal and return its energy in eV/atom; NoEnergyError says why there is none."""
        elements = sorted({element.symbol for element in structure.composition.elements})
        if self.calculator == EMT and (unknown := sorted(set(elements) - set(EMT_ELEMENTS))):
            raise NoEnergyError(f"EMT does not describe {', '.join(unknown)}")
        return self._relaxer.energy(structure)

    def formation_energy(
        self, structure: "Structure", energy: float, elements: Mapping[str, float | str], wanted: str | None
    ) -> float:
        """Return the formation energy in the scheme ``wanted``, eV/atom, from those of a relaxed crystal and its
        elements.

        Raises
        ------
        NoEnergyError
            If an element has no energy, the atoms collapsed, or the energy cannot be converted to the scheme.
        """
        formed = plausible_formation_energy(energy, energy_of_elements(structure, elements))
        symbols = [element.symbol for element in structure.composition.elements]
        if self.corrections == wanted or not is_corrected(symbols):
            return formed
        if self.corrections is None or wanted is None:
            whose = f"the potential {self.title}" if self.corrections is None else "the data set"
            raise NoEnergyError(f"{whose} does not say which corrections its energies contain, and it has anions")
        found = convert_formation_energy(formed, structure, given=self.corrections, wanted=wanted)
        if found.energy is None:
            raise NoEnergyError(str(found.reason))
        return found.energy
