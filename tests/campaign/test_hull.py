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

from campaign.hull.facets import HullFacets, HullGapError
from campaign.hull.hull import HullSet, MissingElementError

MP_HULL = Path(__file__).parents[3] / "shared" / "data" / "hull" / "MP_Ca-Mg-Al-Si-O.json"

energies = st.floats(-8.0, -1.0, allow_nan=False)
compounds = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.floats(-9.0, -1.0, allow_nan=False)), min_size=1, max_size=6
)

ELEMENTS = ("Al", "Pd", "O", "Cu", "Mg")


@st.composite
def chemical_systems(draw, sizes=(1, 3, 4)):
    """Elements, entries of their system, and candidates of it and of the systems within, as (amounts, eV/atom)."""
    symbols = ELEMENTS[: draw(st.sampled_from(sizes))]
    amounts = st.tuples(*[st.integers(0, 4)] * len(symbols)).filter(any)
    phases = st.lists(st.tuples(amounts, st.floats(-9.0, -1.0)), max_size=12)
    known = [ComputedEntry(symbol, draw(energies)) for symbol in symbols]
    known += [entry_of(symbols, *phase) for phase in draw(phases)]
    candidates = [
        (composition_of(symbols, n, draw(st.permutations(range(len(symbols))))), energy)
        for n, energy in draw(st.lists(st.tuples(amounts, st.floats(-9.0, -1.0)), min_size=1, max_size=8))
    ]
    return known, candidates


def composition_of(symbols, amounts, order=None):
    order = order or range(len(symbols))
    return Composition({symbols[i]: amounts[i] for i in order})


def entry_of(symbols, amounts, per_atom):
    return ComputedEntry(composition_of(symbols, amounts), per_atom * sum(amounts))


def split(candidates):
    return [composition for composition, _ in candidates], [per_atom * c.num_atoms for c, per_atom in candidates]


def distances_of(known, candidates):
    hull = HullSet(known)
    compositions, totals = split(candidates)
    return hull.distances(compositions, hull.formation_energies(compositions, totals))


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


