"""Files of entries are read right or refused by name; corrections are pymatgen's own; a set never changes."""

import gzip
import hashlib
import json
import math
import re
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedEntry
from reference_entries import ALLOYS, GPAW, PBE, VASP, alloys, alumina, entry, rocksalt, structure_entry, write
from small_campaign import write_campaign
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.commands.errors import is_user_error
from campaign.config.yaml_file import CampaignFileError
from campaign.hull.corrections import corrected_energies
from campaign.hull.entries_file import read_entries_file
from campaign.hull.entries_format import EntriesFileError
from campaign.spec.reader import read_campaign_file, read_firework_spec
from campaign.views.preview import format_preview


def mp2020(structure, energy, name):
    """An entry with the corrections that pymatgen gives it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = MaterialsProject2020Compatibility(check_potcar=False).process_entry(
            structure_entry(structure, energy, name)
        )
    assert done is not None
    return done


def problems(path, **options) -> str:
    with pytest.raises(EntriesFileError) as refused:
        read_entries_file(path, **options)
    assert is_user_error(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


# ---- formats


@pytest.mark.parametrize("name", ["e.json", "e.jsonl", "e.json.gz", "e.jsonl.gz", "E.JSON"])
def test_every_format_means_the_same(tmp_path, name):
    path = write(tmp_path / name, alloys(**VASP))
    file = read_entries_file(path)
    assert {found.id: found.energy for found in file.entries} == {f"id-{key}": e for key, e in ALLOYS.items()}
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (file.engine, file.functional, file.corrections, file.source) == ("vasp", "PBE", "none", "file")
    assert file.reference_elements == {"Al", "Cu"}


def test_the_object_form_speaks_for_entries_that_say_nothing(tmp_path):
    header = {"engine": "gpaw", "functional": "PBE", "corrections": "none", "source": "computed"}
    file = read_entries_file(write(tmp_path / "e.json", alloys(), **header, database_version="2026.1"))
    assert (file.engine, file.functional_stated, file.source) == ("gpaw", True, "computed")
    assert file.database_version == "2026.1"
    assert "known here: entries, engine" in problems(write(tmp_path / "f.json", alloys(), engin="vasp"))


def test_entries_with_structures_charges_or_formulas_are_those_of_pymatgen(tmp_path):
    with_structure = structure_entry(alumina(), -220.0, "alumina")
    without = with_structure.as_dict()
    del without["composition"]
    charged = structure_entry(rocksalt("Mg", "S").add_oxidation_state_by_guess(), -40.0, "charged").as_dict()
    assert any("+" in key for key in charged["composition"])
    legacy = {"composition": "Al2Cu", "energy": -11, "correction": 0.0}
    contents = [with_structure.as_dict(), without | {"entry_id": "again"}, charged, legacy]
    file = read_entries_file(write(tmp_path / "e.json", contents), engine="vasp")
    found = {item.id: item.composition for item in file.entries}
    assert found["alumina"] == found["again"] == {"Al": 12.0, "O": 18.0}
    assert found["charged"] == {"Mg": 4.0, "S": 4.0}
    assert found["entry 4"] == {"Al": 2.0, "Cu": 1.0}  # it has no id


@settings(max_examples=30, deadline=None)
@given(
    amounts=st.dictionaries(st.sampled_from(["Al", "Cu", "Pd", "Si"]), st.integers(1, 20), min_size=1),
    energy=st.floats(-1e4, 1e4),
)
def test_reading_changes_a_composition_or_an_energy(tmp_path_factory, amounts, energy):
    path = tmp_path_factory.mktemp("entries") / "e.json.gz"
    made = ComputedEntry(amounts, energy, entry_id="x")
    (found,) = read_entries_file(write(path, [made.as_dict()]), engine="gpaw").entries
    assert found.composition == made.composition.get_el_amt_dict()
    assert found.energy == made.energy


# ---- refusals


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"energy": None}, "id-Al4 (entry 2) has no energy"),
        ({"energy": math.nan}, "id-Al4 (entry 2) has the energy 'nan'; right: a finite number"),
        ({"energy": "-14"}, "has the energy '-14'"),
        ({"energy": True}, "has the energy 'True'"),
        ({"composition": {}}, "has no composition"),
        ({"composition": {"Al": -4}}, "has -4 of Al"),
        ({"composition": {"Al": math.nan}}, "has nan of Al"),
        ({"composition": {"Xx": 4}}, "has 'Xx' in its composition, which is not an element"),
        ({"composition": {"Al": 4, "1": 1}}, "has '1' in its composition"),
        ({"composition": "no formula"}, "is not a formula"),
        ({"@class": "GibbsComputedStructureEntry"}, "is a GibbsComputedStructureEntry; right: ComputedEntry or"),
        ({"entry_id": "id-Cu4"}, "id-Cu4 (entry 2) has the id of entry 1 too"),
        ({"parameters": {**VASP, "vasp_version": "6.9.9-gpaw-26.1.0"}}, "parameters of gpaw and of vasp"),
        ({"correction": -1.0, "energy_adjustments": []}, "carries a correction without a name"),
        ({"correction": -1.0, "energy_adjustments": [{"name": "MP2020 x", "value": -2.0}]}, "make -2 eV"),
        ({"energy_adjustments": "none"}, "energy_adjustments that are not a list"),
    ],
)
def test_a_wrong_entry_is_named_with_its_place(tmp_path, content, expected):
    wrong = entry("Al4", -14.0, **VASP) | content
    path = write(tmp_path / "e.json", [entry("Cu4", -14.8, **VASP), wrong])
    assert expected in problems(path)


def test_everything_that_is_wrong_is_listed_at_once(tmp_path):
    bad = [entry(formula, math.nan, name=f"nan-{formula}") for formula in ("Al", "Cu", "Pd")]
    text = problems(write(tmp_path / "e.jsonl", [*bad, "no entry"]), engine="vasp")
    assert [f"nan-{formula} (line {n})" in text for n, formula in enumerate(("Al", "Cu", "Pd"), 1)] == [True] * 3
    assert "line 4 holds 'no entry'" in text
    many = [entry("Al", math.nan, name=f"n{number}") for number in range(100)]
    assert "and 80 more" in problems(write(tmp_path / "many.json", many), engine="vasp")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("e.txt", b"[]", "is no entries file by its name"),
        ("e.json", b"[{]", "is not JSON"),
        ("e.json", b"\xff\xfe", "is not JSON"),
        ("e.json", b'{"a": 1}', "neither a list nor an object"),
        ("e.json", b"[]", "holds no entries"),
        ("e.json.gz", b"[]", "not compressed with gzip"),
        ("e.json.gz", gzip.compress(b"[1, 2, 3]" * 50, mtime=0)[:-12], "damaged"),
        ("e.jsonl", b"{}\n{]\n", "line 2 is not JSON"),
        ("e.json", None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_traceback(tmp_path, name, content, expected):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert expected in problems(path, engine="vasp")


def test_the_engine_is_guessed(tmp_path):
    silent = write(tmp_path / "silent.json", alloys(**PBE))
    assert "it is unknown which engine computed these entries; set references.engine" in problems(silent)
    assert read_entries_file(silent, engine="gpaw").engine == "gpaw"
    assert read_entries_file(write(tmp_path / "gpaw.json", alloys(**GPAW))).engine == "gpaw"
    emmet = {"run_type": "GGA", "potcar_spec": [{"titel": "PAW_PBE Al 04Jan2001", "hash": None}]}
    assert read_entries_file(write(tmp_path / "mp.json", alloys(**emmet))).engine == "vasp"
    text = problems(write(tmp_path / "vasp.json", alloys(**VASP)), engine="gpaw")
    assert "gpaw by references.engine; vasp by the parameters of id-Al4 (entry 1)" in text
    both = [*alloys(**VASP), entry("Al3Cu", -14.0, **GPAW)]
    assert "gpaw by the parameters of id-Al3Cu (entry 5); vasp by" in problems(write(tmp_path / "both.json", both))
    assert "was computed with qe" in problems(write(tmp_path / "qe.json", alloys(engine="qe")))


def test_another_functional_meets_pbe(tmp_path):
    for run_type in ("GGA+U", "R2SCAN", "PBEsol"):
        path = write(tmp_path / "e.json", [*alloys(**VASP), entry("Al9Cu", -40.0, **VASP | {"run_type": run_type})])
        assert f"id-Al9Cu (entry 5) is of the functional {run_type}; right: PBE" in problems(path)
    # where no candidate can meet it, it is not in the way
    iron = entry("FeO", -12.0, **VASP | {"run_type": "GGA+U"})
    path = write(tmp_path / "f.json", [*alloys(**VASP), iron])
    assert read_entries_file(path, elements=["Al", "Cu"]).left_out == 1
    with_u = {"hubbards": {"Fe": 5.3}}
    assert "functional GGA+U" in problems(write(tmp_path / "u.json", [entry("FeO", -12.0, **with_u)]), engine="vasp")
    assert "functional: found 'SCAN'" in problems(write(tmp_path / "g.json", alloys(**VASP), functional="SCAN"))
    unsaid = read_entries_file(write(tmp_path / "h.json", alloys()), engine="vasp")
    assert not unsaid.functional_stated


def test_two_correction_schemes_meet(tmp_path):
    oxide = mp2020(rocksalt("Mg", "O"), -48.0, "mgo").as_dict()
    magnesium = entry("Mg2", -3.0)
    file = read_entries_file(write(tmp_path / "e.json", [magnesium, oxide]), engine="vasp")
    assert file.corrections == "mp2020"
    assert file.entries[1].energy == pytest.approx(-48.0 - 4 * 0.687)
    bare = entry("BaO", -11.0)
    text = problems(write(tmp_path / "f.json", [magnesium, oxide, bare]), engine="vasp")
    assert "mp2020 by the energy adjustments of mgo (entry 2); none by id-BaO (entry 3)" in text
    other = entry("CaO", -12.0)
    other["energy_adjustments"] = [{"name": "MP Anion Correction", "value": -0.7, "cls": {"@class": "MPLegacy"}}]
    other["correction"] = -0.7
    text = problems(write(tmp_path / "g.json", [oxide, other]), engine="vasp")
    assert "MPLegacy by the energy adjustments of id-CaO" in text
    text = problems(write(tmp_path / "h.json", [other]), engine="vasp")
    assert "carries MPLegacy" in text
    text = problems(write(tmp_path / "i.json", [oxide]), engine="vasp", corrections="none")
    assert "mp2020 by the energy adjustments of mgo (entry 1); none by references.corrections" in text
    mixing = {"name": "MP GGA(+U)/r2SCAN mixing adjustment", "value": 0.1}
    both = oxide | {"correction": None, "energy_adjustments": [*oxide["energy_adjustments"], mixing]}
    assert "mp2020" in problems(write(tmp_path / "j.json", [both]), engine="vasp")


def test_f_block_entries_or_other_elements_come_into_the_hull(tmp_path):
    path = write(tmp_path / "e.json", [*alloys(**VASP), entry("CeAl2", -14.0, **VASP), entry("AlPd", -10.0, **VASP)])
    file = read_entries_file(path, elements=["Al", "Cu"])
    assert (len(file.entries), file.left_out, file.n_f_block) == (4, 2, 1)
    assert len(read_entries_file(path).entries) == 5


# ---- corrections


@pytest.mark.parametrize(
    "structure",
    [
        alumina(),
        rocksalt("Mg", "O"),
        rocksalt("Ca", "S"),
        rocksalt("Na", "Cl"),
        rocksalt("Ti", "N"),
        rocksalt("Al", "Pd"),
    ],
    ids=lambda structure: structure.composition.reduced_formula,
)
def test_a_candidate_gets_another_correction_than_pymatgens(structure):
    document = {
        "composition": structure.composition.get_el_amt_dict(),
        "relaxation": {"energy": -100.0, "structure": structure.as_dict()},
    }
    (found,) = corrected_energies([document], "mp2020")
    assert found.reason is None
    assert found.energy == pytest.approx(mp2020(structure, -100.0, "x").energy, abs=1e-12)
    assert corrected_energies([document], "none")[0].energy == -100.0


def test_what_needs_a_hubbard_u_is_raised_or_left_uncorrected():
    structure = rocksalt("Fe", "O")
    document = {
        "composition": structure.composition.get_el_amt_dict(),
        "relaxation": {"energy": -60.0, "structure": structure.as_dict()},
    }
    (found,) = corrected_energies([document], "mp2020")
    assert found.energy is None
    assert "requires a Hubbard U for oxides and fluorides of Fe" in found.reason
    with pytest.raises(ValueError, match="'mp2030'"):
        corrected_energies([document], "mp2030")


# ---- in a campaign


def checked(tmp_path, entries, *, elements=("Al", "Cu"), engine="gpaw", header=None, **references):
    write(tmp_path / "known.json", entries, **(header or {}))
    file = write_campaign(
        tmp_path / "c.yaml",
        candidates={"prototypes": ["B1", "B2", "B3"], "elements": list(elements)},
        references={"entries": "known.json", **references},
        dft={"engine": engine},
        model={"bootstrap_size": 2},
    )
    return read_campaign_file(file)


def refusal(tmp_path, *args, **options) -> str:
    with pytest.raises(CampaignFileError) as refused:
        checked(tmp_path, *args, **options)
    return str(refused.value)


def test_entries_of_another_engine_are_refused_with_field_found_and_right(tmp_path):
    text = refusal(tmp_path, alloys(**VASP))
    assert "known.json: spec.campaign.references.entries: found entries computed with vasp" in text
    assert "dft.engine is gpaw" in text
    assert "right: entries of gpaw, or dft.engine: vasp" in text
    assert checked(tmp_path, alloys(**VASP), engine="vasp").references.entries == tmp_path / "known.json"


def test_all_missing_elements_are_named_at_once(tmp_path):
    text = refusal(tmp_path, alloys(**GPAW), elements=("Al", "Pd", "Au", "N"))
    for place, symbol in ((1, "Pd"), (2, "Au"), (3, "N")):
        assert f"candidates.elements[{place}]: found {symbol!r}: known.json (references.entries) has no elem" in text
    assert "found 'Al'" not in text
    assert "3 problems" in text


def test_an_element_may_come_from_the_users_own_crystals(tmp_path):
    from pymatgen.core import Lattice, Structure

    (tmp_path / "phases").mkdir()
    Structure(Lattice.cubic(4.0), ["Ga"], [[0, 0, 0]]).to(tmp_path / "phases" / "Ga.cif")
    spec = checked(tmp_path, alloys(**GPAW), elements=("Al", "Cu", "Ga"), structures="phases")
    lines = list(format_preview(spec))
    assert "4 reference phases come from known.json: gpaw, PBE, corrections none; 0 entries of other" in lines[1]
    assert lines[2] == "1 reference phases are relaxed first: Ga"


def test_the_preview_counts_what_is_left_out_and_relaxes_no_elements(tmp_path):
    header = {"engine": "gpaw", "max_elements": 1}
    spec = checked(tmp_path, [*alloys(), entry("AlPd", -9.0)], header=header)
    lines = list(format_preview(spec))
    assert "4 reference phases come from known.json: gpaw, PBE (nothing else stated)" in lines[1]
    assert "1 entry of other elements left out" in lines[1]
    assert "at most 1 elements per phase" in lines[2]
    assert not any("relaxed first" in line for line in lines)


def test_oxides_that_need_a_hubbard_u_are_refused_by_element(tmp_path):
    elements = ("Mg", "O", "Fe", "Ni", "Al")
    pure = [entry(f"{symbol}2", -8.0, **VASP) for symbol in elements]
    options = {"elements": elements, "engine": "vasp"}
    text = refusal(tmp_path, pure, **options, corrections="mp2020")
    for symbol in ("Fe", "Ni"):
        assert f"found {symbol!r} together with O: the references include the corrections mp2020" in text
    assert "2 problems" in text
    assert checked(tmp_path, pure, **options).references.corrections is None


def test_settings_of_the_file_that_differ_from_the_campaigns_are_refused(tmp_path):
    dft = read_firework_spec(
        {"campaign": {"candidates": {"prototypes": ["B2"], "elements": ["Al", "Cu"]}}}, name="a"
    ).dft_settings()
    header = {"engine": "gpaw", "dft": dft.physics()}
    checked(tmp_path, alloys(), header=header)
    header["dft"] = header["dft"] | {"encut": 400.0}
    assert "other DFT settings: encut (entries: 400.0, campaign: 520.0)" in refusal(tmp_path, alloys(), header=header)


def test_what_is_wrong_in_the_file_is_told_with_the_campaigns_other_problems(tmp_path):
    text = refusal(tmp_path, [entry("Al", math.nan, **GPAW)], elements=("Al", "Xx"))
    assert "known.json: spec.campaign.references.entries: id-Al (entry 1) has the energy 'nan'" in text
    assert "candidates.elements[1]" in text
    (tmp_path / "known.json").unlink()
    with pytest.raises(CampaignFileError, match=r"references\.entries: cannot be read"):
        read_campaign_file(tmp_path / "c.yaml")


def test_an_engine_of_entries_without_entries_is_silently_ignored(tmp_path):
    file = write_campaign(tmp_path / "c.yaml", references={"engine": "vasp"})
    with pytest.raises(CampaignFileError, match=r"found engine: vasp without entries.*references\.entries"):
        read_campaign_file(file)


# ---- the command


def test_check_does_not_say_what_is_in_a_file(tmp_path):
    contents = [*alloys(**VASP), entry("CeAl2", -14.0, **VASP)]
    path = write(tmp_path / "e.json.gz", contents)
    done = CliRunner().invoke(app, ["references", "check", str(path)], catch_exceptions=False)
    assert done.exit_code == 0
    for part in (
        "no problems",
        "4 entries; 1 more contain f-block elements",
        "chemical systems: 3 (Al-Cu 2, Al 1, Cu 1)",
        "elemental references: Al, Cu",
        "engine: vasp",
        "functional: PBE",
        "corrections: none",
        hashlib.sha256(path.read_bytes()).hexdigest(),
    ):
        assert part in done.output
    path.write_bytes(gzip.compress(json.dumps([{}]).encode()))
    with pytest.raises(EntriesFileError, match="entry 1 has no composition"):
        CliRunner().invoke(app, ["references", "check", str(path)], catch_exceptions=False)


# ---- energies that never meet


def test_formation_energies_that_cannot_be_are_named_with_their_elements(tmp_path):
    # an element of another functional beside compounds of PBE, as r2SCAN has them
    mixed = [*alloys(**VASP), entry("Pd", -51.4, **PBE), entry("AlPd", -10.6, **PBE)]
    said = problems(write(tmp_path / "e.json", mixed))
    assert "id-AlPd (entry 6) has the formation energy" in said
    assert "Pd -51.4" in said
    assert "right: at most 6 either way" in said
    assert len(read_entries_file(tmp_path / "e.json", max_formation_energy=30.0).entries) == 6
    outlier = [*alloys(**VASP), entry("AlCu3", -300.0, **PBE)]
    assert "id-AlCu3 (entry 5)" in problems(write(tmp_path / "f.json", outlier))
    # only what the campaign's elements ask for
    assert len(read_entries_file(tmp_path / "e.json", elements=["Al", "Cu"]).entries) == 4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"run_type": "GGA", "hubbards": {"Fe": 5.3}}, "has the run_type GGA and a Hubbard U"),
        ({"run_type": "GGA", "is_hubbard": True}, "has the run_type GGA and a Hubbard U"),
        ({"run_type": "GGA", "potcar_symbols": ["PAW Al 04Jan2001"]}, "has the PAW data set 'PAW Al 04Jan2001' of LDA"),
        ({"potcar_symbols": ["PAW_GGA Al 05Jan2001"]}, "of PW91; right: those of PBE"),
        ({"potcar_spec": [{"titel": "PAW_PBE Al_GW 19Mar2012"}]}, "of GW; right: those of PBE"),
        ({"potcar_symbols": 5}, "has the potcar_symbols '5'; right: a list"),
        ({"potcar_spec": {"titel": "x"}}, "right: a list"),
    ],
)
def test_parameters_that_contradict_each_other_are_named(tmp_path, parameters, message):
    contents = [*alloys(**VASP), entry("AlCu3", -15.0, **parameters)]
    assert message in problems(write(tmp_path / "e.json", contents))


@pytest.mark.parametrize(
    "change",
    [
        {"@class": {"a": 1}},
        {"@class": ["ComputedEntry"]},
        {"energy": 10**400},
        {"composition": {"Al": 10**400}},
        {"composition": "(" * 3000 + "Al" + ")2" * 3000},
        {"composition": "Al1e5e5"},
        {"energy_adjustments": [{"value": 10**400}]},
    ],
)
def test_values_that_no_entry_has_are_refused_by_place(tmp_path, change):
    contents = alloys(**VASP)
    contents[2] |= change
    assert "(entry 3)" in problems(write(tmp_path / "e.json", contents))


def test_a_file_of_something_else_is_refused_before_memory_is_used(tmp_path):
    said = problems(write(tmp_path / "e.json", [1] * 100_000))
    assert said.count("right: a dictionary") < 50
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b"[" + b" " * (1 << 26)))
    assert "unpacks to more than 100 times its size" in problems(tmp_path / "bomb.json.gz")


@pytest.mark.parametrize(
    ("title", "functional", "refused"),
    [
        ("PAW_PBE Al 04Jan2001", "PBE", False),
        ("PAW_PBE Fe_pv 06Sep2000", "PBE", False),
        ("PAW_PBE Fe_pv 06Sep2000", "PBE_54", True),
        ("PAW_PBE Fe_pv 02Aug2007", "PBE_54", False),
        ("PAW_PBE W_pv 06Sep2000", "PBE_54", True),
        ("PAW_PBE W_sv 04Sep2015", "PBE_54", False),
        ("PAW_PBE Fe 06Sep2000", "PBE", True),
        ("PBE Fe_pv", "PBE_54", False),
        ("PBE Fe", "PBE_54", True),
    ],
)
def test_another_paw_data_set_is_refused_for_vasp(tmp_path, title, functional, refused):
    element = re.match(r"\S+ ([A-Z][a-z]?)", title)[1]
    other = "Cu" if element == "Al" else "Al"
    contents = [entry(other, -3.5, **PBE), entry(element, -8.0, **PBE, potcar_symbols=[title])]
    path = write(tmp_path / "e.json", contents, engine="vasp")
    sections = {
        "candidates": {"prototypes": ["B2"], "elements": sorted((element, other))},
        "references": {"entries": str(path)},
        "dft": {"engine": "vasp", "vasp_command": "vasp_std", "potcar_functional": functional},
        "scorer": {"kind": "emt"},
    }
    try:
        read_firework_spec({"campaign": sections}, name="x")
        said = ""
    except CampaignFileError as error:
        said = str(error)
    assert (f"found the PAW data set {title!r}" in said) == refused, said
