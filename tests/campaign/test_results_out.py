"""`campaign results` in every format, from a finished campaign in a real database: the same numbers in all of them."""

import csv
import json
from dataclasses import replace

import pytest
import spglib
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry
from typer.testing import CliRunner

from campaign.candidates import space_groups
from campaign.candidates.cif import read_cif
from campaign.cli.app import app
from campaign.hull.facets import HullGapError
from campaign.hull.hull import HullSet
from campaign.references.reference_sets import load_hull
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.views.export.cells import csv_line
from campaign.views.export.formats import json_texts
from campaign.views.export.full_rows import decompositions, format_decomposition, full_rows

ENERGIES = ("e_form_ml", "e_hull_ml", "e_form_dft", "e_hull_dft", "uncertainty")


def call(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


@pytest.fixture
def rows(finished):
    return json.loads(call("results", "quickstart", "--format", "json"))


@pytest.mark.mongo
def test_every_format_says_the_same(finished, rows, tmp_path):
    import pyarrow.parquet

    call("results", "quickstart", "--format", "parquet", "--output", tmp_path / "r.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "r.parquet")
    flat = [
        {name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()} for row in rows
    ]
    assert table.to_pylist() == flat
    assert table.schema.field("e_hull_dft").metadata == {b"unit": b"eV/atom"}
    assert str(table.schema.field("name").type) == "string"  # although no candidate has one

    printed = call("results", "quickstart", "--format", "csv")
    call("results", "quickstart", "--format", "csv", "--output", tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text() == printed
    lines = list(csv.DictReader(printed.splitlines()))
    for line, row in zip(lines, rows, strict=True):
        for name in ENERGIES:
            assert line[name] == ("" if row[name] is None else f"{row[name]:.4f}")
        assert line["cpu_s"] == f"{row['cpu_s']:.1f}"
        for name in ("id", "formula", "decision", "state", "space_group", "decomposition"):
            assert line[name] == (row[name] or "")
    assert not {"structure", "relaxed_structure"} & lines[0].keys()


@pytest.mark.mongo
def test_a_row_has_what_the_database_has(finished, rows):
    for row in rows:
        stored = finished.store.candidates.find_one({"_id": row["id"]})
        assert row["state"] == stored["state"]
        assert row["structure"] == stored["structure"]
        assert row["relaxed_structure"] == (stored.get("relaxation") or {}).get("structure")
        prediction, result = stored.get("prediction") or {}, stored.get("result") or {}
        assert row["novel"] == prediction.get("novel")
        found = [prediction.get("uncertainty"), result.get("e_above_hull")]
        assert [row["uncertainty"], row["e_hull_dft"]] == [value and pytest.approx(value, abs=5e-7) for value in found]
        assert row["reason"] == (stored.get("decision") or {}).get("reason")
        for energy in (row[name] for name in ENERGIES if row[name] is not None):
            assert energy == round(energy, 6)
    groups = {row["prototype"]: (row["space_group"], row["space_group_number"]) for row in rows}
    assert groups == {"B1": ("Fm-3m", 225), "B2": ("Pm-3m", 221), "B3": ("F-43m", 216)}
    assert {row["relaxed_space_group"] for row in rows if row["relaxed_structure"]} <= {"Fm-3m", "Pm-3m", "F-43m"}
    assert {row["decomposition"] for row in rows if row["formula"] == "AlPd"} == {"0.5 Al + 0.5 Pd"}


def test_decompositions_are_pymatgens():
    energies = {"Al": -3, "Pd": -5, "Au": -3, "AlPd2": -15, "AlAu": -7, "AlPdAu": -13}
    entries = [ComputedEntry(formula, energy) for formula, energy in energies.items()]
    diagram, hull = PhaseDiagram(entries), HullSet(entries)
    for formula in ("AlPd", "Al2Pd3Au", "Al", "AlPdAu5", "AlPd2"):
        composition = entries[0].composition.__class__(formula)
        (found,) = hull.decompositions([composition])
        expected = {
            each.composition.reduced_formula: share for each, share in diagram.get_decomposition(composition).items()
        }
        assert found == pytest.approx({name: share for name, share in expected.items() if share > 1e-6}, abs=1e-9)
        assert list(found.values()) == sorted(found.values(), reverse=True)
    (found,) = hull.decompositions([Composition("AlPd")])
    assert format_decomposition(found) == "0.75 AlPd2 + 0.25 Al"


@pytest.mark.mongo
def test_structures_are_read_a_part_at_a_time_while_rows_are_written(finished, monkeypatch):
    asked = []

    def counted(store, ids, fields):
        asked.append(len(ids))
        return candidates_by_id(store, ids, fields)

    monkeypatch.setattr("campaign.views.export.full_rows.AT_ONCE", 2)
    monkeypatch.setattr("campaign.views.export.full_rows.candidates_by_id", counted)
    campaign = Campaign.read(finished.store, "quickstart")
    texts = json_texts(full_rows(campaign), structures=True)
    first = next(texts)
    assert asked == [2]
    assert len(json.loads(first + "".join(texts))) == sum(asked) == finished.store.candidates.count_documents({})
    # a property of a site that is no number is none in JSON
    row = next(full_rows(campaign))
    damaged = {**row.structure, "sites": [{**row.structure["sites"][0], "properties": {"magmom": float("nan")}}]}
    (written,) = json.loads("".join(json_texts([replace(row, structure=damaged)], structures=True)))
    assert written["structure"]["sites"][0]["properties"] == {"magmom": None}


def test_a_space_group_is_asked_for_once_for_all_crystals_of_a_prototype(monkeypatch):
    asked = []
    search = spglib.get_symmetry_dataset
    monkeypatch.setattr(
        spglib, "get_symmetry_dataset", lambda cell, symprec: asked.append(cell) or search(cell, symprec)
    )
    space_groups._space_group.cache_clear()
    for metal, length in (("Mg", 4.2), ("Ca", 4.8), ("Sr", 5.16)):
        rocksalt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(length), [metal, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        assert space_groups.space_group_of(rocksalt.as_dict()) == ("Fm-3m", 225)
    assert len(asked) == 1
    strained = Structure(Lattice.tetragonal(4.2, 4.4), rocksalt.species, rocksalt.frac_coords)
    moved = rocksalt.copy()
    moved.translate_sites([0], [0.0, 0.0, 0.01])
    one_kind = Structure(rocksalt.lattice, ["Po"] * 8, rocksalt.frac_coords)
    found = [space_groups.space_group_of(crystal.as_dict()) for crystal in (strained, moved, one_kind)]
    assert found == [("I4/mmm", 139), ("P4mm", 99), ("Pm-3m", 221)]
    assert space_groups.space_group_of(None) is None


def test_one_composition_that_a_hull_leaves_out_costs_no_other_its_decomposition():
    class WithGap(HullSet):
        def decompositions(self, compositions):
            if any(composition.reduced_formula == "AlPd3" for composition in compositions):
                raise HullGapError("a gap")
            return super().decompositions(compositions)

    hull = WithGap([ComputedEntry("Al", -3.0), ComputedEntry("Pd", -5.0)])
    documents = [{"composition": amounts} for amounts in ({"Al": 1, "Pd": 3}, {"Al": 1, "Pd": 1}, {"Al": 1, "Cu": 1})]
    assert decompositions(documents, hull) == [None, "0.5 Al + 0.5 Pd", None]


@pytest.mark.mongo
def test_structures_in_csv_are_cif_that_is_read_back(finished, rows):
    printed = call("results", "quickstart", "--format", "csv", "--structures")
    for line, row in zip(csv.DictReader(printed.splitlines(keepends=True)), rows, strict=True):
        (crystal,) = read_cif(line["structure"])
        stored = Structure.from_dict(row["structure"])
        assert crystal.structure.matches(stored, scale=False)
        assert bool(line["relaxed_structure"]) == (row["relaxed_structure"] is not None)
    (bare,) = {len(row) for row in json.loads(call("results", "quickstart", "--format", "json", "--no-structures"))}
    assert bare == len(rows[0]) - 2


@pytest.mark.mongo
def test_a_candidate_taken_as_it_is_shows_its_name_and_columns(finished, rows, tmp_path):
    hostile = '=HYPERLINK("http://x")\x1b[31m'
    parent = {"source": "as_given", "name": hostile, "columns": {"-note": "@x", "energy": float("nan"), "n": 3}}
    before = finished.store.candidates.find_one({"_id": rows[0]["id"]}, ["parent"])["parent"]
    finished.store.candidates.update_one({"_id": rows[0]["id"]}, {"$set": {"parent": parent}})
    try:
        (first, *_) = json.loads(call("results", "quickstart", "--format", "json"))
        (line, *_) = csv.DictReader(call("results", "quickstart", "--format", "csv").splitlines())
        wide = call("results", "quickstart", "--wide")
    finally:
        finished.store.candidates.update_one({"_id": rows[0]["id"]}, {"$set": {"parent": before}})
    assert first["name"] == hostile
    assert first["columns"] == {"-note": "@x", "energy": None, "n": 3}
    assert line["name"] == """'=HYPERLINK("http://x")[31m"""
    assert json.loads(line["columns"]) == first["columns"]
    assert "\x1b[31m" not in wide
    assert "0.5 Al + 0.5 Pd" in " ".join(wide.split())


def test_no_cell_is_a_formula_and_numbers_stay_numbers():
    texts = ["=1+1", "+cmd", "-x", "@SUM(A1)", "  =1", "\t=1", "plain", "-0.5", "+3"]
    (cells,) = csv.reader(
        [csv_line([*texts, -0.123456789, 17.25, None, True, {"a": 1}], [*["x"] * 10, "cpu_s", *"yzw"])]
    )
    assert cells == [
        *("'=1+1", "'+cmd", "'-x", "'@SUM(A1)", "'  =1", "'\t=1", "plain", "-0.5", "+3"),
        *("-0.1235", "17.2", "", "True", '{"a": 1}'),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "parquet"], "--output FILE"),
        (["--output", "x.csv"], "--format csv"),
        (["--format", "csv", "--wide"], "--wide applies only to the table"),
        (["--format", "csv", "--output", "nowhere/x.csv"], "does not exist"),
        (["--format", "csv", "--output", "."], "is a folder"),
    ],
)
def test_options_that_do_not_go_together_are_refused_with_what_would_be_right(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["results", "quickstart", *words])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


@pytest.mark.mongo
def test_the_hull_is_that_of_the_reference_set(finished):
    campaign = Campaign.read(finished.store, "quickstart")
    assert set(load_hull(campaign.store, campaign.reference_set).elemental_energies) == {"Al", "Pd", "Au"}
