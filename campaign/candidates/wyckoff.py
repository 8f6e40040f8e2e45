"""Build crystals from their definition: space group, cell, and one site of each occupied Wyckoff position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import spglib
from pymatgen.core import Lattice, Structure


@dataclass(frozen=True, kw_only=True)
class Site:
    """One crystallographic orbit.

    Attributes
    ----------
    element
        Its element.
    wyckoff
        Multiplicity in the conventional cell and Wyckoff letter, e.g. ``8c``.
    coordinates
        Fractional coordinates of one site of the orbit in the conventional cell.
    """

    element: str
    wyckoff: str
    coordinates: tuple[float, float, float]


def read_lengths(entry: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return the lengths a, b, c in A of an entry that omits those equal to a."""
    a = float(entry["a"])
    return a, float(entry.get("b", a)), float(entry.get("c", a))


def conventional_cell(
    space_group: int, lengths: tuple[float, float, float], sites: Sequence[Site], *, beta: float = 90.0
) -> Structure:
    """Return the crystal in its conventional cell.

    Parameters
    ----------
    space_group
        Number in International Tables A; with origin choice 2 or hexagonal axes if there is a choice, unique axis b.
    lengths
        a, b, c in A.
    sites
        One site for each orbit.
    beta
        Angle of monoclinic crystals in degrees.
    """
    gamma = 120.0 if 143 <= space_group <= 194 else 90.0  # trigonal and hexagonal: hexagonal axes
    species: list[str] = []
    positions: list[list[float]] = []
    for site in sites:
        orbit = _orbit(space_group, site.coordinates)
        species += [site.element] * len(orbit)
        positions += orbit
    return Structure(Lattice.from_parameters(*lengths, 90.0, beta, gamma), species, positions)


@cache
def _hall_number(space_group: int) -> int:
    """Return spglib's number of a space group's setting: origin choice 2 or hexagonal axes if there is a choice."""
    settings = [(spglib.get_spacegroup_type(hall), hall) for hall in range(1, 531)]
    of_group = [(setting.choice, hall) for setting, hall in settings if setting.number == space_group]
    preferred = [hall for choice, hall in of_group if choice in ("2", "H")]
    return (preferred or [of_group[0][1]])[0]


def _orbit(space_group: int, coordinates: tuple[float, float, float]) -> list[list[float]]:
    """Return fractional coordinates in [0, 1) of all sites equivalent to one."""
    operations = spglib.get_symmetry_from_database(_hall_number(space_group))
    images = operations["rotations"] @ np.array(coordinates) + operations["translations"]
    # 1e-6: far below any distance between sites, far above the rounding error of 1/3
    keys = np.rint(images * 1e6).astype(int) % 1_000_000
    keys[keys == 999_999] = 0
    _, first = np.unique(keys, axis=0, return_index=True)
    return [[float(x) % 1.0 for x in images[index]] for index in sorted(first)]
