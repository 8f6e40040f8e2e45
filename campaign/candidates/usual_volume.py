"""The volume that a crystal of these elements and this shape is given before it is relaxed."""

from collections.abc import Callable, Sequence

from pymatgen.core import Structure

from campaign.candidates.elements import volume_per_atom
from campaign.candidates.volumes import NONMETALS, Neighbours, bond_volume, find_neighbours, has_bond_lengths

_LEAST_OF_HYDROGEN = 2.5  # A^3 for each atom: VH2 with vanadium of 14 A^3 leaves hydrogen 2.7
_LEAST_OF_OTHERS = 5.0  # A^3 for each atom: diamond has 5.7, the least of all crystals at ambient pressure


def volume_of_elements(species: Sequence[str]) -> float:
    """Volume in A^3 that atoms take up in their own elements."""
    return sum(volume_per_atom(symbol) for symbol in species)


def usual_volume(
    structure: Structure,
    species: Sequence[str],
    *,
    volume_factor: float | None = 1.0,
    neighbours: Callable[[], Neighbours] | None = None,
) -> float:
    """Volume of a cell in A^3: of metals that of the atoms in their own elements, else by the neighbours' distances.

    See `campaign.candidates.generate.substitute`.

    Parameters
    ----------
    structure
        The crystal whose shape is kept.
    species
        Symbol for each of its sites.
    volume_factor
        Volume of the arrangement / volume of its atoms in their own elements, for compounds of metals; None: the
        distances of neighbours decide for metals too.
    neighbours
        Gives the neighbours in the structure where they are known; None: they are looked for.
    """
    of_metals = volume_factor is not None and not NONMETALS & set(species)
    if of_metals or not has_bond_lengths(species):
        return (volume_factor or 1.0) * volume_of_elements(species)
    by_distances = bond_volume(structure, species, find_neighbours(structure) if neighbours is None else neighbours())
    # Only nearest neighbours count there: atoms of NH5 in the shape of CaCu5 would touch those behind them.
    return max(by_distances, _least_volume(species))


def _least_volume(species: Sequence[str]) -> float:
    hydrogen = species.count("H")
    return _LEAST_OF_HYDROGEN * hydrogen + _LEAST_OF_OTHERS * (len(species) - hydrogen)
