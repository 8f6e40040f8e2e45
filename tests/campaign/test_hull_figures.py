"""The hulls of a report: numbers of binary, ternary and larger systems, for the page and for print."""

import json
from dataclasses import replace
from itertools import combinations

import pytest
import ternary_campaign
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry
from ternary_campaign import ELEMENTS, KNOWN

from campaign.hull.hull import HullSet, MissingElementError
from campaign.store.campaigns import Campaign
from campaign.views.export.full_rows import full_rows
from campaign.views.figures import hulls as hulls_module
from campaign.views.figures.documents import CandidateColumns, read_candidates
from campaign.views.figures.elements import FEWEST_RELAXED, element_success
from campaign.views.figures.hulls import campaign_hulls
from campaign.views.report.data import build_report
from campaign.views.report.hull_figures import elements_json, hull_figures, hulls_json
from campaign.views.report.print_hulls import print_hulls
from campaign.views.results import result_rows, rows_as_json
from esnet.files.figures import save_figure

amounts = st.tuples(*[st.integers(0, 3)] * 3).filter(any)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(amounts, st.floats(-6.0, -1.0)), max_size=8))
def test_tie_lines_are_the_edges_of_pymatgens_facets(phases):
    entries = [ComputedEntry(symbol, -3.0) for symbol in ELEMENTS]
    for number, energy in phases:
        composition = Composition(dict(zip(ELEMENTS, number, strict=True)))
        entries.append(ComputedEntry(composition, energy * composition.num_atoms))
    diagram = PhaseDiagram(entries)
    edges = set()
    for facet in diagram.facets:
        formulas = sorted({diagram.qhull_entries[place].composition.reduced_formula for place in facet})
        edges |= set(combinations(formulas, 2))
    assert HullSet(entries).tie_lines(["Mg", "Al", "Cu"]) == sorted(edges)


def test_tie_lines_of_an_element_without_a_phase_are_refused():
    with pytest.raises(MissingElementError, match="no elemental phase of Pd; it has Al"):
        HullSet([ComputedEntry("Al", -3.0)]).tie_lines(["Al", "Pd"])


@pytest.mark.mongo
def test_numbers_of_all_systems_are_those_of_results_and_of_pymatgen(
    store, launchpad, small_spec, tmp_path, monkeypatch
):
    name = ternary_campaign.finished(store, launchpad, small_spec, tmp_path)
    ternary_campaign.make_quaternary(store, name)
    campaign = Campaign.read(store, name)
    data = build_report(campaign, map_of_dos=False)
    shown = json.loads(json.dumps(hulls_json(data)))
    rows = {row["id"]: row for row in json.loads(rows_as_json(result_rows(campaign)))}
    full = {row.id: row for row in full_rows(campaign)}
    compositions = {found["_id"]: Composition(found["composition"]) for found in store.candidates.find()}
    systems = {"-".join(sorted(found)) for size in (2, 3, 4) for found in combinations([*ELEMENTS, "Pd"], size)}
    assert {"-".join(hull["system"]) for hull in shown} == systems
    known = {key for key, row in rows.items() if row["e_hull_dft"] is not None or row["e_hull_ml"] is not None}
    assert {point["id"] for hull in shown for point in hull["candidates"]} == known
    assert {point["kind"] for hull in shown for point in hull["candidates"]} == {"predicted", "relaxed", "stable"}

    entries = [ComputedEntry(formula, energy, entry_id=f"known-{formula}") for formula, energy in KNOWN.items()]
    for hull in shown:
        inside = [entry for entry in entries if {one.symbol for one in entry.composition} <= set(hull["system"])]
        diagram, known = PhaseDiagram(inside), HullSet(inside)
        for point in hull["candidates"]:
            row = rows[point["id"]]
            by = "ml" if row["e_hull_dft"] is None else "dft"
            assert (point["e"], point["d"]) == (row[f"e_form_{by}"], row[f"e_hull_{by}"])
            assert point["kind"] == ("predicted" if by == "ml" else "stable" if row["stable"] else "relaxed")
            assert point["parts"] == full[point["id"]].decomposition
            assert_as_pymatgen(point, compositions[point["id"]], hull["system"], diagram, known)
        by_id = {entry.entry_id: entry for entry in inside}
        assert {point["id"] for point in hull["phases"]} == set(by_id)
        for point in hull["phases"]:
            entry = by_id[point["id"]]
            assert point["e"] == pytest.approx(diagram.get_form_energy_per_atom(entry), abs=2e-6)
            assert_as_pymatgen(point, entry.composition, hull["system"], diagram, known)
        stable = {entry.composition.reduced_formula for entry in diagram.stable_entries}
        assert {hull["phases"][place]["formula"] for pair in hull["ties"] for place in pair} == stable
        pairs = [tuple(sorted(hull["phases"][place]["formula"] for place in pair)) for pair in hull["ties"]]
        assert sorted(pairs) == known.tie_lines(hull["system"])

    # for print: both kinds, as text that a vector program can edit
    drawn = dict(print_hulls(data.hulls))
    assert set(drawn) == {f"hull-{system}" for system in systems if system.count("-") < 3}
    for system, labels in (
        ("Al-Cu-Mg", ("Mg2AlCu", "MgAl2Cu", "Mg17Al12", "above the hull (eV/atom)", "relaxed, stable")),
        ("Al-Cu", ("Al2Cu", "formation energy (eV/atom)", "atomic fraction of Cu in Al")),
    ):
        (file,) = save_figure(drawn[f"hull-{system}"], tmp_path / system, dpi=50, fonttype="none")[1:]
        assert [label for label in labels if label not in file.read_text()] == []

    # limits, and that the page says so
    monkeypatch.setattr(hulls_module, "MOST_SYSTEMS", 2)
    monkeypatch.setattr(hulls_module, "MOST_CANDIDATES", 2)
    monkeypatch.setattr(hulls_module, "MOST_PHASES", 1)
    columns = read_candidates(campaign)
    few = campaign_hulls(campaign, data.rows, columns)
    assert (len(few.systems), few.n_systems) == (2, 11)
    assert few.systems[0].candidates[0].id == next(iter(rows))
    assert max(len(hull.candidates) for hull in few.systems) == 2
    for hull in few.systems:  # a tie line never leads to a phase that was left out
        assert len(hull.phases) < hull.n_phases or not any(not phase.is_on_hull for phase in hull.phases)
        assert max(place for pair in hull.tie_lines for place in pair) < len(hull.phases)
    notes = " ".join(hull_figures(replace(data, hulls=few))[0].notes)
    assert "The 2 of 11 chemical systems" in notes
    assert "candidates of a system" in notes

    # the periodic table counts the same rows
    for symbol, _, _, n_candidates, n_relaxed, n_stable in elements_json(data)["shown"]:
        with_it = [row for key, row in rows.items() if symbol in compositions[key]]
        known = [row for row in with_it if row["stable"] is not None]
        assert (n_candidates, n_relaxed, n_stable) == (len(with_it), len(known), sum(row["stable"] for row in known))


