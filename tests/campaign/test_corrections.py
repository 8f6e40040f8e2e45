"""Formation energies with and without the corrections of the Materials Project never meet unconverted."""

import json
from pathlib import Path

import numpy as np
import pytest
from prepared import relax_references
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry
from reference_entries import VASP, entry, rocksalt, write
from small_campaign import SMALL

from campaign.candidates.elements import reference_structure
from campaign.config.yaml_file import CampaignFileError
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.scorers.force_field import ForceField
from campaign.scorers.relaxation_order import Formed
from campaign.spec.checks import check_new
from campaign.spec.reader import read_firework_spec
from campaign.store.campaigns import Campaign
from campaign.views.explanation import explanation, format_explanation
from campaign.views.results import result_rows
from esnet.dataset.mp2020 import convert_formation_energy
from esnet.potentials.energies import POTENTIAL_ENERGIES
from esnet.potentials.potentials import EMT, ML_POTENTIALS

ELEMENTS = ["Mg", "O", "Cl"]
#: eV for the formula, without corrections, and what mp2020 adds.
PHASES = {"Mg2": -3.0, "O2": -9.8, "Cl4": -7.2, "Mg4O4": -46.0, "Mg4Cl4": -18.0}
SCHEME = MaterialsProject2020Compatibility(check_potcar=False)
ADDED = {"Mg4O4": 4 * -0.687, "Mg4Cl4": 4 * -0.614}


def reference_file(path: Path, corrections: str) -> Path:
    entries = []
    for name, energy in PHASES.items():
        found = ComputedEntry(name, energy, parameters=VASP, entry_id=name)
        if corrections == "mp2020" and name in ADDED:
            anion = "O" if "O" in name else "Cl"
            found = ComputedStructureEntry(rocksalt("Mg", anion), energy, parameters=VASP, entry_id=name)
            found.energy_adjustments = SCHEME.get_adjustments(found)
            assert found.correction == pytest.approx(ADDED[name])
        entries.append(found.as_dict())
    return write(path, entries, corrections=corrections)


@pytest.fixture
def elements_folder(tmp_path) -> Path:
    """Crystals of the elements that have no built-in one."""
    folder = tmp_path / "elements"
    folder.mkdir()
    oxygen = Structure.from_spacegroup("R-3m", Lattice.hexagonal(3.3, 11.3), ["O"], [[0, 0, 0.0535]])
    chlorine = Structure.from_spacegroup("Cmce", Lattice.orthorhombic(6.24, 4.48, 8.26), ["Cl"], [[0, 0.1, 0.1]])
    for structure in (oxygen, chlorine):
        structure.get_primitive_structure().to(str(folder / f"{structure.elements[0]}.cif"))
    return folder


def oxides_and_halides(folder: Path, corrections: str, elements_folder: Path, **changes):
    references = {"entries": str(reference_file(folder / f"{corrections}.json", corrections))}
    sections = {
        **SMALL,
        "candidates": {"prototypes": ["B1"], "elements": ELEMENTS},
        "dft": {"engine": "vasp", "vasp_command": "vasp_std"},
        "references": references | {"structures": str(elements_folder)},
        "scorer": {"kind": "force_field", "calculator": "CHGNet", "steps": 100, "force_tolerance": 0.3},
        **changes,
    }
    sections.pop("model", None)
    return read_firework_spec({"campaign": sections}, name=corrections)


def distance(composition: Composition, e_form: float, corrections: str) -> float:
    """Distance from the hull by pymatgen alone."""
    added = ADDED if corrections == "mp2020" else {}
    diagram = PhaseDiagram(
        [ComputedEntry(name, energy + added.get(name, 0.0)) for name, energy in PHASES.items()],
        elements=[Composition(symbol).elements[0] for symbol in ELEMENTS],
    )
    per_atom = {symbol: diagram.el_refs[Composition(symbol).elements[0]].energy_per_atom for symbol in ELEMENTS}
    elemental = sum(composition.get_atomic_fraction(symbol) * per_atom[symbol] for symbol in ELEMENTS)
    return e_form + elemental - diagram.get_hull_energy_per_atom(composition)


def correction(structure: Structure) -> float:
    """mp2020 of a crystal by pymatgen alone, eV/atom."""
    parameters = {"run_type": "GGA", "hubbards": {}}
    found = ComputedStructureEntry(structure, 0.0, parameters=parameters)
    return sum(adjustment.value for adjustment in SCHEME.get_adjustments(found)) / len(structure)


