"""`campaign export`: crystals as files that other programs read, and entries for any pymatgen hull."""

import csv
import gzip
import json

import ase.io
import pytest
from monty.serialization import loadfn
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from reference_entries import VASP, entry, rocksalt, write
from small_campaign import SMALL
from typer.testing import CliRunner

from campaign.candidates.structure_files import read_structure_file
from campaign.cli.app import app
from campaign.hull.entries_file import read_entries_file
from campaign.running_campaign import start_campaign
from campaign.scheduling.evaluate import evaluate_relaxed
from campaign.spec.reader import read_firework_spec
from campaign.store.campaigns import Campaign
from campaign.views.export.entries import campaign_entries
from campaign.views.export.selection import file_names
from campaign.views.results import result_rows

pytestmark = pytest.mark.mongo


def call(*words):
    return CliRunner().invoke(app, ["export", *map(str, words)])


def read(path, form):
    if form == "extxyz":
        return AseAtomsAdaptor.get_structure(ase.io.read(path))
    (crystal,) = read_structure_file(path)
    return crystal.structure


@pytest.mark.parametrize(
    ("form", "which", "unrelaxed"), [("cif", "stable", False), ("poscar", "all", False), ("extxyz", "relaxed", True)]
)
def test_crystals_are_read_back_as_they_are_stored(finished, tmp_path, form, which, unrelaxed):
    folder = tmp_path / "crystals"
    words = ["quickstart", "--structures", folder, "--as", form, "--which", which]
    done = call(*words, *(["--unrelaxed"] if unrelaxed else []))
    assert done.exit_code == 0, done.output
    with (folder / "index.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    rows = result_rows(Campaign.read(finished.store, "quickstart"))
    chosen = {"all": rows, "stable": [row for row in rows if row.stable]}
    chosen["relaxed"] = [row for row in rows if row.state == "relaxed"]
    assert [line["id"] for line in lines] == [row.id for row in chosen[which]]
    assert {line["file"] for line in lines} | {"index.csv"} == {path.name for path in folder.iterdir()}
    for line, row in zip(lines, chosen[which], strict=True):
        stored = finished.store.candidates.find_one({"_id": row.id})
        relaxed = (stored.get("relaxation") or {}).get("structure")
        assert (line["relaxed"] == "True") == (relaxed is not None and not unrelaxed)
        expected = Structure.from_dict(stored["structure"] if unrelaxed or relaxed is None else relaxed)
        found = read(folder / line["file"], form)
        assert found.lattice.parameters == pytest.approx(expected.lattice.parameters, abs=1e-6)
        assert found.composition == expected.composition
        assert found.matches(expected, scale=False)
        assert line["e_hull_dft"] == ("" if row.e_hull_dft is None else f"{row.e_hull_dft:.4f}")
    again = call(*words)
    assert "results are never overwritten" in str(again.exception)


def test_what_cannot_be_written_leaves_nothing(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("campaign.views.export.structures._write", lambda *_: 1 / 0)
    assert isinstance(call("quickstart", "--structures", tmp_path / "x").exception, ZeroDivisionError)
    assert list(tmp_path.iterdir()) == []
    assert call("quickstart").exit_code == 2
    assert call("quickstart", "--entries", tmp_path / "e.json", "--which", "all").exit_code == 2
    assert "right: a name that ends in .json" in str(call("quickstart", "--entries", tmp_path / "e.txt").exception)


def test_names_of_files_are_safe_and_unlike(finished):
    row, other = result_rows(Campaign.read(finished.store, "quickstart"))[:2]
    label = "../../etc/passwd\x1b[31m $(rm) \u00e9 .cif"
    names = list(file_names([(row, label), (row, label.upper()), (other, "-" * 400)]))
    assert len({name.casefold() for name in names}) == 3
    for name in names:
        assert name.isascii()
        assert not set(name) & set("/\\:*?\"<>| $()'\x1b")
        assert not name.startswith((".", "-"))
        assert len(name) < 150


def distances(entries):
    """Hull distance and formation energy of each candidate against the references, by pymatgen alone, by id."""
    diagram = PhaseDiagram([each for each in entries if each.data["role"] == "reference"])
    return {
        each.entry_id: (
            diagram.get_e_above_hull(each, allow_negative=True, check_stable=False),
            diagram.get_form_energy_per_atom(each),
        )
        for each in entries
        if each.data["role"] == "candidate"
    }


@pytest.mark.parametrize("name", ["entries.json", "entries.json.gz"])
def test_pymatgen_finds_our_hull_distances_from_the_entries(finished, tmp_path, name):
    done = call("quickstart", "--entries", tmp_path / name)
    assert done.exit_code == 0, (done.output, done.exception)
    entries = loadfn(tmp_path / name)
    found = distances(entries)
    rows = {row.id: row for row in result_rows(Campaign.read(finished.store, "quickstart")) if row.state == "relaxed"}
    assert found.keys() == rows.keys()
    for each in entries:
        assert each.correction == 0.0
        assert each.structure is not None  # references too: the campaign has relaxed them
    for candidate, (e_hull, e_form) in found.items():
        assert e_hull == pytest.approx(rows[candidate].e_hull_dft, abs=1e-6)
        assert e_form == pytest.approx(rows[candidate].e_form_dft, abs=1e-6)
    # another campaign takes the file as its references
    taken = read_entries_file(tmp_path / name)
    assert (taken.engine, taken.corrections, len(taken.entries)) == ("gpaw", "none", len(entries))
    content = gzip.decompress((tmp_path / name).read_bytes()) if name.endswith("gz") else (tmp_path / name).read_bytes()
    assert content.count(b"\n") == len(json.loads(content)) + 2


def test_entries_carry_the_corrections_of_the_references(store, launchpad, tmp_path):
    pure = [entry(f"{symbol}2", energy, **VASP) for symbol, energy in (("Mg", -3.0), ("O", -9.8))]
    path = write(tmp_path / "known.json", pure, corrections="mp2020")
    sections = {
        **SMALL,
        "references": {"entries": str(path)},
        "candidates": {"prototypes": ["B1", "B2", "B3"], "elements": ["Mg", "O"]},
        "dft": {"engine": "vasp", "vasp_command": "vasp_std"},
    }
    start_campaign(store, launchpad, read_firework_spec({"campaign": sections}, name="small", base_dir=tmp_path))
    facts = {"energy": -48.0, "vasp_version": "6.4.3", "structure": rocksalt("Mg", "O").as_dict()}
    facts["potcars"] = [
        {"titel": "PAW_PBE Mg_pv 13Apr2007", "hash": "x"},
        {"titel": "PAW_PBE O 08Apr2002", "hash": "y"},
    ]
    update = {"state": "relaxed", "composition": {"Mg": 4.0, "O": 4.0}}
    update |= {f"relaxation.{key}": value for key, value in facts.items()}
    (relaxed,) = store.candidates.find({"role": "bootstrap"}).limit(1)
    store.candidates.update_one({"_id": relaxed["_id"]}, {"$set": update})
    campaign = Campaign.read(store, "small")
    evaluate_relaxed(campaign, campaign.reference_set)
    (tmp_path / "e.json").write_text(json.dumps(list(campaign_entries(campaign))))
    entries = loadfn(tmp_path / "e.json")
    (candidate,) = [each for each in entries if each.data["role"] == "candidate"]
    assert candidate.uncorrected_energy == -48.0
    assert candidate.correction == pytest.approx(4 * -0.687)
    assert candidate.parameters["run_type"] == "GGA"
    result = store.candidates.find_one({"_id": relaxed["_id"]})["result"]
    assert distances(entries) == {
        relaxed["_id"]: (
            pytest.approx(result["e_above_hull"], abs=1e-6),
            pytest.approx(result["e_form_per_atom"], abs=1e-6),
        )
    }
    taken = read_entries_file(tmp_path / "e.json")
    assert (taken.engine, taken.corrections) == ("vasp", "mp2020")
