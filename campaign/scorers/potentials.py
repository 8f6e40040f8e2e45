"""Relaxing crystals with an interatomic potential, through atomate2's makers for ASE calculators.

A relaxation ends with an energy or with the reason why there is none: a wrong number is worse than no number.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from campaign.candidates.elements import volume_per_atom
from campaign.config.yaml_file import did_you_mean
from esnet.files.errors import require
from esnet.files.versions import installed_versions

logger = logging.getLogger(__name__)

EMT = "EMT"
EMT_ELEMENTS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
"""What effective medium theory describes: K. W. Jacobsen et al., Surf. Sci. 366, 394 (1996). ASE's H, C, N and O are
there "just for fun" and are refused."""

_LARGEST_VOLUME_CHANGE = 3.0
#: What potentials and optimisers raise on crystals that they cannot treat; a machine's failures are none of these.
_BROKEN_OFF = (ArithmeticError, LookupError, RuntimeError, ValueError)


@dataclass(frozen=True, kw_only=True)
class Package:
    """What brings an ML potential.

    Attributes
    ----------
    module
        Name to import.
    distribution
        Name to install.
    extra
        The extra of esnet-campaign that brings it; None where it must be installed by itself.
    """

    module: str
    distribution: str
    extra: str | None = None


_MACE = Package(module="mace", distribution="mace-torch")
_MATGL = Package(module="matgl", distribution="matgl")
#: Those of atomate2's ML potentials that need no file of the user's, by atomate2's names (atomate2.forcefields.MLFF).
ML_POTENTIALS: Mapping[str, Package] = {
    "CHGNet": Package(module="chgnet", distribution="chgnet", extra="forcefields"),
    "MACE-MP-0": _MACE,
    "MACE-MP-0b3": _MACE,
    "MACE-MPA-0": _MACE,
    "M3GNet": _MATGL,
    "MatPES-PBE": _MATGL,
    "MatPES-r2SCAN": _MATGL,
    "SevenNet": Package(module="sevenn", distribution="sevenn"),
    "MatterSim": Package(module="mattersim", distribution="mattersim"),
    "FAIRChem": Package(module="fairchem", distribution="fairchem-core"),
    "UPET": Package(module="upet", distribution="upet"),
}


class NoEnergyError(Exception):
    """A relaxation that gives no energy; the message says why."""


def check_calculator(name: str) -> str:
    """Return the name of a potential that can be used.

    Raises
    ------
    ValueError
        Naming those that there are.
    """
    if name != EMT and name not in ML_POTENTIALS:
        raise ValueError(f"no potential has this name; {did_you_mean(name, (EMT, *ML_POTENTIALS))}")
    return name


def calculator_versions(calculator: str) -> dict[str, str]:
    """Versions of everything that decides a potential's energies."""
    if calculator == EMT:
        return installed_versions("ase", "atomate2")
    return installed_versions("ase", "atomate2", "torch", ML_POTENTIALS[calculator].distribution)


class Relaxer:
    """One potential, loaded once.

    Parameters
    ----------
    calculator
        ``EMT`` or a key of `ML_POTENTIALS`.
    steps
        Most steps of a relaxation.
    force_tolerance
        Largest force at its end, eV/A; that on the cell (stress times volume) is at most this too.

    Raises
    ------
    MissingExtraError
        If the potential's package is not installed.
    """

    def __init__(self, calculator: str, *, steps: int, force_tolerance: float) -> None:
        settings = {"fmax": force_tolerance, "final_atoms_object_file": None, "use_emmet_models": True}
        common: dict[str, Any] = {"steps": steps, "relax_kwargs": settings}
        if calculator == EMT:
            from atomate2.ase.jobs import EmtRelaxMaker

            self._maker = EmtRelaxMaker(**common)
        else:
            # atomate2 would take another package's CHGNet where this one is missing
            package = ML_POTENTIALS[calculator]
            require(package.module, extra=package.extra, distribution=package.distribution)
            from atomate2.forcefields.jobs import ForceFieldRelaxMaker

            self._maker = ForceFieldRelaxMaker(force_field_name=calculator, **common)
        _ = self._maker.calculator  # loads it, with an error of its own if it cannot

    def energy(self, structure: Structure) -> float:
        """Relax atoms and cell; return the energy in eV/atom.

        Raises
        ------
        NoEnergyError
            If the relaxation broke off, did not converge, gave no number, or ended with less than a third or more than
            three times the volume that it began with.
        """
        try:
            result = self._maker.run_ase(structure.copy())
        except _BROKEN_OFF as error:
            if "out of memory" in str(error).lower():
                raise  # the machine's failure, not the crystal's
            raise NoEnergyError(f"the relaxation broke off ({type(error).__name__}: {error})") from error
        energy = float(result.trajectory.energy[-1]) / len(structure)
        change = result.final_mol_or_struct.volume / structure.volume
        if not math.isfinite(energy):
            raise NoEnergyError("the potential gave no finite energy")
        if not result.converged:
            raise NoEnergyError(f"the relaxation did not converge in {self._maker.steps} steps")
        if not 1.0 / _LARGEST_VOLUME_CHANGE < change < _LARGEST_VOLUME_CHANGE:
            raise NoEnergyError(f"the relaxation changed the volume by a factor of {change:.2g}")
        return energy

    def knows(self, symbol: str) -> bool:
        """Whether the potential gives an element's simple cubic crystal a finite energy."""
        crystal = Structure(Lattice.cubic(volume_per_atom(symbol) ** (1.0 / 3.0)), [symbol], [[0.0, 0.0, 0.0]])
        atoms = AseAtomsAdaptor.get_atoms(crystal)
        atoms.calc = self._maker.calculator
        try:
            return math.isfinite(atoms.get_potential_energy())
        except _BROKEN_OFF as error:
            logger.info("the potential does not know %s: %s", symbol, error)
            return False


def check_density(structure: Structure) -> None:
    """Refuse a crystal that no potential is made for, before an hour is spent on it.

    Raises
    ------
    NoEnergyError
        If the cell has less than a third or more than three times the volume of its atoms in their own elements.
    """
    expected = sum(number * volume_per_atom(element.symbol) for element, number in structure.composition.items())
    ratio = structure.volume / expected
    if not 1.0 / _LARGEST_VOLUME_CHANGE < ratio < _LARGEST_VOLUME_CHANGE:
        raise NoEnergyError(f"its cell has {ratio:.2g} times the volume of its atoms in their own elements")


def unknown_elements(calculator: str, elements: Sequence[str]) -> list[str]:
    """Those of the elements that a potential does not know; an ML potential is loaded and asked.

    Raises
    ------
    MissingExtraError
        If its package is not installed.
    """
    if calculator == EMT:
        return [symbol for symbol in elements if symbol not in EMT_ELEMENTS]
    relaxer = Relaxer(calculator, steps=2, force_tolerance=0.1)
    return [symbol for symbol in elements if not relaxer.knows(symbol)]
