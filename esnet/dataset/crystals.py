"""A crystal as stored in a data set: elements of its sites, lattice and fractional coordinates.

Graph models and interatomic potentials use nothing else, so oxidation states, magnetic moments, velocities, selective
dynamics, labels and other site properties of a pymatgen structure are dropped. The DOS already reflects the effect of
magnetic moments on the bands.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from esnet.representation.composition import ELEMENTS

if TYPE_CHECKING:
    from pymatgen.core import Structure

Which = Literal["initial", "relaxed"]
"""The crystal before its relaxation, or after it."""

WHICH: tuple[Which, ...] = get_args(Which)

_NUMBER = {symbol: number for number, symbol in enumerate(ELEMENTS)}
_SAME_FRACTION = 1e-6
"""Tolerance of an element's fraction in two compositions of one material."""


class CrystalError(ValueError):
    """The structure cannot be stored in a data set; the message says why."""


class Crystal(NamedTuple):
    """A unit cell in the stored types.

    Attributes
    ----------
    elements
        Indices into `esnet.representation.composition.ELEMENTS`, uint8, shape (n,).
    lattice
        Lattice vectors in rows, A, shape (3, 3).
    coords
        Fractional coordinates, shape (n, 3).
    """

    elements: NDArray[np.uint8]
    lattice: NDArray[np.float64]
    coords: NDArray[np.float64]

    @classmethod
    def of(cls, structure: Structure) -> Crystal:
        """Return the stored fields of a structure.

        Raises
        ------
        CrystalError
            If it is not a structure, is disordered, has no sites, zero volume, a species other than the elements H to
            Rg, or a number that is not finite.
        """
        if not hasattr(structure, "frac_coords") or not hasattr(structure, "lattice"):
            raise CrystalError(f"{type(structure).__name__} is given, must be a pymatgen Structure or None")
        if not len(structure):
            raise CrystalError("has no sites")
        if not structure.is_ordered:
            raise CrystalError("is disordered; each site must have one element with occupancy 1")
        symbols = [getattr(site.specie, "symbol", str(site.specie)) for site in structure]
        if unknown := sorted(set(symbols) - set(_NUMBER)):
            raise CrystalError(f"has {', '.join(map(repr, unknown))}, which is not an element from H to Rg")
        # + 0 turns negative zero into zero: equal coordinates must have equal bytes
        lattice = np.array(structure.lattice.matrix, dtype=np.float64) + 0.0
        coords = np.array(structure.frac_coords, dtype=np.float64).reshape(-1, 3) + 0.0
        for name, numbers in (("lattice", lattice), ("coordinates", coords)):
            if bad := int((~np.isfinite(numbers)).sum()):
                raise CrystalError(f"{bad} numbers of its {name} are not finite")
        if not abs(float(np.linalg.det(lattice))) > 0.0:
            raise CrystalError("its lattice vectors span no volume")
        return cls(np.array([_NUMBER[symbol] for symbol in symbols], dtype=np.uint8), lattice, coords)

    def structure(self) -> Structure:
        """Return the crystal as a pymatgen structure."""
        from pymatgen.core import Lattice, Structure

        return Structure(Lattice(self.lattice), [ELEMENTS[number] for number in self.elements], self.coords)

    def to_dict(self) -> dict[str, Any]:
        """Return the crystal in JSON types, with full precision."""
        symbols = [ELEMENTS[number] for number in self.elements]
        return {"symbols": symbols, "lattice": self.lattice.tolist(), "coords": self.coords.tolist()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Crystal:
        """Create from the result of `to_dict`."""
        numbers = np.array([_NUMBER[symbol] for symbol in content["symbols"]], dtype=np.uint8)
        return cls(numbers, np.array(content["lattice"]), np.array(content["coords"]))

    def digest(self) -> bytes:
        """Return the SHA-256 of the cell; the order of the sites matters."""
        parts = (self.elements, self.lattice.astype("<f8"), self.coords.astype("<f8"))
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).digest()

    def check_composition(self, composition: Mapping[str, float]) -> None:
        """Raise CrystalError if the proportions of elements differ from those of a composition."""
        counts = Counter(self.elements.tolist())
        mine = {ELEMENTS[number]: count / len(self.elements) for number, count in counts.items()}
        whole = sum(composition.values())
        given = {symbol: amount / whole for symbol, amount in composition.items()}
        if set(mine) != set(given) or any(abs(mine[symbol] - given[symbol]) > _SAME_FRACTION for symbol in mine):
            formulas = ["".join(f"{s}{n:g}" for s, n in sorted(c.items())) for c in (self.amounts(), composition)]
            raise CrystalError(f"is {formulas[0]}, must have the composition of its sample, {formulas[1]}")

    def amounts(self) -> dict[str, float]:
        """Return the number of atoms of each element in the cell."""
        return {ELEMENTS[number]: float(count) for number, count in sorted(Counter(self.elements.tolist()).items())}
