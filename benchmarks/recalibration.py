"""Measure how much a recalibration with the first n relaxations improves the predictions of all other candidates.

    python benchmarks/recalibration.py [TABLE ...] [--fit 10 20 40 80] [--draws 20] [--seed 1]

TABLE has the columns of `campaign replay` (docs/how-to/replay.md): formula, e_form, e_form_ml, and uncertainty if the
scorer gives one. For each n and each draw, n random rows are "relaxed", a correction is fitted to them as in a campaign
(`campaign/recalibration/`), and the other rows are corrected. Printed are means over the draws: area under the ROC
curve for E_f <= 0, median and mean error, the fraction within one standard deviation, and the number of draws in which
offsets were used.

Without a table, 150 random crystals of the Materials Project with at most 12 atoms are used
(`data/relaxed_structures.jsonl.gz`, sources in `benchmarks/volumes.py`). The repository has no DFT energies for them,
so two potentials that were trained on them represent both sides: SevenNet-0, whose energies are uncorrected PBE
energies, stands for the calculation, and CHGNet, whose energies contain the corrections of the Materials Project, for
the scorer. Neither relaxes, and E_f is relative to the built-in crystals of the elements. This is the case of a scorer
with another energy scheme (requires chgnet and sevenn).

Exits with 1 if, for any n, the corrected predictions are less accurate by more than a hundredth in the mean over the
draws.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from campaign.candidates.elements import MissingReferenceError, reference_structure
from campaign.recalibration.fit import Fit, Sample
from campaign.recalibration.trial import fit_correction
from campaign.replay.rows import read_rows

DATA = Path(__file__).parent / "data" / "relaxed_structures.jsonl.gz"
N_CRYSTALS, MOST_ATOMS = 150, 12
WORSE = 1.01


def read_table(path: Path) -> list[Sample]:
    """Return the rows of a table that have both energies."""
    samples = []
    for row in read_rows(path)[0]:
        values = row.values
        if {"formula", "e_form", "e_form_ml"} <= values.keys():
            deviation = values.get("uncertainty")
            samples.append(
                Sample(
                    id=str(values.get("id", row.line)),
                    fractions=fractions(Composition(str(values["formula"]))),
                    predicted=float(values["e_form_ml"]),
                    calculated=float(values["e_form"]),
                    uncertainty=None if deviation is None else float(deviation),
                )
            )
    return samples


def fractions(composition: Composition) -> dict[str, float]:
    """Return atomic fractions by element."""
    return {element.symbol: share for element, share in composition.fractional_composition.items()}


def crystals(seed: int) -> list[Structure]:
    """Return random crystals whose elements all have a built-in crystal."""
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    chosen = []
    for place in np.random.default_rng(seed).permutation(len(found)):
        entry = found[place]
        species = [symbol for symbol, number in entry["atoms"] for _ in range(number)]
        if len(species) > MOST_ATOMS or not all(_has_crystal(symbol) for symbol in set(species)):
            continue
        positions = np.reshape(entry["positions"], (-1, 3))
        chosen.append(Structure(Lattice.from_parameters(*entry["cell"]), species, positions))
        if len(chosen) == N_CRYSTALS:
            break
    return chosen


def _has_crystal(symbol: str) -> bool:
    try:
        reference_structure(symbol)
    except (MissingReferenceError, ValueError):
        return False
    return True


def formation_energies(structures: list[Structure], calculator: object) -> Iterator[float]:
    """Yield formation energies from one potential without relaxation, eV/atom."""
    references: dict[str, float] = {}

    def energy(structure: Structure) -> float:
        atoms = structure.to_ase_atoms()
        atoms.calc = calculator
        return float(atoms.get_potential_energy()) / len(atoms)

    for structure in structures:
        shares = fractions(structure.composition)
        for symbol in shares.keys() - references.keys():
            references[symbol] = energy(reference_structure(symbol))
        yield energy(structure) - sum(share * references[symbol] for symbol, share in shares.items())


def two_potentials(seed: int) -> list[Sample]:
    """Return samples with energies predicted by CHGNet and calculated by SevenNet-0."""
    from chgnet.model.dynamics import CHGNetCalculator
    from sevenn.calculator import SevenNetCalculator

    found = crystals(seed)
    predicted = list(formation_energies(found, CHGNetCalculator(use_device="cpu")))
    calculated = list(formation_energies(found, SevenNetCalculator("7net-0", device="cpu")))
    return [
        Sample(id=f"{place:03d}", fractions=fractions(structure.composition), predicted=ml, calculated=true)
        for place, (structure, ml, true) in enumerate(zip(found, predicted, calculated, strict=True))
    ]


def measured(samples: list[Sample], fit: Fit | None) -> tuple[float, float, float, float]:
    """Return ROC AUC for E_f <= 0, median and mean absolute error, and the fraction within one standard deviation."""
    from sklearn.metrics import roc_auc_score

    said = [(each.predicted, each.uncertainty) for each in samples]
    if fit is not None:
        said = [fit.correct(each.fractions, each.predicted, each.uncertainty) for each in samples]
    true = np.array([each.calculated for each in samples])
    energies = np.array([energy for energy, _ in said])
    deviations = np.array([np.nan if deviation is None else deviation for _, deviation in said])
    stable, errors = true <= 0.0, np.abs(energies - true)
    area = roc_auc_score(stable, -energies) if 0 < stable.sum() < len(stable) else np.nan
    known = np.isfinite(deviations)
    within = float(np.mean(errors[known] <= deviations[known])) if known.any() else np.nan
    return float(area), float(np.median(errors)), float(errors.mean()), within


def compare(title: str, samples: list[Sample], sizes: list[int], *, draws: int, seed: int) -> bool:
    """Print a line for each number of relaxations, and return whether none of them made predictions worse."""
    print(f"{title}: {len(samples)} candidates, {sum(each.calculated <= 0.0 for each in samples)} with E_f <= 0")
    print("  relaxed   AUC             median error, eV/atom   mean error, eV/atom   within 1 sd    offsets used")
    good = True
    for size in sizes:
        if size > len(samples) - 10:
            continue
        before, after, used = [], [], 0
        for draw in range(draws):
            order = np.random.default_rng([seed, draw]).permutation(len(samples))
            relaxed, others = [samples[k] for k in order[:size]], [samples[k] for k in order[size:]]
            fit = fit_correction(relaxed, seed=draw)
            used += fit.offsets is not None
            before.append(measured(others, None))
            after.append(measured(others, fit))
        old, new = np.nanmean(before, axis=0), np.nanmean(after, axis=0)
        good = good and bool(new[2] <= WORSE * old[2])
        shown = [f"{one:.3f} -> {other:.3f}" for one, other in zip(old, new, strict=True)]
        print(f"  {size:7d}   {shown[0]:16s}{shown[1]:24s}{shown[2]:22s}{shown[3]:15s}{used} of {draws}")
    return good


def main() -> None:
    """Print the gain for each table, or for the two potentials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="*")
    parser.add_argument("--fit", type=int, nargs="+", default=[10, 20, 40, 80])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    data = {str(path): read_table(path) for path in options.tables}
    if not data:
        data = {"CHGNet against SevenNet-0": two_potentials(options.seed)}
    results = [
        compare(title, samples, options.fit, draws=options.draws, seed=options.seed) for title, samples in data.items()
    ]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