@pytest.mark.mongo
def test_predictions_of_chgnet_differ_between_references_by_more_than_the_corrections(
    store, database, launchpad, tmp_path, elements_folder
):
    pytest.importorskip("chgnet")
    found = {}
    for corrections in ("none", "mp2020"):
        spec = oxides_and_halides(tmp_path, corrections, elements_folder)
        start_campaign(store, launchpad, spec)
        # a volume of the elements' volumes is far too large for rock salt
        for metal, anion, a in (("Mg", "O", 4.2), ("Mg", "Cl", 5.2), ("Cl", "O", 90.0)):
            crystal = rocksalt(metal, anion, a).get_primitive_structure().as_dict()
            query = {"campaign": corrections, "elements": sorted([metal, anion])}
            store.candidates.update_one(query, {"$set": {"structure": crystal}})
        relax_references(store)
        # own phases of the elements lie above those of the file
        store.references.update_many({}, {"$set": {"relaxation.energy": 0.0}})
        campaign = RunningCampaign.open(store, launchpad, corrections)
        campaign.advance()
        campaign = campaign.refresh()
        for step in store.steps.find({"campaign": corrections, "kind": "screen"}):
            campaign.screen(database, step["_id"], fw_id=step["fw_id"])
        found[corrections] = {each["formula"]: each for each in store.candidates.find({"campaign": corrections})}
    compared = 0
    for formula, without in found["none"].items():
        raw, corrected = without["prediction"], found["mp2020"][formula]["prediction"]
        assert (raw["corrections"], corrected["corrections"]) == ("none", "mp2020")
        if np.isnan(raw["e_form_per_atom"]):
            assert np.isnan(corrected["e_form_per_atom"])
            continue
        structure = Structure.from_dict(without["structure"])
        shift = corrected["e_form_per_atom"] - raw["e_form_per_atom"]
        assert shift == pytest.approx(correction(structure), abs=1e-6), formula
        for energies, scheme in ((raw, "none"), (corrected, "mp2020")):
            expected = distance(structure.composition, energies["e_form_per_atom"], scheme)
            assert energies["e_above_hull"] == pytest.approx(expected, abs=1e-6), (formula, scheme)
        compared += shift != 0.0
    assert compared == 2, found
    # CHGNet's own energies contain the corrections: E_f of MgO is -3.0 eV/atom by experiment and with them
    assert found["mp2020"]["MgO"]["prediction"]["e_form_per_atom"] == pytest.approx(-3.0, abs=0.15)
    rows = result_rows(Campaign.read(store, "mp2020"))
    assert {row.corrections for row in rows} == {"mp2020"}
    told = list(format_explanation(explanation(Campaign.read(store, "none"), found["none"]["MgO"])))
    assert any(line.startswith("prediction:") and line.endswith("corrections: none") for line in told)


@pytest.mark.mongo
def test_the_energy_of_an_is_dos_gets_the_corrections_of_the_references(
    store, database, launchpad, tmp_path, elements_folder
):
    found = {}
    for corrections in ("none", "mp2020"):
        spec = oxides_and_halides(tmp_path, corrections, elements_folder, scorer={"kind": "single_point"})
        start_campaign(store, launchpad, spec)
        relax_references(store)
        store.references.update_many({}, {"$set": {"relaxation.energy": 0.0}})
        facts = {"state": "dos_done", "is_dos.energy": -10.0, "is_dos.hubbards": {}}
        store.candidates.update_many({"campaign": corrections}, {"$set": facts})
        campaign = RunningCampaign.open(store, launchpad, corrections)
        campaign.advance()
        campaign = campaign.refresh()
        for step in store.steps.find({"campaign": corrections, "kind": "screen"}):
            campaign.screen(database, step["_id"], fw_id=step["fw_id"])
        found[corrections] = {each["formula"]: each for each in store.candidates.find({"campaign": corrections})}
    added = {
        formula: found["mp2020"][formula]["prediction"]["e_form_per_atom"] - each["prediction"]["e_form_per_atom"]
        for formula, each in found["none"].items()
    }
    assert added == {
        formula: pytest.approx(correction(Structure.from_dict(each["structure"])), abs=1e-9)
        for formula, each in found["none"].items()
    }
    assert added["MgO"] == pytest.approx(-0.687 / 2)
    # half of -10 eV, less half of the energies of Mg and O in the file
    assert found["none"]["MgO"]["prediction"]["e_form_per_atom"] == pytest.approx(-5.0 + (1.5 + 4.9) / 2)
    assert {each["prediction"]["corrections"] for each in found["mp2020"].values()} == {"mp2020"}


