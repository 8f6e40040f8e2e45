"""The volume given to an unrelaxed crystal with these elements and this shape."""

from collections.abc import Callable, Sequence

from pymatgen.core import Structure

from campaign.candidates.elements import volume_per_atom
from campaign.candidates.volumes import NONMETALS, Neighbours, bond_volume, find_neighbours, has_bond_lengths

_LEAST_OF_HYDROGEN = 2.5  # A^3 per atom: VH2 with vanadium of 14 A^3 leaves hydrogen 2.7
_LEAST_OF_OTHERS = 5.0  # A^3 per atom: diamond has 5.7, the least of all crystals at ambient pressure


def volume_of_elements(species: Sequence[str]) -> float:
    """Return the volume in A^3 of atoms in their own elements."""
    return sum(volume_per_atom(symbol) for symbol in species)


def usual_volume(
    structure: Structure,
    species: Sequence[str],
    *,
    volume_factor: float | None = 1.0,
    neighbours: Callable[[], Neighbours] | None = None,
) -> float:
    """Return the volume of a cell in A^3: for metals that of the atoms in their elements, otherwise from neighbour
    distances.

    See `campaign.candidates.generate.substitute`.

    Parameters
    ----------
    structure
        The crystal whose shape is kept.
    species
        Symbol on each of its sites.
    volume_factor
        Volume relative to that of the atoms in their elements, for compounds of metals; None: neighbour distances
        decide for metals too.
    neighbours
        Returns the neighbours in the structure. If None, they are computed.
    """
    of_metals = volume_factor is not None and not NONMETALS & set(species)
    if of_metals or not has_bond_lengths(species):
        return (volume_factor or 1.0) * volume_of_elements(species)
    by_distances = bond_volume(structure, species, find_neighbours(structure) if neighbours is None else neighbours())
    # Only nearest neighbours enter the distances: in NH5 with the shape of CaCu5, atoms would touch those behind them.
    return max(by_distances, _least_volume(species))


def _least_volume(species: Sequence[str]) -> float:
    hydrogen = species.count("H")
    return _LEAST_OF_HYDROGEN * hydrogen + _LEAST_OF_OTHERS * (len(species) - hydrogen)