@settings(max_examples=60, deadline=None)
@given(system=chemical_systems())
def test_distances_with_any_number_of_elements_are_those_of_pymatgen(system):
    known, candidates = system
    diagram = PhaseDiagram(known)
    for (composition, per_atom), distance in zip(candidates, distances_of(known, candidates), strict=True):
        expected = diagram.get_hull_energy_per_atom(composition.fractional_composition)
        assert distance == pytest.approx(per_atom - expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(system=chemical_systems(), multiple=st.integers(2, 5), data=st.data())
def test_order_duplicates_and_cell_size_change_nothing_with_more_elements(system, multiple, data):
    known, candidates = system
    expected = distances_of(known, candidates)
    shuffled = data.draw(st.permutations(known))
    larger = [ComputedEntry(entry.composition * multiple, entry.energy * multiple) for entry in known]
    for entries in (shuffled, known + known, larger):
        assert distances_of(entries, candidates) == pytest.approx(expected, abs=1e-9)
    bigger_cells = [(composition * multiple, per_atom) for composition, per_atom in candidates]
    assert distances_of(known, bigger_cells) == pytest.approx(expected, abs=1e-9)
    order = data.draw(st.permutations(range(len(candidates))))
    assert distances_of(known, [candidates[i] for i in order]) == pytest.approx(expected[list(order)], abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(system=chemical_systems(), worse=st.floats(0.0, 3.0))
def test_a_phase_above_the_hull_changes_nothing_with_more_elements(system, worse):
    known, candidates = system
    expected = distances_of(known, candidates)
    for (composition, per_atom), distance in zip(candidates, expected, strict=True):
        above = ComputedEntry(composition, (per_atom - distance + worse) * composition.num_atoms)
        assert distances_of([*known, above], candidates) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(system=chemical_systems())
def test_candidates_never_become_part_of_the_hull(system):
    known, candidates = system
    hull = HullSet(known)
    compositions, _ = split(candidates)
    together = hull.distances(compositions, [-5.0] * len(compositions))
    for composition, distance in zip(compositions, together, strict=True):
        assert hull.distances([composition], [-5.0]) == pytest.approx([distance], abs=1e-9)
        assert hull.distances([composition], [1.0]) == pytest.approx([distance + 6.0], abs=1e-9)


KNOWN_PHASES = {"Al": 0.0, "Cu": 0.0, "Pd": 0.0, "AlPd": -1.0, "Al2Cu": -0.3, "AlCuPd": -0.9, "CuPd": -0.2}
"""Formation energies in eV/atom."""

KNOWN_DISTANCES = [  # formula, formation energy, distance by hand: E_f less that of the decomposition
    ("Al", 0.1, 0.1),
    ("AlPd", -1.0, 0.0),
    ("Al8Pd8", -1.2, -0.2),  # below the hull; a larger cell
    ("Al3Pd", -0.2, 0.3),  # 1/2 AlPd, 1/2 Al
    ("Al3Cu", 0.0, 0.225),  # 3/4 Al2Cu, 1/4 Al
    ("Cu3Pd", -0.3, -0.2),  # 1/2 CuPd, 1/2 Cu
    ("AlCuPd", -0.9, 0.0),
    ("Al2CuPd2", 0.0, 0.94),  # 2/5 AlPd, 3/5 AlCuPd: on an edge
    ("Al4Cu2Pd", 0.0, 3.7 / 7),  # half a cell of AlPd, half a one of AlCuPd, one and a half of Al2Cu
]


def test_distances_worked_out_by_hand_are_reproduced():
    hull = HullSet([ComputedEntry(formula, e * Composition(formula).num_atoms) for formula, e in KNOWN_PHASES.items()])
    formulas, formation, expected = zip(*KNOWN_DISTANCES, strict=True)
    found = hull.distances([Composition(formula) for formula in formulas], formation)
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_species_with_an_oxidation_state_counts_as_its_element():
    plain = [ComputedEntry("Fe", -8.0), ComputedEntry("O2", -10.0), ComputedEntry("Fe3O4", -56.0)]
    magnetite = Composition({"Fe2+": 1, "Fe3+": 2, "O2-": 4})
    hematite = Composition({"Fe3+": 2, "O2-": 3})
    expected = HullSet(plain).distances([Composition("Fe2O3"), Composition("Fe3O4")], [-1.0, -1.0])
    decorated = [ComputedEntry(Composition({"Fe0+": 1}), -8.0), plain[1], ComputedEntry(magnetite, -56.0)]
    for known in (plain, decorated):
        hull = HullSet(known)
        assert hull.distances([hematite, magnetite], [-1.0, -1.0]) == pytest.approx(expected, abs=1e-12)
        assert hull.formation_energies([magnetite], [-56.0]) == pytest.approx([-12.0 / 7])


def test_many_candidates_together_get_the_distance_of_each_alone():
    generator = np.random.default_rng(7)
    symbols = ELEMENTS[:3]
    known = [ComputedEntry(symbol, 0.0) for symbol in symbols]
    for amounts in generator.integers(1, 20, (150, 3)).tolist():
        fractions = np.array(amounts) / sum(amounts)
        known.append(entry_of(symbols, amounts, float((fractions**2).sum() - 1)))
    assert len(PhaseDiagram(known).facets) > 100
    compositions = [composition_of(symbols, amounts) for amounts in generator.integers(1, 40, (4000, 3)).tolist()]
    hull = HullSet(known)
    together = hull.distances(compositions, np.zeros(4000))
    some = range(0, 4000, 97)
    alone = [hull.distances([compositions[i]], [0.0])[0] for i in some]
    assert together[list(some)] == pytest.approx(alone, abs=1e-12)


def test_no_candidates_are_no_error():
    hull = HullSet(entries_of(-3.0, -5.0, []))
    assert hull.distances([], []).shape == hull.formation_energies([], []).shape == (0,)


def test_energies_given_are_not_changed():
    given_energies = np.array([-0.5])
    hull = HullSet(entries_of(-3.0, -5.0, []))
    hull.distances([Composition("AlPd")], given_energies)
    hull.formation_energies([Composition("AlPd")], given_energies)
    assert given_energies == [-0.5]


@pytest.mark.parametrize("door", ["distances", "formation_energies"])
@pytest.mark.parametrize(
    ("compositions", "message"),
    [
        ([Composition("AlPd")] * 2, r"2 compositions, but energies of shape \(1,\)"),
        ([Composition()], "composition 0 is empty"),
        ([Composition({"Al": -1, "Pd": 2}, allow_negative=True)], "composition 0 has an amount that is not positive"),
    ],
)
def test_input_that_means_nothing_is_refused(door, compositions, message):
    with pytest.raises(ValueError, match=message):
        getattr(HullSet(entries_of(-3.0, -5.0, [])), door)(compositions, [0.0])


def test_a_composition_outside_every_facet_is_refused_not_extrapolated():
    facets = HullFacets.build(entries_of(0.0, 0.0, [(1, 1, -1.0)]), ("Al", "Pd"), np.zeros(2))
    assert facets.energies(np.array([[0.25, 0.75]])) == pytest.approx([-0.5])
    with pytest.raises(HullGapError, match=r"none of the 2 facets of the hull of Al-Pd contains Al1\.5 Pd-0\.5"):
        facets.energies(np.array([[0.25, 0.75], [1.5, -0.5]]))


def test_a_candidate_below_every_known_phase_is_negative():
    hull = HullSet(entries_of(-3.0, -5.0, []))
    assert hull.distances([Composition("AlPd")], [-0.5]) == pytest.approx([-0.5])


def test_a_missing_prediction_stays_missing():
    assert np.isnan(HullSet(entries_of(-3.0, -5.0, [])).distances([Composition("AlPd")], [np.nan])).all()


@pytest.mark.parametrize("given", [["AlPd"], [{"Al": 1}], Composition("Al")])
def test_what_is_no_composition_is_refused_by_place(given):
    hulls = HullSet(entries_of(-3.0, -5.0, []))
    for ask in (hulls.distances, hulls.formation_energies):
        with pytest.raises(TypeError, match=r"compositions\[0\] is .* must be a pymatgen Composition"):
            ask(given, [0.1])


def test_compositions_may_come_one_by_one():
    hulls = HullSet(entries_of(-3.0, -5.0, []))
    formulas = ["AlPd", "Al3Pd"]
    found = hulls.distances((Composition(formula) for formula in formulas), [0.1, 0.2])
    assert found.tolist() == hulls.distances([Composition(formula) for formula in formulas], [0.1, 0.2]).tolist()


def test_a_reference_without_an_energy_does_not_silently_leave_the_hull():
    entry = ComputedEntry("AlPd", np.nan, entry_id="mp-7")
    with pytest.raises(ValueError, match="energy of entry mp-7 is nan"):
        HullSet([*entries_of(-3.0, -5.0, []), entry])


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
