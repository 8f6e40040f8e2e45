"""Measure the error of the volumes of unrelaxed candidates relative to the relaxed ones, by class of compound.

    python benchmarks/volumes.py          prints the median error of both rules, old and new, in each class
    python benchmarks/volumes.py --fit    refits the numbers of campaign/candidates/bond_lengths.yaml, and prints them
                                          with the errors on crystals that the fit has not seen (four folds)

Each crystal of data/relaxed_structures.jsonl.gz keeps its shape and is given the volume predicted by a rule; the error
is predicted / relaxed - 1. These are relaxed crystals (PBE) of the Materials Project (A. Jain et al., APL Mater. 1,
011002 (2013), CC BY 4.0), as shipped with matminer 0.3.0: the elastic (M. de Jong et al., Sci. Data 2, 150009 (2015)),
piezoelectric (M. de Jong et al., Sci. Data 2, 150053 (2015)) and dielectric (I. Petousis et al., Sci. Data 4, 160134
(2017)) sets and that of F. Faber et al. (Int. J. Quantum Chem. 115, 1094 (2015)); with two or more elements, at most 40
atoms, no f-block elements, no elements beyond bismuth, no noble gases, and at most 0.15 eV/atom above the hull where
that is known. Format: one crystal per line; cell: a, b, c in A and angles in degrees; atoms: [symbol, count];
positions: fractional.

The class of a compound is its first element in the order F O N Cl Br S I C Se Te H P As B Si Sb Ge, else "metals".
"""

import argparse
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Element, Lattice, Structure
from scipy.optimize import least_squares
from scipy.sparse import coo_matrix, csr_matrix, vstack

from campaign.candidates.elements import volume_per_atom
from campaign.candidates.volumes import Neighbours, bond_volume, cation_charge, differences, find_neighbours

