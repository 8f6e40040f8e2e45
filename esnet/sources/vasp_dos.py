"""Data of a VASP run and its densities of states, independent of the file they were read from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from esnet.representation.dos import DosError, EnergyReference, Normalisation, project_dos, source_spacing

if TYPE_CHECKING:
    from pymatgen.core import Structure


def engine_of_version(version: str) -> str:
    """Return ``gpaw`` for the version string of the project's vasp-gpaw, otherwise ``vasp``."""
    return "gpaw" if "-gpaw-" in version else "vasp"


class VaspReadError(DosError):
    """An output file of VASP cannot be read; the message names the file and the reason."""


@dataclass(frozen=True)
class SiteElements:
    """Element symbols of the sites of a calculation: the only part of a structure that a projected DOS needs."""

    symbols: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def composition(self) -> SiteElements:
        """The object itself, to mimic pymatgen, where ``structure.composition.elements`` gives the elements."""
        return self

    @property
    def elements(self) -> tuple[str, ...]:
        """Distinct elements, in order of appearance."""
        return tuple(dict.fromkeys(self.symbols))


@dataclass(frozen=True)
class Crystal:
    """A unit cell.

    Attributes
    ----------
    symbols
        Element of each site.
    lattice
        Lattice vectors in rows, A, shape (3, 3).
    positions
        Fractional coordinates, shape (n, 3).
    """

    symbols: tuple[str, ...]
    lattice: NDArray[np.float64]
    positions: NDArray[np.float64]

    @property
    def volume(self) -> float:
        """Volume per atom, A^3."""
        return abs(float(np.linalg.det(self.lattice))) / len(self.symbols)

    def structure(self) -> Structure:
        """Return the crystal as a pymatgen structure."""
        from pymatgen.core import Lattice, Structure

        return Structure(Lattice(self.lattice), self.symbols, self.positions)


@dataclass(frozen=True, kw_only=True)
class VaspRun:
    """Data of a VASP run: crystal, energy, settings.

    Attributes
    ----------
    path
        Path of the file.
    structure
        Elements of the sites.
    energy
        Total energy of the last ionic step for sigma -> 0, eV per cell; None if the file has none.
    converged
        Whether the last ionic step has fewer electronic steps than NELM and a relaxation fewer ionic steps than
        NSW; None if unknown (vaspout.h5 does not record the number of electronic steps).
    incar, parameters
        Tags as given in INCAR, and all tags in use including defaults (vaspout.h5: as given only).
    potcars
        TITEL of each POTCAR, in the order of the elements in POSCAR.
    types
        Element of each POTCAR; an element that occurs twice in POSCAR occurs twice here.
    valences
        Valence electrons of each POTCAR; empty if unknown.
    version
        Version of VASP.
    initial, final
        Crystals of the first and the last ionic step; None if the file does not contain them.
    n_steps
        Number of ionic steps.
    largest_force
        Largest force on an atom in the last ionic step, along directions that are free to relax, eV/A; None if unknown.
    largest_stress
        Largest stress component in the last ionic step, kB; None if unknown.
    energy_change
        Smallest absolute difference between the energy of the last ionic step and those of the two steps before it, eV
        per cell; None if there is only one step. (A line minimisation has two steps, and VASP compares its end with
        its beginning.)
    expected_change
        Energy that the relaxation is expected to gain still, estimated from forces, stress and the last move, eV per
        cell; None if there is only one step or the file lacks the data.
    on_path
        Whether the k-points lie on lines, as for a band structure.
    """

    path: Path
    structure: SiteElements
    energy: float | None
    converged: bool | None
    incar: Mapping[str, Any]
    parameters: Mapping[str, Any]
    potcars: tuple[str, ...]
    types: tuple[str, ...]
    valences: tuple[float, ...]
    version: str
    initial: Crystal | None
    final: Crystal | None
    n_steps: int
    largest_force: float | None
    largest_stress: float | None
    energy_change: float | None
    expected_change: float | None
    on_path: bool

    @property
    def tags(self) -> dict[str, Any]:
        """All tags in use; those of INCAR take precedence."""
        return {**self.parameters, **self.incar}

    @property
    def formula(self) -> str:
        """Reduced formula, elements in alphabetical order, e.g. ``O3V2``."""
        counts = Counter(self.structure.symbols)
        divisor = math.gcd(*counts.values())
        parts = ((symbol, count // divisor) for symbol, count in sorted(counts.items()))
        return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in parts)

    @property
    def n_sites(self) -> int:
        """Number of atoms in the cell."""
        return len(self.structure)

    @property
    def composition(self) -> dict[str, float]:
        """Number of atoms in the cell by element symbol."""
        return {symbol: float(count) for symbol, count in Counter(self.structure.symbols).items()}


@dataclass(frozen=True, kw_only=True)
class VaspDos(VaspRun):
    """Projected DOS of one VASP run, and a description of the run.

    It has the attributes of pymatgen's ``CompleteDos`` that `esnet.representation.dos.project_dos` and
    `esnet.representation.dos.source_spacing` use; the projections keep their names in the file.

    Attributes
    ----------
    energies
        Absolute energies as written by VASP, eV, float64, shape (n,).
    efermi
        Fermi level, eV.
    pdos
        For each site: orbital name -> spin (1 up, -1 down) -> densities, states/eV, float64, shape (n,).
    n_spins
        1 or 2. A non-collinear run has 1: its total density, without the three components of the magnetisation.
    """

    energies: NDArray[np.float64]
    efermi: float
    pdos: Mapping[int, Mapping[str, Mapping[int, NDArray[np.float64]]]]
    n_spins: int

    @property
    def spacing(self) -> float:
        """Mean distance between the energies, eV."""
        return source_spacing(self)

    def features(
        self, *, normalisation: Normalisation = "atom", energy_reference: EnergyReference = "absolute"
    ) -> NDArray[np.float32]:
        """Return the 18 channels on the network's grid, shape (2, 1500, 9); see `esnet.representation.dos.project_dos`.

        Raises
        ------
        VaspReadError
            If the projections cannot be used; the message names the file.
        """
        try:
            return project_dos(self, normalisation=normalisation, energy_reference=energy_reference)
        except DosError as error:
            raise VaspReadError(f"{self.path}: {error}") from error
