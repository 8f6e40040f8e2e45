"""INCAR tags, moments and a Hubbard U of the user's own, from the campaign file to the result."""

import copy
import threading

import pytest
from aluminium import aluminium, calculate
from prepared import relax_references
from pymatgen.core import Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry
from reference_entries import VASP, entry, rocksalt, write
from small_campaign import SMALL

from campaign.attempts.last_words import close_unclosed, leave_last_words
from campaign.attempts.ledger import attempt
from campaign.config.yaml_file import CampaignFileError
from campaign.hull.corrections import corrected_energies
from campaign.recovery.retry import choose, failed_calculations
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.spec.reader import read_firework_spec
from campaign.steps.record import record_calculation
from campaign.store.campaigns import Campaign
from campaign.store.states import STAGES
from campaign.views.failures import failure_kinds
from campaign.views.preview import format_preview

VASP_DFT = {"engine": "vasp", "vasp_command": "vasp_std"}


def campaign(*, dft=None, elements=("Al", "Cu"), **sections):
    content = copy.deepcopy(SMALL) | {"dft": dft or dict(VASP_DFT)} | sections
    content["candidates"] = {"prototypes": ["B1", "B2", "L1_0"], "elements": list(elements)}
    return read_firework_spec({"campaign": content}, name="own")


def refusal(**changes) -> str:
    with pytest.raises(CampaignFileError) as refused:
        campaign(**changes)
    return str(refused.value)


# ---- dft.incar


def test_every_wrong_tag_is_named_with_its_field():
    text = refusal(dft=VASP_DFT | {"incar": {"ENCUT": 600, "IVDW": 11, "ncore": 0}})
    assert "spec.campaign.dft.incar" in text
    for part in ("ENCUT: refused: right: dft.encut", "IVDW: refused", "NCORE: found '0'"):
        assert part in text
    assert "both NCORE and NPAR" in refusal(dft=VASP_DFT | {"incar": {"NCORE": 4, "NPAR": 2}})
    assert "incar.LREAL: changes projection" in refusal(dft={"engine": "gpaw", "incar": {"LREAL": "Auto"}})


def test_safe_tags_leave_the_hash_alone_and_the_check_says_which_do_not():
    plain = campaign()
    safe = campaign(dft=VASP_DFT | {"incar": {"ncore": "8", "KPAR": 2, "ALGO": "all"}})
    assert safe.dft.incar == {"NCORE": 8, "KPAR": 2, "ALGO": "All"}
    assert safe.settings_hash == plain.settings_hash
    assert any(line.startswith("INCAR: NCORE = 8, KPAR = 2, ALGO = All: do not") for line in format_preview(safe))
    numbers = campaign(dft=VASP_DFT | {"incar": {"PREC": "Normal", "NCORE": 8}, "magmom": {"Al": 0.0}})
    assert numbers.settings_hash != plain.settings_hash
    lines = "\n".join(format_preview(numbers))
    assert "INCAR: PREC = Normal changes the results (the grids, and with them the energies)" in lines
    assert "initial moments: Al = 0.0" in lines


def test_a_stored_campaign_keeps_its_tags():
    spec = campaign(dft=VASP_DFT | {"incar": {"ALGO": "All", "LPLANE": True}, "magmom": {"Cu": 1}})
    again = read_firework_spec(spec.to_firework_dict()["spec"], name="own")
    assert again == spec
    assert again.dft_settings().incar == {"ALGO": "All", "LPLANE": True}


def test_moments_are_of_elements_and_of_a_size_that_atoms_have():
    assert "dft.magmom" in refusal(dft=VASP_DFT | {"magmom": {"Xx": 1.0}})
    assert "dft.magmom" in refusal(dft=VASP_DFT | {"magmom": {"Fe": 500.0}})


