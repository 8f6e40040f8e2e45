"""Formation energies and hull distances against pymatgen's own, and what they must not depend on."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from campaign.decisions.hull import HullSet, MissingElementError

MP_HULL = Path(__file__).parents[3] / "shared" / "data" / "hull" / "MP_Ca-Mg-Al-Si-O.json"

energies = st.floats(-8.0, -1.0, allow_nan=False)
compounds = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.floats(-9.0, -1.0, allow_nan=False)), min_size=1, max_size=6
)


def entries_of(e_al, e_pd, phases, *, scale=1):
    known = [ComputedEntry("Al", e_al), ComputedEntry("Pd", e_pd)]
    for n_al, n_pd, per_atom in phases:
        composition = Composition({"Al": n_al * scale, "Pd": n_pd * scale})
        known.append(ComputedEntry(composition, per_atom * composition.num_atoms))
    return known


@settings(max_examples=40, deadline=None)
@given(e_al=energies, e_pd=energies, phases=compounds, candidate=compounds)
def test_distances_are_those_of_pymatgen(e_al, e_pd, phases, candidate):
    known = entries_of(e_al, e_pd, phases)
    hull = HullSet(known)
    compositions = [Composition({"Al": a, "Pd": b}) for a, b, _ in candidate]
    totals = [per_atom * c.num_atoms for c, (_, _, per_atom) in zip(compositions, candidate, strict=True)]
    formation = hull.formation_energies(compositions, totals)
    distances = hull.distances(compositions, formation)
    diagram = PhaseDiagram(known)
    for composition, total, e_form, distance in zip(compositions, totals, formation, distances, strict=True):
        entry = ComputedEntry(composition, total)
        assert e_form == pytest.approx(diagram.get_form_energy_per_atom(entry), abs=1e-9)
        assert distance == pytest.approx(diagram.get_e_above_hull(entry, allow_negative=True), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(e_al=energies, e_pd=energies, phases=compounds, multiple=st.integers(2, 5))
def test_order_duplicates_and_cell_size_change_nothing(e_al, e_pd, phases, multiple):
    candidate = [Composition({"Al": 1, "Pd": 2})]
    reference = HullSet(entries_of(e_al, e_pd, phases)).distances(candidate, [-0.1])
    others = [
        entries_of(e_al, e_pd, phases)[::-1],
        entries_of(e_al, e_pd, phases + phases),
        entries_of(e_al, e_pd, phases, scale=multiple),
    ]
    for entries in others:
        assert HullSet(entries).distances(candidate, [-0.1]) == pytest.approx(reference, abs=1e-9)
    bigger = [candidate[0] * multiple]
    assert HullSet(entries_of(e_al, e_pd, phases)).distances(bigger, [-0.1]) == pytest.approx(reference, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(e_al=energies, e_pd=energies, phases=compounds, worse=st.floats(0.0, 3.0))
def test_a_phase_above_the_hull_changes_nothing(e_al, e_pd, phases, worse):
    entries = entries_of(e_al, e_pd, phases)
    composition = Composition("Al2Pd3")
    at_hull = HullSet(entries).distances([composition], [0.0])
    hull_energy = -at_hull[0] + (2 * elemental_energy(entries, "Al") + 3 * elemental_energy(entries, "Pd")) / 5
    added = ComputedEntry(composition, (hull_energy + worse) * 5)
    assert HullSet([*entries, added]).distances([composition], [0.0]) == pytest.approx(at_hull, abs=1e-9)


def elemental_energy(entries, symbol):
    return min(entry.energy_per_atom for entry in entries if set(entry.composition.as_dict()) == {symbol})


def test_a_candidate_below_every_known_phase_is_negative():
    hull = HullSet(entries_of(-3.0, -5.0, []))
    assert hull.distances([Composition("AlPd")], [-0.5]) == pytest.approx([-0.5])


def test_a_missing_prediction_stays_missing():
    assert np.isnan(HullSet(entries_of(-3.0, -5.0, [])).distances([Composition("AlPd")], [np.nan])).all()


def test_a_missing_elemental_reference_is_named():
    with pytest.raises(MissingElementError, match="no elemental phase of Cu; it has Al, Pd"):
        HullSet(entries_of(-3.0, -5.0, [])).distances([Composition("AlCu")], [0.0])


@pytest.mark.skipif(not MP_HULL.exists(), reason="the Materials Project hull in ../shared/data is not here")
def test_the_materials_project_distances_are_reproduced():
    rows = list(json.loads(MP_HULL.read_text()).values())
    compositions = [Composition(row["pretty_formula"]) for row in rows]
    formation = np.array([row["formation_energy_per_atom"] for row in rows], dtype=float)
    entries = [
        ComputedEntry(composition, energy * composition.num_atoms)
        for composition, energy in zip(compositions, formation, strict=True)
    ]
    # the file lists compounds only; the elements are zero by definition
    hull = HullSet([*entries, *(ComputedEntry(element, 0.0) for element in ("Ca", "Mg", "Al", "Si", "O"))])
    distances = hull.distances(compositions, formation)
    assert len(rows) == 1320
    assert np.abs(distances - [row["e_above_hull"] for row in rows]).max() < 1e-6
