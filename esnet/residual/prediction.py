"""Adds a potential's formation energy to the prediction of a model of its residuals."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from esnet.potentials.relaxation import NoEnergyError
from esnet.residual.potential import PotentialError, ResidualPotential, no_element
from esnet.scoring.prediction import Prediction

if TYPE_CHECKING:
    from pymatgen.core import Structure


class PotentialAdder:
    """Relaxes the crystal of each prediction with the potential and adds its formation energy.

    The elements' energies are those used in training, so that the sum is in the same scheme.

    Parameters
    ----------
    of
        Description of the potential in the bundle (`esnet.bundle.record.TrainingRecord.residual_of`).
    """

    def __init__(self, of: Mapping[str, Any]) -> None:
        self._potential = ResidualPotential.of(of)
        self._elements, self._corrections = of["elements"], of["energies"]

    def __call__(self, said: Prediction, structure: "Structure | None", *, strict: bool) -> Prediction:
        """Return the sum; if there is none, a prediction without energy, or PotentialError if ``strict``."""
        try:
            if structure is None:
                raise NoEnergyError("it has no crystal, which the potential is to relax")
            elements: dict[str, float | str] = {
                element.symbol: no_element(element.symbol) for element in structure.composition.elements
            }
            elements |= self._elements
            energy = self._potential.formation_energy(
                structure, self._potential.energy(structure), elements, self._corrections
            )
        except NoEnergyError as error:
            reason = f"{said.id}: no prediction by the potential {self._potential.title}: {error}"
            if strict:
                raise PotentialError(reason) from error
            return Prediction(id=said.id, e_form=None, reason=reason)
        return replace(said, e_form=None if said.e_form is None else said.e_form + energy)