def test_the_check_says_what_of_a_machines_settings_passes(tmp_path, monkeypatch):
    from atomate2 import SETTINGS

    # atomate2 has read its file when it was imported: its settings are what it would have found there
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".atomate2.yaml").write_text("VASP_INCAR_UPDATES: {NCORE: 8, ENCUT: 680}\n")
    monkeypatch.setattr(SETTINGS, "VASP_INCAR_UPDATES", {"NCORE": 8, "ENCUT": 680})
    lines = "\n".join(format_preview(campaign()))
    assert "INCAR: NCORE = 8 from atomate2's settings on this machine" in lines
    assert "that do not reach a campaign: VASP_INCAR_UPDATES.ENCUT" in lines
    assert "atomate2's settings" not in "\n".join(format_preview(campaign(dft={"engine": "gpaw"})))


# ---- Hubbard U


def test_a_hubbard_u_that_cannot_be_computed_or_corrected_is_refused(tmp_path):
    with_u = VASP_DFT | {"hubbard_u": "mp"}
    text = refusal(dft={"engine": "gpaw", "hubbard_u": "mp"})
    assert "hubbard_u is mp but engine is gpaw, which computes without a Hubbard U" in text
    folder = crystals(tmp_path, "Fe", "O")
    oxides = {"elements": ("Fe", "O"), "references": {"structures": str(folder)}}
    text = refusal(dft=with_u, **oxides)
    assert "dft.hubbard_u: found mp: compounds of Fe with O" in text
    assert "references.corrections: mp2020" in text
    corrected = {"structures": str(folder), "corrections": "mp2020"}
    text = refusal(dft=VASP_DFT, elements=("Fe", "O"), references=corrected)
    assert "found 'Fe' together with O: the references include the corrections mp2020" in text
    assert "dft.hubbard_u: mp" in text
    text = refusal(references={"corrections": "mp2020"}, dft={"engine": "gpaw"})
    assert "fitted to energies of VASP, but dft.engine is gpaw" in text
    tungsten = {"structures": str(crystals(tmp_path, "W", "O")), "corrections": "mp2020"}
    text = refusal(dft=with_u | {"potcar_functional": "PBE_54"}, elements=("W", "O"), references=tungsten)
    assert "dft.potcar_functional: found PBE_54, which uses W_sv instead of W_pv" in text
    spec = campaign(dft=with_u, elements=("Fe", "O"), references=corrected)
    assert any("Hubbard U: oxides and fluorides of Fe are computed" in line for line in format_preview(spec))
    # where nothing has a U it changes nothing, and nothing is in its way
    assert campaign(dft=with_u).dft.hubbard_u == "mp"


def crystals(tmp_path, *symbols):
    folder = tmp_path / "".join(symbols)
    folder.mkdir()
    for symbol in symbols:
        cell = Structure.from_spacegroup("R-3m", Lattice.hexagonal(3.3, 11.3), [symbol], [[0, 0, 0.0535]])
        (cell if symbol == "O" else Structure(Lattice.cubic(2.9), [symbol] * 2, [[0, 0, 0], [0.5] * 3])).to(
            str(folder / f"{symbol}.cif")
        )
    return folder


@pytest.mark.parametrize(("pair", "u"), [(("Fe", "O"), 5.3), (("Ni", "F"), 6.2), (("Fe", "Al"), 0), (("Mg", "O"), 0)])
def test_energies_with_a_u_are_corrected_as_pymatgen_corrects_them(pair, u):
    crystal = rocksalt(*pair)
    hubbards = {pair[0]: u} if u else {}
    parameters = {"run_type": "GGA+U" if u else "GGA", "hubbards": hubbards, "is_hubbard": bool(u)}
    expected = MaterialsProject2020Compatibility(check_potcar=False).process_entry(
        ComputedStructureEntry(crystal, -50.0, parameters=parameters)
    )
    document = {
        "composition": crystal.composition.as_dict(),
        "relaxation": {"energy": -50.0, "structure": crystal.as_dict(), "hubbards": hubbards},
    }
    assert corrected_energies([document], "mp2020")[0].energy == pytest.approx(expected.energy)
    if u:
        document["relaxation"]["hubbards"] = {pair[0]: u + 1}
        wrong = corrected_energies([document], "mp2020")[0]
        assert wrong.energy is None
        assert wrong.reason


