"""Crystals of metals with the formation energies of effective medium theory: something that a model can learn."""

from itertools import combinations

import numpy as np
from ase.calculators.emt import EMT
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

ELEMENTS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
CUBIC, FCC = np.eye(3), np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
#: Lattice for one A, symbols, positions, lattice constant in A.
PROTOTYPES = {
    "B2": (CUBIC, "AB", [[0, 0, 0], [0.5, 0.5, 0.5]], 3.2),
    "L1_2": (CUBIC, "ABBB", [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], 4.0),
    "B1": (FCC, "AB", [[0, 0, 0], [0.5, 0.5, 0.5]], 5.2),
}
FACTORS = (0.8, 0.88, 0.96, 1.05, 1.15, 1.3)


def _relaxed(crystal: Structure) -> tuple[Structure, float]:
    """Best of some volumes, and its energy in eV/atom."""
    found = []
    for factor in FACTORS:
        scaled = crystal.copy()
        scaled.scale_lattice(crystal.volume * factor)
        atoms = AseAtomsAdaptor.get_atoms(scaled)
        atoms.calc = EMT()
        found.append((atoms.get_potential_energy() / len(scaled), scaled))
    energy, best = min(found, key=lambda each: each[0])
    return best, energy


def emt_alloys() -> tuple[list[Structure], list[Structure], np.ndarray]:
    """Unrelaxed and relaxed crystals of all pairs in three prototypes, and formation energies in eV/atom."""
    pure = {each: _relaxed(Structure(Lattice(4.0 * FCC), [each], [[0, 0, 0]]))[1] for each in ELEMENTS}
    initial, relaxed, energies = [], [], []
    for first, second in combinations(ELEMENTS, 2):
        for a, b in ((first, second), (second, first)):
            for name, (lattice, letters, positions, length) in PROTOTYPES.items():
                if name != "L1_2" and a == second:
                    continue
                symbols = [a if letter == "A" else b for letter in letters]
                crystal = Structure(Lattice(length * lattice), symbols, positions)
                best, energy = _relaxed(crystal)
                initial.append(crystal)
                relaxed.append(best)
                energies.append(energy - np.mean([pure[symbol] for symbol in symbols]))
    return initial, relaxed, np.array(energies)
