"""The volume given to an unrelaxed crystal, from the distances between neighbours.

For a crystal of a given shape, the ideal distance of two neighbours i and j is

    d0 = r_i + r_j + (k_i + k_j) |x_i - x_j| + (t_i + t_j) (q - 2) + b ln(n_i n_j / 36) + c (m_i + m_j - 2 |x_i - x_j|)

with three lengths r, k and t for each element; Pauling's electronegativities x, whose difference measures ionicity (as
in V. Schomaker and D. P. Stevenson, J. Am. Chem. Soc. 63, 37 (1941)); the formal charge q of the cations; the numbers
of neighbours n of both (more neighbours are farther away: L. Pauling, J. Am. Chem. Soc. 69, 542 (1947)); and the
largest difference of electronegativity m that each has with a neighbour: two cations that share an anion may be closer
than in their metal. The crystal is scaled by the power mean of d0 / d over the neighbours of each site and over the
sites; its exponent is high, so that the pair that touches first decides, as for hard spheres. The parameters are in
`bond_lengths.yaml`, fitted and evaluated by `benchmarks/volumes.py`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from pymatgen.core import Element, Structure
from ruamel.yaml import YAML

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SHELL = 1.25
"""Neighbours of a site are all sites within this multiple of the distance to the nearest one."""

VALENCES = {
    "H": 1, "F": 1, "Cl": 1, "Br": 1, "I": 1, "O": 2, "S": 2, "Se": 2, "Te": 2, "N": 3, "P": 3, "As": 3, "Sb": 3,
    "B": 3, "C": 4, "Si": 4, "Ge": 4,
}  # fmt: skip
"""Charge of the most electronegative element of a compound as an anion."""

NONMETALS = frozenset(VALENCES)
"""Elements, including metalloids, whose compounds are not sized like alloys."""

LARGEST_CHARGE = 6.0
"""Largest charge of a cation, in elementary charges."""

_SMALLEST = 0.3  # A; no ideal distance is smaller, whatever the elements


@dataclass(frozen=True, kw_only=True)
class BondLengths:
    """The fitted parameters.

    Attributes
    ----------
    radius, ionicity, charge
        r, k and t of each element in A.
    coordination, shared
        b and c in A.
    exponent
        Exponent of the power mean.
    """

    radius: Mapping[str, float]
    ionicity: Mapping[str, float]
    charge: Mapping[str, float]
    coordination: float
    shared: float
    exponent: float


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Pairs of neighbours in a crystal; one entry for each neighbour of each site.

    Attributes
    ----------
    first, second
        Indices of the two sites.
    distance
        Distance in A.
    coordination
        ln(n_i n_j / 36).
    weight
        1 / (number of sites x number of neighbours of the first site).
    """

    first: Integers
    second: Integers
    distance: Floats
    coordination: Floats
    weight: Floats


@cache
def bond_lengths() -> BondLengths:
    """Return the shipped parameters."""
    text = resources.files("campaign.candidates").joinpath("bond_lengths.yaml").read_text(encoding="utf-8")
    content = YAML(typ="safe", pure=True).load(text)
    radius, ionicity, charge = (
        MappingProxyType({symbol: float(values[place]) for symbol, values in content["elements"].items()})
        for place in range(3)
    )
    return BondLengths(
        radius=radius,
        ionicity=ionicity,
        charge=charge,
        coordination=float(content["coordination"]),
        shared=float(content["shared"]),
        exponent=float(content["exponent"]),
    )


def find_neighbours(structure: Structure) -> Neighbours:
    """Return the neighbours of every site; the elements do not matter."""
    sites = len(structure)
    reach = 3.0 * (structure.volume / sites) ** (1 / 3)
    while True:
        first, second, _, distance = structure.get_neighbor_list(reach)
        nearest = np.full(sites, np.inf)
        np.minimum.at(nearest, first, distance)
        if SHELL * nearest.max() <= reach:
            break
        reach *= 1.5  # an atom is far from all others
    inside = distance < SHELL * nearest[first]
    first, second, distance = first[inside], second[inside], distance[inside]
    count = np.bincount(first, minlength=sites)
    return Neighbours(
        first=first,
        second=second,
        distance=distance,
        coordination=np.log(count[first] * count[second] / 36.0),
        weight=1.0 / (sites * count[first]),
    )


def has_bond_lengths(species: Sequence[str]) -> bool:
    """Whether there are parameters for all of these elements."""
    return set(species) <= bond_lengths().radius.keys()


def cation_charge(species: Sequence[str]) -> float | None:
    """Return the formal charge per remaining atom that balances the most electronegative element; None for metals."""
    anion = max(set(species), key=lambda symbol: (Element(symbol).X, symbol))
    if anion not in VALENCES:
        return None
    count = species.count(anion)
    return min(VALENCES[anion] * count / max(len(species) - count, 1), LARGEST_CHARGE)


def differences(negativity: Floats, neighbours: Neighbours) -> tuple[Floats, Floats]:
    """Return |x_i - x_j| and m_i + m_j - 2 |x_i - x_j| for each pair of neighbours, given the sites' x."""
    i, j = neighbours.first, neighbours.second
    difference = np.abs(negativity[i] - negativity[j])
    largest = np.zeros(len(negativity))
    np.maximum.at(largest, i, difference)
    return difference, largest[i] + largest[j] - 2 * difference


def bond_volume(structure: Structure, species: Sequence[str], neighbours: Neighbours) -> float:
    """Return the volume in A^3 of a cell of this shape with other elements on its sites.

    Parameters
    ----------
    structure
        The crystal whose shape is kept.
    species
        Symbol on each of its sites.
    neighbours
        Result of `find_neighbours` for the crystal.
    """
    table = bond_lengths()
    difference, shared = differences(np.array([Element(symbol).X for symbol in species]), neighbours)
    ideal = table.coordination * neighbours.coordination + table.shared * shared
    charge = cation_charge(species)
    for lengths, factor in (
        (table.radius, 1.0),
        (table.ionicity, difference),
        (table.charge, 0.0 if charge is None else charge - 2.0),
    ):
        of_site = np.array([lengths[symbol] for symbol in species])
        ideal = ideal + (of_site[neighbours.first] + of_site[neighbours.second]) * factor
    ratio = np.maximum(ideal, _SMALLEST) / neighbours.distance
    mean = float(neighbours.weight @ ratio**table.exponent)
    return float(structure.volume) * math.pow(mean, 3.0 / table.exponent)