def test_entries_of_gga_u_are_references_where_the_campaign_has_the_u(tmp_path):
    iron = {"run_type": "GGA+U", "hubbards": {"Fe": 5.3}}
    oxide = ComputedStructureEntry(rocksalt("Fe", "O"), -50.0, parameters=VASP | iron, entry_id="feo")
    oxide = MaterialsProject2020Compatibility(check_potcar=False).process_entry(oxide)
    file = write(tmp_path / "e.json", [entry("Fe2", -16.6, **VASP), entry("O2", -9.9, **VASP), oxide.as_dict()])
    references = {"entries": str(file)}
    spec = campaign(dft=VASP_DFT | {"hubbard_u": "mp"}, elements=("Fe", "O"), references=references)
    assert any("3 reference phases come from e.json" in line for line in format_preview(spec))
    assert "dft.hubbard_u: mp" in refusal(elements=("Fe", "O"), references=references)


@pytest.mark.parametrize("own", [{"hubbard_u": "mp"}, {"incar": {"PREC": "Normal"}}, {"magmom": {"Al": 1.0}}])
def test_entries_of_other_own_settings_are_refused_both_ways(tmp_path, own):
    def references(dft):
        entries = [entry("Al4", -15.0, **VASP), entry("Cu4", -16.0, **VASP)]
        return {"entries": str(write(tmp_path / "e.json", entries, dft=campaign(dft=dft).dft_settings().physics()))}

    (name,) = own
    with_own = VASP_DFT | own
    assert campaign(dft=with_own, references=references(with_own)).references.entries is not None
    assert f"other DFT settings: {name} (entries:" in refusal(references=references(with_own))
    assert f"other DFT settings: {name} (entries: None" in refusal(dft=with_own, references=references(VASP_DFT))


@pytest.mark.mongo
def test_an_oxide_is_screened_as_the_materials_project_does(store, launchpad, tmp_path):
    references = {"structures": str(crystals(tmp_path, "Fe", "O")), "corrections": "mp2020"}
    spec = campaign(dft=VASP_DFT | {"hubbard_u": "mp"}, elements=("Fe", "O"), references=references)
    start_campaign(store, launchpad, spec)
    relax_references(store)
    opened = RunningCampaign.open(store, launchpad, "own")
    opened.advance()
    frozen = store.reference_sets.find_one()
    assert (frozen["corrections"], frozen["dft"]["hubbard_u"]) == ("mp2020", "mp")
    per_atom = {next(iter(each["composition"])): each["energy"] for each in frozen["entries"]}
    for phase in store.references.find():  # elements have no corrections and no U
        assert per_atom[phase["elements"][0]] == pytest.approx(phase["relaxation"]["energy"])
    crystal = rocksalt("Fe", "O")
    relaxation = {"energy": -52.0, "structure": crystal.as_dict(), "hubbards": {"Fe": 5.3}}
    candidate = store.candidates.find_one()
    changes = {f"relaxation.{key}": value for key, value in relaxation.items()}
    composition = crystal.composition.as_dict()
    store.candidates.update_one(
        {"_id": candidate["_id"]}, {"$set": {"state": "relaxed", "composition": composition, **changes}}
    )
    opened.refresh().advance()
    result = store.candidates.find_one({"_id": candidate["_id"]})["result"]
    parameters = {"run_type": "GGA+U", "hubbards": {"Fe": 5.3}}
    expected = MaterialsProject2020Compatibility(check_potcar=False).process_entry(
        ComputedStructureEntry(crystal, -52.0, parameters=parameters)
    )
    elements = {
        symbol: per_atom[symbol] / store.references.find_one({"elements": [symbol]})["n_sites"]
        for symbol in ("Fe", "O")
    }
    e_form = (expected.energy - 4 * elements["Fe"] - 4 * elements["O"]) / 8
    assert result["corrections"] == "mp2020"
    assert result["e_form_per_atom"] == pytest.approx(e_form)


