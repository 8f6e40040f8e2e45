"""How many k-points of a mesh symmetry leaves, as VASP counts them (NKPTS)."""

import math

import spglib
from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints

#: As VASP's SYMPREC: slightly displaced atoms are not symmetric to it.
_SYMPREC = 1e-5
#: No crystal has more symmetry operations that act on k-points.
_MOST_OPERATIONS = 48


def irreducible_kpoints(structure: Structure, mesh: Kpoints) -> int:
    """Count the k-points of an automatic mesh that no symmetry makes equal.

    Moments are not looked at: where they lower the symmetry VASP has more k-points. Of a large mesh a lower bound is
    given, which needs no symmetry.
    """
    divisions = [int(number) for number in mesh.kpts[0]]
    total = math.prod(divisions)
    if total >= 100 * _MOST_OPERATIONS:
        return total // _MOST_OPERATIONS
    # a Monkhorst-Pack mesh leaves Gamma out where its number is even
    shifted = [int(mesh.style.name == "Monkhorst" and number % 2 == 0) for number in divisions]
    numbers = [structure.species.index(species) for species in structure.species]
    cell = (structure.lattice.matrix, structure.frac_coords, numbers)
    mapping, _ = spglib.get_ir_reciprocal_mesh(divisions, cell, is_shift=shifted, symprec=_SYMPREC)
    return len(set(mapping.tolist()))
