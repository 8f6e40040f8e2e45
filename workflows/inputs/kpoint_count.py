"""Number of irreducible k-points of a mesh, as counted by VASP (NKPTS)."""

import math

import spglib
from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints

#: VASP's default SYMPREC: slightly displaced atoms break the symmetry.
_SYMPREC = 1e-5
#: No crystal has more symmetry operations that act on k-points.
_MOST_OPERATIONS = 48


def irreducible_kpoints(structure: Structure, mesh: Kpoints) -> int:
    """Count the irreducible k-points of an automatic mesh.

    Magnetic moments are ignored; if they lower the symmetry, VASP has more k-points. For a large mesh a lower bound is
    returned, which needs no symmetry.
    """
    divisions = [int(number) for number in mesh.kpts[0]]
    total = math.prod(divisions)
    if total >= 100 * _MOST_OPERATIONS:
        return total // _MOST_OPERATIONS
    # a Monkhorst-Pack mesh excludes Gamma for an even number
    shifted = [int(mesh.style.name == "Monkhorst" and number % 2 == 0) for number in divisions]
    numbers = [structure.species.index(species) for species in structure.species]
    cell = (structure.lattice.matrix, structure.frac_coords, numbers)
    mapping, _ = spglib.get_ir_reciprocal_mesh(divisions, cell, is_shift=shifted, symprec=_SYMPREC)
    return len(set(mapping.tolist()))
