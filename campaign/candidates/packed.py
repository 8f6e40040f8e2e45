"""A crystal packed into a few hundred bytes, to keep, compare and send tens of thousands between processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols
from pymatgen.core import Lattice, Structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class PackedCrystal:
    """Cell and sites of an ordered crystal, in full precision.

    Attributes
    ----------
    cell
        Lattice vectors in A, shape (3, 3).
    numbers
        Atomic numbers, shape (n,).
    positions
        Fractional coordinates, shape (n, 3).
    """

    cell: npt.NDArray[np.float64]
    numbers: npt.NDArray[np.uint8]
    positions: npt.NDArray[np.float64]

    @classmethod
    def of(cls, structure: Structure) -> PackedCrystal:
        """Pack an ordered crystal."""
        numbers = np.array([site.specie.Z for site in structure], dtype=np.uint8)
        return cls(np.array(structure.lattice.matrix), numbers, np.array(structure.frac_coords))

    def structure(self) -> Structure:
        """Return the crystal as a pymatgen Structure."""
        return Structure(Lattice(self.cell), [chemical_symbols[number] for number in self.numbers], self.positions)

    def composition(self) -> Mapping[str, int]:
        """Return the number of atoms of each element."""
        return Counter(chemical_symbols[number] for number in self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)
