"""The program that made data/cascade.csv predicts with a potential as a Screen does."""

import csv
import runpy
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from campaign.candidates.elements import reference_structure
from campaign.scorers.force_field import ForceField
from campaign.scorers.relaxation import Relaxer

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> dict:
    return runpy.run_path(str(BENCHMARKS / "cascade_data.py"))


def b2(a: float, *elements: str) -> Structure:
    return Structure(Lattice.cubic(a), elements, [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_a_potential_predicts_each_crystal_and_says_what_it_cost(benchmark):
    crystals = {"AlPd": b2(3.1, "Al", "Pd"), "CuAu": b2(3.1, "Cu", "Au"), "FeAl": b2(2.9, "Fe", "Al")}
    found = benchmark["potential_energies"](ForceField(calculator="EMT"), crystals)
    assert found.keys() == crystals.keys()
    relaxer = Relaxer("EMT", steps=500, force_tolerance=0.03)
    elements = [relaxer.energy(reference_structure(symbol)) for symbol in ("Al", "Pd")]
    assert found["AlPd"][0] == pytest.approx(relaxer.energy(crystals["AlPd"]) - sum(elements) / 2, abs=1e-6)
    assert isinstance(found["CuAu"][0], float)
    assert found["FeAl"][0] is None  # EMT does not describe iron
    assert all(cpu_s >= 0.0 for _, cpu_s in found.values())


def test_the_shipped_energies_of_the_potential_contain_no_corrections(benchmark):
    pytest.importorskip("chgnet")
    with (BENCHMARKS / "data" / "cascade.csv").open() as stream:
        next(stream)  # a comment
        shipped = {row["id"]: float(row["e_form_ml:CHGNet"]) for row in csv.DictReader(stream)}
    # the Materials Project corrects the first, 0.0355 eV/atom, and not the other
    names = ["B1-ZnSi", "B2-CdCu"]
    crystals = benchmark["unseen"]()
    scorer = ForceField(calculator="CHGNet")
    found = benchmark["potential_energies"](scorer, {name: crystals[name] for name in names})
    assert {name: found[name][0] for name in names} == {name: pytest.approx(shipped[name], abs=0.003) for name in names}
