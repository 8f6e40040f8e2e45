"""Relax a crystal with an interatomic potential, stopping a collapse as soon as it is detected.

A relaxation ends either with an energy or with the reason why there is none, since no result is better than a wrong
one. It uses ASE's FIRE with the Frechet cell filter, as atomate2's makers do, with checks after every step.
"""

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Structure

from esnet.potentials.potentials import load_calculator

if TYPE_CHECKING:
    from ase import Atoms

logger = logging.getLogger(__name__)

LARGEST_FORMATION_ENERGY = 20.0
"""Default limit of the absolute formation energy, eV/atom; a campaign file may set another one."""

#: Exceptions that potentials and optimisers raise for crystals that they cannot treat, as opposed to hardware failures.
_BROKEN_OFF = (ArithmeticError, LookupError, RuntimeError, ValueError)
#: Parts of their messages if memory is exhausted or a GPU has failed. Then the crystal is not at fault, and after a
#: failure of the GPU all later relaxations in the process would fail too.
_OF_THE_MACHINE = ("out of memory", "cuda", "cudnn", "cublas", "hip error", "nccl")


class NoEnergyError(Exception):
    """A relaxation gives no energy; the message gives the reason."""


class PotentialRelaxer:
    """A potential that is loaded once and relaxes many crystals.

    Parameters
    ----------
    calculator
        ``EMT`` or a key of `esnet.potentials.potentials.ML_POTENTIALS`.
    model
        Name of its weights. If None, the default ones.
    steps
        Largest number of steps of a relaxation.
    force_tolerance
        Largest force at the end of a relaxation, eV/A; also applies to the force on the cell (stress times volume).
    volume_change
        Largest factor by which a relaxation may increase or decrease the volume. If None, no limit.
    largest_formation_energy
        Largest absolute formation energy, eV/atom.

    Raises
    ------
    MissingExtraError
        If the potential's package is not installed.
    """

    def __init__(
        self,
        calculator: str,
        *,
        model: str | None = None,
        steps: int = 500,
        force_tolerance: float = 0.03,
        volume_change: float | None = 10.0,
        largest_formation_energy: float = LARGEST_FORMATION_ENERGY,
    ) -> None:
        self._calculator = load_calculator(calculator, model)
        self._steps = steps
        self._force_tolerance = force_tolerance
        self._volume_change = volume_change
        self._largest = largest_formation_energy

    def energy(self, structure: Structure) -> float:
        """Relax atoms and cell, and return the energy in eV/atom.

        Raises
        ------
        NoEnergyError
            If the relaxation failed, did not converge, gave a value that is not finite, or changed the volume by more
            than ``volume_change``.
        """
        return self._relax(structure)[1]

    def relaxation_energy(self, structure: Structure) -> float:
        """Relax atoms and cell, and return the change of the energy in eV/atom, negative if the energy decreases.

        Raises
        ------
        NoEnergyError
            As for `energy`, or if the change exceeds ``largest_formation_energy``.
        """
        unrelaxed, relaxed = self._relax(structure, largest_fall=self._largest)
        if abs(relaxed - unrelaxed) > self._largest:
            raise NoEnergyError(f"a relaxation would change its energy by {relaxed - unrelaxed:.3g} eV/atom")
        return relaxed - unrelaxed

    def formation_energy(self, structure: Structure, zero: float) -> float:
        """Relax atoms and cell, and return the energy in eV/atom relative to ``zero``, the energy of the elements.

        Raises
        ------
        NoEnergyError
            As for `energy`, or if the absolute value exceeds ``largest_formation_energy``.
        """
        return plausible_formation_energy(self._relax(structure, zero=zero)[1], zero, largest=self._largest)

    def _relax(
        self, structure: Structure, *, zero: float | None = None, largest_fall: float = math.inf
    ) -> tuple[float, float]:
        """Return the energies of the unrelaxed and the relaxed crystal, eV/atom."""
        from ase.filters import FrechetCellFilter
        from ase.optimize import FIRE

        atoms = _atoms(structure)
        atoms.calc = self._calculator
        begun_with, converged, unrelaxed = atoms.get_volume(), False, math.nan
        try:
            optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
            for number, is_converged in enumerate(optimizer.irun(fmax=self._force_tolerance, steps=self._steps)):
                converged = bool(is_converged)
                energy = float(atoms.get_potential_energy()) / len(atoms)
                if not (math.isfinite(energy) and np.isfinite(atoms.get_forces()).all()):
                    raise NoEnergyError(f"the potential gave no finite energy or force (step {number})")
                unrelaxed = energy if number == 0 else unrelaxed
                self._check(energy, zero, atoms.get_volume() / begun_with, number)
                if unrelaxed - energy > largest_fall:
                    raise NoEnergyError(
                        f"the relaxation lowered its energy by {unrelaxed - energy:.3g} eV/atom (step {number}): its "
                        "atoms began too close to each other, or have collapsed"
                    )
        except _BROKEN_OFF as error:
            if any(word in str(error).lower() for word in _OF_THE_MACHINE):
                raise
            raise NoEnergyError(f"the relaxation broke off ({type(error).__name__}: {error})") from error
        if not converged:
            raise NoEnergyError(f"the relaxation did not converge in {self._steps} steps")
        return unrelaxed, energy

    def _check(self, energy: float, zero: float | None, change: float, number: int) -> None:
        """Raise an error if volume or energy have left the range of crystals, since they would not return to it."""
        largest = self._volume_change
        if largest is not None and not 1.0 / largest < change < largest:
            raise NoEnergyError(f"the relaxation changed the volume by a factor of {change:.2g} (step {number})")
        # not checked upwards: the energy is often high at first, since atoms of unrelaxed crystals may be close
        if zero is not None and energy - zero < -self._largest:
            raise NoEnergyError(
                f"its formation energy would be {energy - zero:.3g} eV/atom or less (step {number}): its atoms have "
                "collapsed"
            )

    def gives_energy(self, structure: Structure) -> bool:
        """Return whether the potential gives a finite energy for an unrelaxed crystal."""
        atoms = _atoms(structure)
        atoms.calc = self._calculator
        try:
            return math.isfinite(atoms.get_potential_energy())
        except _BROKEN_OFF as error:
            logger.info("the potential gives %s no energy: %s", structure.composition.reduced_formula, error)
            return False


def _atoms(structure: Structure) -> "Atoms":
    # imports SciPy; a campaign file that names a potential is read by commands that relax nothing
    from pymatgen.io.ase import AseAtomsAdaptor

    return AseAtomsAdaptor.get_atoms(structure)


def plausible_formation_energy(energy: float, zero: float, *, largest: float = LARGEST_FORMATION_ENERGY) -> float:
    """Return the energy of a relaxed crystal relative to its elements, eV/atom.

    Raises
    ------
    NoEnergyError
        If its absolute value exceeds ``largest``, since no crystal has such an energy.
    """
    formed = energy - zero
    if abs(formed) > largest:
        raise NoEnergyError(f"its formation energy would be {formed:.3g} eV/atom: its atoms have collapsed")
    return formed


def energy_of_elements(structure: Structure, elements: Mapping[str, float | str]) -> float:
    """Return the energy of the atoms of a crystal in their elemental phases, eV/atom.

    Parameters
    ----------
    structure
        The crystal.
    elements
        Energy of each element in eV/atom, or the reason why there is none.

    Raises
    ------
    NoEnergyError
        If the energy of one of the elements is missing.
    """
    total = 0.0
    for element, number in structure.composition.items():
        known = elements[element.symbol]
        if isinstance(known, str):
            raise NoEnergyError(known)
        total += number * known
    return total / len(structure)
