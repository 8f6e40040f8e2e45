"""Relaxes a crystal with an interatomic potential; a collapse stops the relaxation at the step where it appears.

A relaxation ends with an energy or with the reason why there is none: a wrong number is worse than no number. It is
ASE's FIRE with the Frechet cell filter, as in atomate2's makers, looked at after every step.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from campaign.candidates.elements import volume_per_atom
from campaign.config.strict_model import StrictModel
from campaign.scorers.potentials import EMT, EMT_ELEMENTS, load_calculator

logger = logging.getLogger(__name__)

#: What potentials and optimisers raise on crystals that they cannot treat; a machine's failures are none of these.
_BROKEN_OFF = (ArithmeticError, LookupError, RuntimeError, ValueError)
#: What their messages say where memory is out or a GPU has failed: no fault of the crystal, and after a failure of the
#: GPU every later one would fail alike in this process.
_OF_THE_MACHINE = ("out of memory", "cuda", "cudnn", "cublas", "hip error", "nccl")


class NoEnergyError(Exception):
    """A relaxation that gives no energy; the message says why."""


class Guards(StrictModel):
    """Limits of what is plausible; a relaxation that exceeds them is stopped immediately, without a prediction."""

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
        default=20.0, gt=0.0, le=100.0, description="largest absolute formation energy in eV/atom"
    )


#: Those of versions that had no setting for them.
FORMER_GUARDS: Mapping[str, Any] = {"start_volume": 3.0, "volume_change": 3.0, "formation_energy": 20.0}


class Relaxer:
    """One potential, loaded once.

    Parameters
    ----------
    calculator
        ``EMT`` or a key of `campaign.scorers.potentials.ML_POTENTIALS`.
    model
        Its weights by name; None: the default ones.
    steps
        Most steps of a relaxation.
    force_tolerance
        Largest force at its end, eV/A; that on the cell (stress times volume) is at most this too.
    guards
        What ends a relaxation before that.

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
        steps: int,
        force_tolerance: float,
        guards: Guards | None = None,
    ) -> None:
        self._calculator = load_calculator(calculator, model)
        self._steps = steps
        self._force_tolerance = force_tolerance
        self.guards = guards or Guards()

    def energy(self, structure: Structure) -> float:
        """Relax atoms and cell; return the energy in eV/atom.

        Raises
        ------
        NoEnergyError
            If the relaxation broke off, did not converge, gave no number, or changed the volume beyond
            ``guards.volume_change``.
        """
        return self._relax(structure, zero=None)

    def formation_energy(self, structure: Structure, zero: float) -> float:
        """Relax atoms and cell; return the energy above ``zero``, that of the elements, in eV/atom.

        Raises
        ------
        NoEnergyError
            As `energy`, or if that is beyond ``guards.formation_energy``.
        """
        energy = self._relax(structure, zero=zero) - zero
        if abs(energy) > self.guards.formation_energy:
            raise NoEnergyError(f"its formation energy would be {energy:.3g} eV/atom: its atoms have collapsed")
        return energy

    def _relax(self, structure: Structure, *, zero: float | None) -> float:
        from ase.filters import FrechetCellFilter
        from ase.optimize import FIRE

        atoms = AseAtomsAdaptor.get_atoms(structure)
        atoms.calc = self._calculator
        begun_with, converged = atoms.get_volume(), False
        try:
            optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
            for number, is_converged in enumerate(optimizer.irun(fmax=self._force_tolerance, steps=self._steps)):
                converged = bool(is_converged)
                energy = float(atoms.get_potential_energy()) / len(atoms)
                if not (math.isfinite(energy) and np.isfinite(atoms.get_forces()).all()):
                    raise NoEnergyError(f"the potential gave no finite energy or force (step {number})")
                self._check(energy, zero, atoms.get_volume() / begun_with, number)
        except _BROKEN_OFF as error:
            if any(word in str(error).lower() for word in _OF_THE_MACHINE):
                raise
            raise NoEnergyError(f"the relaxation broke off ({type(error).__name__}: {error})") from error
        if not converged:
            raise NoEnergyError(f"the relaxation did not converge in {self._steps} steps")
        return energy

    def _check(self, energy: float, zero: float | None, change: float, number: int) -> None:
        """End a relaxation that has left the volumes or energies of crystals: nothing brings it back."""
        largest = self.guards.volume_change
        if largest is not None and not 1.0 / largest < change < largest:
            raise NoEnergyError(f"the relaxation changed the volume by a factor of {change:.2g} (step {number})")
        # upwards many begin: atoms of an unrelaxed crystal may be close
        if zero is not None and energy - zero < -self.guards.formation_energy:
            raise NoEnergyError(
                f"its formation energy would be {energy - zero:.3g} eV/atom or less (step {number}): its atoms have "
                "collapsed"
            )

    def knows(self, symbol: str) -> bool:
        """Whether the potential gives an element's simple cubic crystal a finite energy."""
        crystal = Structure(Lattice.cubic(volume_per_atom(symbol) ** (1.0 / 3.0)), [symbol], [[0.0, 0.0, 0.0]])
        atoms = AseAtomsAdaptor.get_atoms(crystal)
        atoms.calc = self._calculator
        try:
            return math.isfinite(atoms.get_potential_energy())
        except _BROKEN_OFF as error:
            logger.info("the potential does not know %s: %s", symbol, error)
            return False


def check_density(structure: Structure, guards: Guards) -> None:
    """Refuse a crystal that no potential is made for, before an hour is spent on it.

    Raises
    ------
    NoEnergyError
        If the volume of its cell, over that of its atoms in their own elements, is beyond ``guards.start_volume``.
    """
    if (largest := guards.start_volume) is None:
        return
    expected = sum(number * volume_per_atom(element.symbol) for element, number in structure.composition.items())
    ratio = structure.volume / expected
    if not 1.0 / largest < ratio < largest:
        raise NoEnergyError(f"its cell has {ratio:.2g} times the volume of its atoms in their own elements")


def energy_of_elements(structure: Structure, elements: Mapping[str, float | str]) -> float:
    """Energy that the atoms of a crystal have in their own elements, in eV/atom.

    Parameters
    ----------
    elements
        Energy of each element in eV/atom, or why there is none.

    Raises
    ------
    NoEnergyError
        If that of one of its elements is missing.
    """
    total = 0.0
    for element, number in structure.composition.items():
        known = elements[element.symbol]
        if isinstance(known, str):
            raise NoEnergyError(known)
        total += number * known
    return total / len(structure)


def formation_energy(structure: Structure, relaxer: Relaxer, elements: Mapping[str, float | str]) -> float:
    """Relax a crystal; return its formation energy in eV/atom.

    Parameters
    ----------
    structure
        The unrelaxed crystal.
    relaxer
        The potential.
    elements
        Energy of each element in eV/atom with the same potential, or why there is none.

    Raises
    ------
    NoEnergyError
        If there is no energy, or none of a size that a crystal can have.
    """
    check_density(structure, relaxer.guards)
    return relaxer.formation_energy(structure, energy_of_elements(structure, elements))


def unknown_elements(calculator: str, elements: Sequence[str], *, model: str | None = None) -> list[str]:
    """Those of the elements that a potential does not know; an ML potential is loaded and asked.

    Raises
    ------
    MissingExtraError
        If its package is not installed.
    """
    if calculator == EMT:
        return [symbol for symbol in elements if symbol not in EMT_ELEMENTS]
    relaxer = Relaxer(calculator, model=model, steps=2, force_tolerance=0.1)
    return [symbol for symbol in elements if not relaxer.knows(symbol)]