def assert_as_pymatgen(point, composition, system, diagram, known):
    """Composition, distance and decomposition of a point are those of `HullSet` and of pymatgen."""
    assert point["x"] == pytest.approx([composition.get_atomic_fraction(one) for one in system], abs=1e-6)
    assert known.distances([composition], [point["e"]])[0] == pytest.approx(point["d"], abs=2e-6)
    references = sum(diagram.el_refs[element].energy_per_atom * n for element, n in composition.items())
    entry = PDEntry(composition, references + point["e"] * composition.num_atoms)
    parts, distance = diagram.get_decomp_and_e_above_hull(entry, allow_negative=True)
    assert distance == pytest.approx(point["d"], abs=2e-6)
    expected = {phase.composition.reduced_formula: share for phase, share in parts.items()}
    shown = {part.split(" ")[1]: float(part.split(" ")[0]) for part in point["parts"].split(" + ")}
    assert shown == pytest.approx(expected, abs=1e-4)


def columns_of(*candidates):
    """Columns of candidates, each as (chemical system, stable or None)."""
    documents = [
        {"_id": f"c/{place}", "chemsys": chemsys, "result": None if stable is None else {"stable": stable}}
        for place, (chemsys, stable) in enumerate(candidates)
    ]
    return CandidateColumns(documents=documents)


def test_an_element_of_too_few_relaxed_candidates_has_no_share():
    columns = columns_of(*[("Al-Cu", True)] * 4, ("Al-Mg", False), *[("Cu-Mg", None)] * 9)
    found = {one.symbol: one for one in element_success(columns)}
    assert (found["Al"].n_candidates, found["Al"].n_relaxed, found["Al"].n_stable) == (5, 5, 4)
    assert found["Al"].share == pytest.approx(0.8)
    assert found["Cu"].n_candidates == 13
    assert found["Cu"].n_relaxed == 4 < FEWEST_RELAXED
    assert found["Cu"].share is None
    assert found["Na"].n_candidates == 0
    assert element_success(columns_of()) is None


def test_each_element_has_its_own_square_and_the_f_block_comes_where_it_is_needed():
    plain = element_success(columns_of(("Al-Cu", None)))
    assert max(one.row for one in plain) == 7
    assert "La" not in {one.symbol for one in plain}
    whole = element_success(columns_of(("La-Ni", True)))
    assert len({(one.row, one.column) for one in whole}) == len(whole) == 118
    places = {one.symbol: (one.row, one.column) for one in whole}
    assert places["H"] == (1, 1)
    assert places["Og"] == (7, 18)
    assert places["La"] == (8, 3)
    assert places["Lu"] == (8, 17)
    assert places["Hf"] == (6, 4)