DATA = Path(__file__).parent / "data" / "relaxed_structures.jsonl.gz"
ORDER = ("F", "O", "N", "Cl", "Br", "S", "I", "C", "Se", "Te", "H", "P", "As", "B", "Si", "Sb", "Ge")
NAMES = {
    "F": "fluorides", "O": "oxides", "N": "nitrides", "Cl": "chlorides", "Br": "bromides", "S": "sulfides",
    "I": "iodides", "C": "carbides", "Se": "selenides", "Te": "tellurides", "H": "hydrides", "P": "phosphides",
    "As": "arsenides", "B": "borides", "Si": "silicides", "Sb": "antimonides", "Ge": "germanides",
}  # fmt: skip
FOLDS = 4
SEED = 20261201
RIDGE = 0.3
"""Weight of the restraint of an element's lengths to its covalent radius (r) or zero (k; t: three times this weight),
relative to a weight of 1 per crystal."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """A relaxed crystal with its neighbours."""

    structure: Structure
    species: list[str]
    neighbours: Neighbours
    kind: str


def read_crystals() -> list[Relaxed]:
    """Read all crystals of the data file."""
    crystals = []
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            species = [symbol for symbol, count in entry["atoms"] for _ in range(count)]
            positions = np.array(entry["positions"]).reshape(-1, 3)
            structure = Structure(Lattice.from_parameters(*entry["cell"]), species, positions)
            kind = next((NAMES[symbol] for symbol in ORDER if symbol in species), "metals")
            crystals.append(
                Relaxed(structure=structure, species=species, neighbours=find_neighbours(structure), kind=kind)
            )
    return crystals


def print_errors(kinds: Sequence[str], columns: dict[str, Floats]) -> None:
    """Print the median of the error, and of its magnitude, by class and column."""
    print("| class | crystals | " + " | ".join(f"{name}: median, median size" for name in columns) + " |")
    print("| --- | --- | " + " | ".join("---" for _ in columns) + " |")
    labels = np.array(kinds)
    for kind in (*NAMES.values(), "metals"):
        of_kind = labels == kind
        cells = [
            f"{100 * np.median(error[of_kind]):+.1f} %, {100 * np.median(np.abs(error[of_kind])):.1f} %"
            for error in columns.values()
        ]
        print(f"| {kind} | {of_kind.sum()} | " + " | ".join(cells) + " |")


class Fit:
    """The parameters of the rule as one vector: r, k and t of each element, b, c, exponent."""

    def __init__(self, crystals: Sequence[Relaxed]) -> None:
        self.symbols = sorted({symbol for crystal in crystals for symbol in crystal.species}, key=atomic_numbers.get)
        place = {symbol: index for index, symbol in enumerate(self.symbols)}
        of_site = [np.array([place[symbol] for symbol in crystal.species]) for crystal in crystals]
        negativity = np.array([Element(symbol).X for symbol in self.symbols])
        bonds = [crystal.neighbours for crystal in crystals]
        self.i = np.concatenate([sites[bond.first] for sites, bond in zip(of_site, bonds, strict=True)])
        self.j = np.concatenate([sites[bond.second] for sites, bond in zip(of_site, bonds, strict=True)])
        pairs = [differences(negativity[sites], bond) for sites, bond in zip(of_site, bonds, strict=True)]
        lengths = [len(bond.first) for bond in bonds]
        charges = [cation_charge(crystal.species) for crystal in crystals]
        #: Factors of r, k and t, and of b and c.
        self.of_elements = [
            np.ones(sum(lengths)),
            np.concatenate([difference for difference, _ in pairs]),
            np.repeat([0.0 if charge is None else charge - 2.0 for charge in charges], lengths),
        ]
        self.of_all = [
            np.concatenate([bond.coordination for bond in bonds]),
            np.concatenate([shared for _, shared in pairs]),
        ]
        self.distance = np.concatenate([bond.distance for bond in bonds])
        self.weight = np.concatenate([bond.weight for bond in bonds])
        self.crystal = np.repeat(np.arange(len(bonds)), lengths)
        self.count = len(bonds)
        kinds = np.array([crystal.kind for crystal in crystals])
        share = np.array([(kinds == kind).mean() for kind in kinds])
        # classes with few crystals get a higher weight, or oxides alone would determine the fit
        self.crystal_weight = share**-0.25 / np.mean(share**-0.25)
        n = len(self.symbols)
        radii = [covalent_radii[atomic_numbers[symbol]] for symbol in self.symbols]
        self.first_guess = np.concatenate([radii, np.zeros(2 * n), [0.08, -0.1, 9.0]])
        self.ridge = np.repeat([RIDGE, RIDGE, 3 * RIDGE], n)

    def logarithms(self, numbers: Floats) -> tuple[Floats, csr_matrix]:
        """Return ln(predicted / relaxed volume) of each crystal, and its derivatives."""
        n = len(self.symbols)
        exponent = numbers[-1]
        ideal = sum(number * factor for number, factor in zip(numbers[3 * n :], self.of_all, strict=False))
        for place, factor in enumerate(self.of_elements):
            lengths = numbers[place * n : (place + 1) * n]
            ideal = ideal + (lengths[self.i] + lengths[self.j]) * factor
        ideal = np.maximum(ideal, 0.3)
        ratio = ideal / self.distance
        terms = self.weight * ratio**exponent
        sums = np.bincount(self.crystal, terms, self.count)
        logarithm = 3 / exponent * np.log(sums)
        by_length = 3 * terms / (sums[self.crystal] * ideal)
        by_exponent = np.bincount(self.crystal, terms * np.log(ratio), self.count) * 3 / (exponent * sums)
        by_exponent -= logarithm / exponent
        rows, columns, values = [np.arange(self.count)], [np.full(self.count, 3 * n + 2)], [by_exponent]
        for place, factor in enumerate(self.of_elements):
            rows += [self.crystal] * 2
            columns += [place * n + self.i, place * n + self.j]
            values += [by_length * factor] * 2
        for place, factor in enumerate(self.of_all):
            rows.append(self.crystal)
            columns.append(np.full(len(self.i), 3 * n + place))
            values.append(by_length * factor)
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return logarithm, coo_matrix(entries, shape=(self.count, len(numbers))).tocsr()

    def solve(self, used: npt.NDArray[np.bool_]) -> Floats:
        """Return the parameters fitted to the used crystals (soft L1 loss)."""
        n = len(self.ridge)
        held = coo_matrix((self.ridge, (np.arange(n), np.arange(n))), shape=(n, n + 3))

        def residuals(numbers: Floats) -> Floats:
            logarithm, _ = self.logarithms(numbers)
            kept = self.ridge * (numbers - self.first_guess)[:n]
            return np.concatenate([(self.crystal_weight * logarithm)[used], kept])

        def derivatives(numbers: Floats) -> csr_matrix:
            _, slopes = self.logarithms(numbers)
            return vstack([slopes.multiply(self.crystal_weight[:, None]).tocsr()[used], held]).tocsr()

        found = least_squares(
            residuals, self.first_guess, derivatives, loss="soft_l1", f_scale=0.03, tr_solver="lsmr", max_nfev=60
        )
        return np.asarray(found.x)

    def unseen_errors(self) -> Floats:
        """Return the error on each crystal with parameters fitted to the other folds."""
        fold = np.random.default_rng(SEED).integers(0, FOLDS, self.count)
        errors = np.zeros(self.count)
        for part in range(FOLDS):
            logarithm, _ = self.logarithms(self.solve(fold != part))
            errors[fold == part] = np.expm1(logarithm[fold == part])
        return errors


def main() -> None:
    """Print the errors, or refit the parameters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="fit the numbers again")
    arguments = parser.parse_args()
    crystals = read_crystals()
    kinds = [crystal.kind for crystal in crystals]
    relaxed = np.array([crystal.structure.volume for crystal in crystals])
    if arguments.fit:
        fit = Fit(crystals)
        numbers = fit.solve(np.ones(fit.count, dtype=bool))
        n = len(fit.symbols)
        coordination, shared, exponent = numbers[-3:]
        print(f"coordination: {coordination:.4f}\nshared: {shared:.4f}\nexponent: {exponent:.3f}\nelements:")
        for index, symbol in enumerate(fit.symbols):
            print(f"  {symbol}: [{', '.join(f'{number:.3f}' for number in numbers[index:-3:n])}]")
        print_errors(kinds, {"unseen": fit.unseen_errors()})
        return
    elements = np.array([sum(volume_per_atom(symbol) for symbol in crystal.species) for crystal in crystals])
    bonds = np.array([bond_volume(crystal.structure, crystal.species, crystal.neighbours) for crystal in crystals])
    print_errors(kinds, {"elements": elements / relaxed - 1, "bonds": bonds / relaxed - 1})


if __name__ == "__main__":
    main()
