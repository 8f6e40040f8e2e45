"""References from a file are frozen at the start, and the results of a campaign carry the same corrections."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from pymatgen.core import Composition, Lattice, Structure
from reference_entries import ALLOYS, GPAW, VASP, alloys, entry, rocksalt, write
from small_campaign import SMALL
from typer.testing import CliRunner

from campaign.attempts.blocked import blocked
from campaign.candidates.elements import ElementError
from campaign.cli.app import app
from campaign.config.yaml_file import CampaignFileError
from campaign.hull.entries_file import read_entries_file
from campaign.hull.entries_format import EntriesFileError
from campaign.references.reference_sets import (
    ReferenceSetError,
    load_hull,
    relaxed_formation_energies,
    store_entries,
    stored_set,
)
from campaign.running_campaign import start_campaign
from campaign.scheduling.advance import advance
from campaign.scheduling.evaluate import evaluate_relaxed
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.reader import read_firework_spec
from campaign.steps.start import CampaignExistsError
from campaign.steps.train import rs_dos_targets
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import now
from campaign.views.preview import format_preview
from campaign.views.report.data import build_report
from campaign.views.report.summary import summary
from campaign.views.results import result_rows

mongo = pytest.mark.mongo


@pytest.fixture
def with_entries(tmp_path):
    """Function that makes the small campaign with a file of entries."""

    def make(entries, *, name="small", header=None, structures=None, **changes) -> CampaignSpec:
        path = write(tmp_path / "known.json", entries, **(header or {}))
        references = {"entries": str(path), "structures": structures and str(structures)}
        return read_firework_spec(
            {"campaign": {**SMALL, "references": references, **changes}}, name=name, base_dir=tmp_path
        )

    return make


def relax(store, collection, query, energy, **facts):
    facts = {"energy": energy, "vasp_version": "6.9.9-gpaw-test", **facts}
    update = {"state": "relaxed", **{f"relaxation.{key}": value for key, value in facts.items()}}
    document = collection.find_one_and_update(query, {"$set": update})
    assert document is not None
    return document["_id"]


@mongo
def test_a_campaign_with_entries_relaxes_elements_or_waits_for_its_set(store, launchpad, with_entries):
    start_campaign(store, launchpad, with_entries([*alloys(**GPAW), entry("AlPd", -9.0, **GPAW)]))
    assert store.references.count_documents({}) == 0
    campaign = Campaign.read(store, "small")
    checksum = campaign.document["reference_set"]
    document = stored_set(store, checksum)
    assert [found["id"] for found in document["entries"]] == ["id-Al2Cu", "id-Al4", "id-AlCu", "id-Cu4"]
    facts = {"source": "file", "engine": "gpaw", "functional": "PBE", "corrections": "none", "file_name": "known.json"}
    assert {key: document[key] for key in facts} == facts
    assert document["sha256"] == read_entries_file(campaign.spec.references.entries).sha256
    assert "pymatgen" in document["versions"]
    # three candidates: two relaxations of the bootstrap sample and an IS-DOS, two fireworks each
    assert launchpad.fireworks.count_documents({}) == 6
    candidate = relax(store, store.candidates, {"role": "bootstrap", "formula": "AlCu"}, -8.0)
    n_atoms = store.candidates.find_one({"_id": candidate})["n_sites"]
    advance(OpenCampaign.open(store, launchpad, "small"))
    result = store.candidates.find_one({"_id": candidate})["result"]
    assert result["e_form_per_atom"] == pytest.approx(-8.0 / n_atoms + (3.5 + 3.7) / 2)
    assert result["e_above_hull"] == pytest.approx(result["e_form_per_atom"] - (-3.8 + 3.6))
    assert result["reference_set"] == checksum


@mongo
@pytest.mark.parametrize(("header", "words"), [({}, ["quality: fast", "computes with 300 eV"]), ({"dft": True}, [])])
def test_references_of_other_settings_are_a_warning_in_the_report_too(store, launchpad, with_entries, header, words):
    spec = with_entries(alloys(**GPAW))
    if header:
        spec = with_entries(alloys(**GPAW), header={"dft": spec.dft_settings().physics()})
    start_campaign(store, launchpad, spec)
    lines = summary(build_report(Campaign.read(store, "small"), map_of_dos=False)).lines
    notes = [line for line in lines if line.startswith("Note: the entries do not state")]
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))
    checked = [line.removeprefix("note: ") for line in format_preview(spec) if line.startswith("note: the entries")]
    assert notes == [f"Note: {line}." for line in checked]


@mongo
def test_the_same_content_makes_two_sets_or_a_changed_file_goes_on(store, launchpad, with_entries, tmp_path):
    spec = with_entries(alloys(**GPAW))
    start_campaign(store, launchpad, spec)
    before = list(store.reference_sets.find())
    assert start_campaign(store, launchpad, spec).added == 0
    start_campaign(store, launchpad, with_entries(alloys(**GPAW), name="second"))
    assert list(store.reference_sets.find()) == before
    sets = {found["reference_set"] for found in store.campaigns.find()}
    assert sets == {before[0]["_id"]}
    changed = with_entries([*alloys(**GPAW), entry("Al3Cu", -15.0, **GPAW)])
    with pytest.raises(CampaignExistsError, match=r"other structures or entries: .*known\.json has changed since"):
        start_campaign(store, launchpad, changed)
    # a file that changes between the check and the start
    fresh = with_entries(alloys(**GPAW), name="third")
    write(tmp_path / "known.json", alloys(**VASP))
    with pytest.raises(CampaignFileError, match=r"computed with vasp, but dft\.engine is gpaw"):
        start_campaign(store, launchpad, fresh)
    assert store.campaigns.count_documents({"_id": "third"}) == 0


@mongo
def test_own_phases_are_lost_or_not_waited_for(store, launchpad, with_entries, tmp_path):
    (tmp_path / "phases").mkdir()
    rocksalt("Al", "Cu").to(tmp_path / "phases" / "mine.cif")
    Structure(Lattice.cubic(4.0), ["Al"], [[0, 0, 0]]).to(tmp_path / "phases" / "simple.cif")
    start_campaign(store, launchpad, with_entries(alloys(**GPAW), structures=tmp_path / "phases"))
    campaign = Campaign.read(store, "small").document
    assert campaign["reference_set"] is None
    assert [found["label"] for found in store.references.find().sort("_id")] == ["mine", "simple"]
    relax(store, store.references, {"label": "mine"}, -32.0)
    failed = {"state": "relax_failed", "final_failure": {"kind": "science", "error": "no"}}
    store.references.update_one({"label": "simple"}, {"$set": failed})
    assert blocked(Campaign.read(store, "small")) is None  # the file has aluminium
    store.references.update_one({"label": "simple"}, {"$set": {"elements": ["Pd"]}})
    assert "reference simple (Pd) is computed: it failed (science)" in str(blocked(Campaign.read(store, "small")))
    store.references.update_one({"label": "simple"}, {"$set": {"elements": ["Al"]}})
    advance(OpenCampaign.open(store, launchpad, "small"))
    campaign = Campaign.read(store, "small").document
    document = stored_set(store, campaign["reference_set"])
    assert campaign["reference_set"] != campaign["imported_references"]
    assert len(document["entries"]) == len(ALLOYS) + 1
    assert document["own_phases"] == ["small/reference/mine"]
    assert document["failed"] == ["small/reference/simple"]
    assert (document["source"], document["dft"]["engine"]) == ("file", "gpaw")
    hull = load_hull(store, campaign["reference_set"])
    assert hull.distances([Composition("AlCu")], [0.0])[0] == pytest.approx(32.0 / 8 - 3.6)


@mongo
def test_a_candidate_meets_corrected_references_without_corrections(store, launchpad, with_entries):
    pure = [entry(f"{symbol}2", energy, **VASP) for symbol, energy in (("Mg", -3.0), ("O", -9.8))]
    spec = with_entries(
        pure,
        header={"corrections": "mp2020"},
        candidates={"prototypes": ["B1", "B2", "B3"], "elements": ["Mg", "O"]},
        dft={"engine": "vasp", "vasp_command": "vasp_std"},
        stable={"max_formation_energy": -3.1},
    )
    start_campaign(store, launchpad, spec)
    structure = rocksalt("Mg", "O")
    amounts = {"composition": {"Mg": 4.0, "O": 4.0}}
    first, second = [found["_id"] for found in store.candidates.find({"role": "bootstrap"})]
    store.candidates.update_many({"role": "bootstrap"}, {"$set": amounts})
    relax(store, store.candidates, {"_id": first}, -48.0, structure=structure.as_dict())
    # as if an element had come in that the scheme cannot treat
    iron = {"composition": {"Fe": 4.0, "O": 4.0}}
    store.candidates.update_one({"_id": second}, {"$set": iron})
    relax(store, store.candidates, {"_id": second}, -60.0, structure=rocksalt("Fe", "O").as_dict())
    checksum = Campaign.read(store, "small").document["reference_set"]
    campaign = Campaign.read(store, "small")
    assert evaluate_relaxed(campaign, checksum) == 1
    result = store.candidates.find_one({"_id": first})["result"]
    assert result["e_form_per_atom"] == pytest.approx((-48.0 - 4 * 0.687) / 8 + (1.5 + 4.9) / 2)
    assert result["stable"] is True
    refused = store.candidates.find_one({"_id": second})
    assert "result" not in refused
    assert refused["correction_error"]["scheme"] == "mp2020"
    assert "requires a Hubbard U for oxides and fluorides of Fe" in refused["correction_error"]["reason"]
    # it is looked at once, and never trained on
    assert evaluate_relaxed(campaign, checksum) == 0
    assert store.candidates.find_one({"_id": second}) == refused
    store.candidates.update_many({"role": "bootstrap"}, {"$set": {"rs_dos.state": "done"}})
    assert rs_dos_targets(campaign) == {first: pytest.approx(result["e_form_per_atom"])}
    documents = list(store.candidates.find({"state": "relaxed"}))
    assert relaxed_formation_energies(store, checksum, documents) == {first: pytest.approx(result["e_form_per_atom"])}
    decisions = {row.id: (row.decision, row.e_form_dft) for row in result_rows(Campaign.read(store, "small"))}
    assert decisions[second] == ("training, uncorrectable", None)


@mongo
def test_a_set_of_an_earlier_version_cannot_be_read(store):
    from hashlib import sha256

    body = {
        "entries": [{"id": "a", "composition": {"Al": 1.0}, "energy": -3.5, "vasp_version": "6.9.9-gpaw-test"}],
        **{"source": "computed", "functional": "PBE", "corrections": "none", "dft": {"engine": "gpaw"}, "failed": []},
    }
    checksum = sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    beside = {"campaign": "old", "created": now(), "schema_version": 1}
    store.reference_sets.insert_one({"_id": checksum, **body, **beside})
    assert load_hull(store, checksum).elemental_energies == {"Al": -3.5}
    store.reference_sets.update_one({"_id": checksum}, {"$set": {"corrections": "mp2020"}})
    with pytest.raises(ValueError, match="was altered"):
        stored_set(store, checksum)


@mongo
def test_a_set_that_the_database_cannot_take_ends_in_a_traceback(store, tmp_path):
    one = entry("Al4", -14.0, **GPAW)
    path = write(tmp_path / "e.jsonl", (one | {"entry_id": f"{number:0>2000}"} for number in range(8000)))
    with pytest.raises(ReferenceSetError, match=r"8000 reference phases take .* MiB"):
        store_entries(store, read_entries_file(path), campaign="x")
    assert store.reference_sets.count_documents({}) == 0


@mongo
def test_the_commands_show_another_set_than_the_campaigns(store, launchpad, launchpad_file, with_entries, tmp_path):
    def run(*words):
        options = ["--launchpad", str(launchpad_file)]
        done = CliRunner().invoke(app, ["references", *words, *options], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    start_campaign(store, launchpad, with_entries(alloys(**GPAW)))
    checksum = Campaign.read(store, "small").document["reference_set"]
    listed = run("list")
    for part in (checksum[:16], "file", "gpaw", "none", "4", "small"):
        assert part in listed
    exported = tmp_path / "out.json.gz"
    shown = run("show", checksum[:8], "--output", str(exported))
    for part in (f"{checksum} (verified)", "known.json", "Al-Cu 2", "used by: small", "pymatgen"):
        assert part in shown
    again = read_entries_file(exported)
    assert {item.id: item.energy for item in again.entries} == {f"id-{key}": value for key, value in ALLOYS.items()}
    assert (again.engine, again.functional_stated) == ("gpaw", True)
    with pytest.raises(EntriesFileError, match="is not overwritten"):
        run("show", checksum[:8], "--output", str(exported))
    with pytest.raises(ReferenceSetError, match="there is no reference set 0123"):
        run("show", "0123")
    with pytest.raises(ReferenceSetError, match="is not a checksum"):
        run("show", ".*")


# ---- the Materials Project


@pytest.fixture(scope="module")
def materials_project():
    """The Materials Project of tests/esnet on this machine."""
    pytest.importorskip("mp_api", reason="mp-api is not installed (extra 'mp')")
    folder = Path(__file__).parents[1] / "esnet"
    described = importlib.util.spec_from_file_location("mp_server", folder / "materials_project_server.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    sys.modules["mp_server"] = module
    described.loader.exec_module(module)
    process = module.ServerProcess(folder / "materials_project_answers", folder)
    yield process
    process.stop()


@pytest.fixture
def fetch(materials_project, monkeypatch):
    """Function that runs `campaign references fetch-mp` against it."""
    monkeypatch.setenv("MP_API_KEY", "0123456789abcdefghijklmnopqrstuv")
    materials_project.fail()

    def run(path, *options):
        words = ["references", "fetch-mp", str(path), "--endpoint", materials_project.url, *options]
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_what_is_fetched_cannot_be_taken_as_references(fetch, tmp_path):
    path = tmp_path / "mp.json.gz"
    assert "6 entries" in fetch(path, "--elements", "Pd,Al,O")
    file = read_entries_file(path)
    facts = (file.engine, file.functional, file.corrections, file.source, file.database_version, file.max_elements)
    assert facts == ("vasp", "PBE", "mp2020", "materials-project", "2026.10.1", 3)
    energies = {item.id: item.energy for item in file.entries}
    assert energies["mp-1143-GGA"] == pytest.approx(-37.40 - 3 * 0.687)
    assert file.reference_elements == {"Al", "Pd", "O"}
    with pytest.raises(EntriesFileError, match="is not overwritten"):
        fetch(path, "--elements", "Pd,Al,O")


def test_a_fetch_asks_for_phases_that_no_candidate_meets(fetch, materials_project, tmp_path):
    path = tmp_path / "mp.json"
    fetch(path, "--elements", "Pd,Al", "--max-elements", "1")
    assert read_entries_file(path).max_elements == 1
    (asked,) = [found for found in materials_project.asked()["requests"] if "/materials/thermo/" in found]
    assert "chemsys=Al%2CPd&" in asked
    iron = tmp_path / "iron.json"
    fetch(iron, "--elements", "Fe,O")
    with pytest.raises(EntriesFileError, match=r"mp-18905-GGA\+U .* functional GGA\+U"):
        read_entries_file(iron)
    assert read_entries_file(iron, elements=["Fe"]).left_out == 2


@pytest.mark.parametrize(
    ("name", "elements", "error"),
    [
        ("mp.jsonl", "Al", EntriesFileError),
        ("mp.json", "Ce", ElementError),
        ("mp.json", "Xx", ElementError),
        ("no/such/mp.json", "Al", EntriesFileError),
        ("mp.json", "Rg", EntriesFileError),
    ],
)
def test_a_fetch_that_cannot_end_well_leaves_a_file(fetch, tmp_path, name, elements, error):
    with pytest.raises(error):
        fetch(tmp_path / name, "--elements", elements)
    assert list(tmp_path.iterdir()) == []


def test_too_many_chemical_systems_are_asked_for(fetch, tmp_path):
    many = "Li,Be,Na,Mg,Al,Si,K,Ca,Sc,Ti,V,Cr,Mn,Fe,Co,Ni"
    with pytest.raises(
        EntriesFileError, match="16 elements make 65535 chemical systems; give the largest number of elements"
    ):
        fetch(tmp_path / "mp.json", "--elements", many)
