"""What a potential adds to a model of its residuals: the formation energy of the crystal that a DOS is of."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from esnet.potentials.relaxation import NoEnergyError
from esnet.residual.potential import PotentialError, ResidualPotential
from esnet.scoring.prediction import Prediction

if TYPE_CHECKING:
    from pymatgen.core import Structure


class PotentialAdder:
    """Relaxes the crystal of each prediction and adds its formation energy by the potential.

    The elements' energies are those of the training, so that the sum is in the same scheme.

    Parameters
    ----------
    of
        What the bundle says of the potential (`esnet.bundle.record.TrainingRecord.residual_of`).
    """

    def __init__(self, of: Mapping[str, Any]) -> None:
        self._potential = ResidualPotential.of(of)
        self._elements, self._corrections = of["elements"], of["energies"]

    def __call__(self, said: Prediction, structure: "Structure | None", *, strict: bool) -> Prediction:
        """Return the sum; where there is none, a prediction without an energy, or PotentialError if ``strict``."""
        try:
            if structure is None:
                raise NoEnergyError("it has no crystal, which the potential is to relax")
            elements: dict[str, float | str] = {
                element.symbol: f"the bundle has no energy of {element.symbol} by the potential"
                for element in structure.composition.elements
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