# ---- what was asked for and what was read


@pytest.mark.mongo
def test_the_inputs_of_an_attempt_are_kept(store, launchpad, database, small_spec, engine, launch_folder):
    start_campaign(store, launchpad, small_spec())
    document = aluminium(store)
    calculate(store, database, document)
    record(store, database, document)
    (attempt,) = store.attempts.find()
    asked, used = attempt["inputs"]["asked"], attempt["inputs"]["used"]
    assert asked["incar"]["ENCUT"] == used["incar"]["ENCUT"] == 300
    assert asked["potcars"] == ["Al"]
    assert used["kpoints"].split()[-3:] == [str(number) for number in asked["kpoints"]["divisions"]]
    assert [each["titel"] for each in used["potcars"]] == ["PAW_PBE Al GPAW"]
    assert set(attempt["inputs"]["outside"]) == {"passed", "left_out"}
    relaxation = aluminium(store)["relaxation"]
    assert [each["titel"] for each in relaxation["potcars"]] == ["PAW_PBE Al GPAW"]
    assert relaxation["potcars"][0]["hash"] == used["potcars"][0]["hash"]
    assert (relaxation["hubbards"], relaxation["notes"]) == ({}, [])


def record(store, database, document):
    fw_id = document["relaxation"]["record_fw_id"]
    opened = Campaign.read(store, "small")
    record_calculation(opened, database, document_id=document["_id"], stage=STAGES["relax"], fw_id=fw_id)


@pytest.mark.mongo
def test_the_inputs_of_a_killed_attempt_are_kept_too(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = {"asked": {"incar": {"ENCUT": 520}}}
    noted = threading.Event()
    with attempt(store, campaign="a", stage="dos", fw_id=7, document="d", beat_s=0.01) as entry:
        entry.inputs = inputs
        # a process that is killed says no more than its notes did
        while not store.attempts.find_one({"fw_id": 7, "inputs": inputs}):
            noted.wait(0.01)
    # the database is away when it ends: the launch folder says it
    store.attempts.update_one({"fw_id": 7}, {"$set": {"outcome": "running"}, "$unset": {"inputs": 1}})
    open_entry = store.attempts.find_one()
    ended = {"outcome": "completed", "ended": "2026-12-01T00:00:00+00:00", "inputs": inputs}
    leave_last_words(tmp_path, open_entry["_id"], ended)
    close_unclosed(store, open_entry, outcome="lost")
    assert store.attempts.find_one()["inputs"] == inputs


@pytest.mark.mongo
def test_an_engine_that_reads_other_inputs_ends_with_a_cause_of_its_own(
    store, launchpad, database, small_spec, engine, launch_folder, monkeypatch
):
    start_campaign(store, launchpad, small_spec())
    monkeypatch.setenv("ENGINE_INCAR", "EDIFF = 0.01\nNCORE = 4")
    document = aluminium(store)
    calculate(store, database, document)
    record(store, database, document)
    failed = aluminium(store)
    assert (failed["state"], failed["final_failure"]["cause"]) == ("relax_failed", "input_changed")
    assert "EDIFF = 0.01 in place of 1e-05" in failed["final_failure"]["error"]
    assert "NCORE" not in failed["final_failure"]["error"]
    assert len(engine.read_text().splitlines()) == 1  # not tried again
    assert store.attempts.find_one()["inputs"]["used"]["incar"]["EDIFF"] == 0.01
    opened = Campaign.read(store, "small")
    (kind,) = [each for each in failure_kinds(opened, None) if each.cause == "input_changed"]
    assert "dft.vasp_command" in kind.advice
    assert choose(list(failed_calculations(opened)), kind="input_changed")
