"""The volume that a crystal of these elements and this shape is given before it is relaxed."""

from pymatgen.core import Structure

from campaign.candidates.elements import volume_per_atom
from campaign.candidates.volumes import NONMETALS, bond_volume, find_neighbours, has_bond_lengths


def usual_volume(structure: Structure) -> float:
    """Volume of the cell in A^3: of metals that of the atoms in their own elements, else by the neighbours' distances.

    See `campaign.candidates.generate.substitute`.
    """
    species = [site.specie.symbol for site in structure]
    if NONMETALS & set(species) and has_bond_lengths(species):
        return bond_volume(structure, species, find_neighbours(structure))
    return sum(volume_per_atom(symbol) for symbol in species)