def test_every_potential_says_what_its_energies_contain():
    assert POTENTIAL_ENERGIES.keys() == {EMT, *ML_POTENTIALS}
    assert all(known.evidence for known in POTENTIAL_ENERGIES.values())


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        ({"calculator": "MatPES-r2SCAN"}, r"scorer\.calculator: found 'MatPES-r2SCAN', which gives energies of r2SCAN"),
        ({"calculator": "CHGNet", "corrections": "none"}, r"scorer\.corrections: found 'none', .* contain mp2020"),
        ({"calculator": "MatterSim"}, r"scorer\.corrections: it is unknown whether the energies of .*MatterSim"),
        (
            {"kind": "ensemble", "potentials": [{"calculator": "CHGNet"}, {"calculator": "MatterSim"}]},
            r"scorer\.potentials\[1\]\.corrections: it is unknown whether the energies of MatterSim contain .* right: "
            r"none or mp2020$",
        ),
    ],
)
def test_a_potential_of_another_functional_or_of_unknown_corrections_meets_the_references(
    tmp_path, elements_folder, scorer, message
):
    with pytest.raises(CampaignFileError, match=message):
        oxides_and_halides(tmp_path, "none", elements_folder, scorer={"kind": "force_field", **scorer})
    prefilter = {"scorer": {"kind": "force_field", **scorer}, "uncertainty": 0.1}
    with pytest.raises(CampaignFileError, match=rf"prefilter\.{message}"):
        oxides_and_halides(tmp_path, "none", elements_folder, scorer={"kind": "esnet"}, prefilter=prefilter)


def test_unknown_corrections_matter_where_there_are_none(tmp_path, elements_folder):
    stated = {"kind": "force_field", "calculator": "MatterSim", "corrections": "none"}
    assert (
        oxides_and_halides(tmp_path, "none", elements_folder, scorer=stated).scorer.energy_corrections(None) == "none"
    )
    alloys = {**SMALL, "scorer": {"kind": "force_field", "calculator": "MatterSim"}}
    alloys.pop("model")
    assert read_firework_spec({"campaign": alloys}, name="alloys").scorer == ForceField(calculator="MatterSim")
    # the mean of known and unknown ones: in alloys there is nothing to convert, in others the ensemble must know
    potentials = [{"calculator": "CHGNet"}, {"calculator": "MatterSim"}]
    mixed = read_firework_spec(
        {"campaign": alloys | {"scorer": {"kind": "ensemble", "potentials": potentials}}}, name="a"
    )
    assert mixed.scorer.energy_corrections(None) is None
    potentials[1] |= {"corrections": "none"}
    known = oxides_and_halides(
        tmp_path, "none", elements_folder, scorer={"kind": "ensemble", "potentials": potentials}
    ).scorer
    for ensemble, crystal, shift in (
        (mixed.scorer, rocksalt("Al", "Cu"), 0.0),
        (known, rocksalt("Mg", "O"), 0.687 / 4),
    ):
        formed = Formed(name="x", structure=crystal, energies=(-2.0, -1.0))
        assert ensemble.predict(formed).e_form == pytest.approx(-1.5 + shift, abs=1e-6)


def test_an_oxide_of_iron_is_converted(tmp_path, elements_folder):
    candidates = {"prototypes": ["B1"], "elements": ["Fe", "O"]}
    references = {
        "entries": str(write(tmp_path / "iron.json", [entry("Fe2", -16.0, **VASP), entry("O2", -9.8, **VASP)]))
    }
    references |= {"corrections": "none", "structures": str(elements_folder)}
    # of an ensemble, each potential that has other energies than the references
    potentials = {"kind": "ensemble", "potentials": [{"calculator": "SevenNet"}, {"calculator": "CHGNet"}]}
    for scorer, whose in (({}, ""), ({"scorer": potentials}, "CHGNet ")):
        with pytest.raises(
            CampaignFileError, match=rf"{whose}have the .* compounds of Fe with O or F cannot be converted between"
        ):
            oxides_and_halides(
                tmp_path, "none", elements_folder, candidates=candidates, references=references, **scorer
            )
    refused = convert_formation_energy(-1.0, rocksalt("Fe", "O"), given="mp2020", wanted="none")
    assert refused.energy is None
    assert "requires a Hubbard U for oxides and fluorides of Fe" in str(refused.reason)


def test_a_conversion_there_and_back_changes_an_energy():
    for structure in (rocksalt("Mg", "O"), rocksalt("Al", "Sb"), reference_structure("Al")):
        there = convert_formation_energy(-1.0, structure, given="none", wanted="mp2020").energy
        back = convert_formation_energy(there, structure, given="mp2020", wanted="none").energy
        assert back == pytest.approx(-1.0, abs=1e-12)
    assert json.dumps(there) == "-1.0"  # elements have no corrections


def test_settings_that_do_nothing_are_accepted(tmp_path, elements_folder, small_spec):
    with pytest.raises(CampaignFileError, match=r"model\.corrections is mp2020, .* but none is used"):
        small_spec(model={**SMALL["model"], "corrections": "mp2020"})
    potential = {"kind": "force_field", "calculator": "EMT"}
    changes = {"model": {}, "scorer": potential, "policy": {"novel": "reject"}}
    with pytest.raises(CampaignFileError, match=r"policy\.novel: found reject, but relaxations with the potential EMT"):
        check_new(small_spec(**changes))
