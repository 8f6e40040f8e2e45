"""Samples from a folder of VASP runs: right targets, right kinds, and nothing left out in silence."""

import json
import logging
import lzma
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vasp_files import TITLES, FakeRun, write_vaspout, write_vasprun

from esnet.dataset.dataset import Dataset, DatasetWriter
from esnet.files.errors import UserError
from esnet.representation.features import Representation
from esnet.sources.vasp_energies import EnergyTable, VaspEnergyError
from esnet.sources.vasp_folder import FolderReport, VaspFolderError, find_runs, read_vasp_folder
from esnet.sources.vasprun import read_dos

REPRESENTATION = Representation()
AL = FakeRun(elements=("Al",), energy=-3.7, seed=2)
PD = FakeRun(elements=("Pd", "Pd"), energy=-10.4, seed=3)
AL_PD = FakeRun(elements=("Al", "Pd"), energy=-10.8, seed=4)


def read(folder: Path, **options: object) -> list:
    return list(read_vasp_folder(folder, **({"representation": REPRESENTATION} | options)))  # type: ignore[arg-type]


@pytest.fixture
def runs(tmp_path) -> Path:
    """Al, Pd (twice), and AlPd; -10.8 + 3.7 + 5.2 = -1.9 eV for 2 atoms."""
    folder = tmp_path / "runs"
    write_vasprun(folder / "Al" / "vasprun.xml", AL)
    write_vasprun(folder / "Pd" / "vasprun.xml", PD)
    write_vasprun(folder / "Pd_high" / "vasprun.xml", replace(PD, energy=-9.0, seed=5))
    write_vasprun(folder / "alloys" / "AlPd" / "vasprun.xml", AL_PD)
    return folder


def test_formation_energies_are_not_those_against_the_lowest_elements(runs):
    report = FolderReport()
    samples = {sample.id: sample for sample in read(runs, report=report)}
    assert {name: round(sample.energy, 6) for name, sample in samples.items()} == {
        "Al:rs_dos": 0.0,
        "Pd:rs_dos": 0.0,
        "Pd_high:rs_dos": 0.7,
        "alloys/AlPd:rs_dos": -0.95,
    }
    assert report.references == {"Al": (-3.7, "Al/vasprun.xml"), "Pd": (-5.2, "Pd/vasprun.xml")}
    assert (report.n_runs, report.n_samples, report.problems) == (4, 4, [])
    sample = samples["alloys/AlPd:rs_dos"]
    assert np.array_equal(sample.dos, read_dos(runs / "alloys" / "AlPd" / "vasprun.xml").features())
    assert (sample.composition, sample.chemsys, sample.kind) == ({"Al": 1.0, "Pd": 1.0}, "Al-Pd", "rs_dos")
    assert (sample.efermi, sample.spacing) == (AL_PD.efermi, pytest.approx(0.35))
    assert sample.provenance["file"] == "alloys/AlPd/vasprun.xml"


def test_runs_of_one_formula_are_divided_by_a_split(runs):
    samples = read(runs)
    assert [sample.material for sample in samples] == ["Al", "Pd", "Pd", "AlPd"]


def test_a_sample_cannot_be_written_into_a_data_set(runs, tmp_path):
    with DatasetWriter(tmp_path / "data", representation=REPRESENTATION, source={}) as writer:
        for sample in read_vasp_folder(runs, representation=REPRESENTATION):
            assert writer.add(sample)
    assert len(Dataset.open(tmp_path / "data")) == 4


def test_the_fermi_level_is_not_zero_on_an_axis_that_begins_there(runs):
    (sample,) = read(runs, pattern="Al/*", representation=Representation(energy_reference="fermi"))
    assert sample.efermi == 0.0
    expected = read_dos(runs / "Al" / "vasprun.xml").features(energy_reference="fermi")
    assert np.array_equal(sample.dos, expected)


def test_a_missing_element_is_not_named(runs):
    (runs / "Al" / "vasprun.xml").unlink()
    report = FolderReport()
    assert [sample.chemsys for sample in read(runs, report=report)] == ["Pd", "Pd"]
    ((file, why),) = report.problems
    assert file == "alloys/AlPd/vasprun.xml"
    assert "no run of pure Al" in why


DIFFERENT = {
    "cutoff": ({"tags": {"ENMAX": 400.0}}, "ENCUT is 520.0 in .*Al.*400.0 in .*AlPd"),
    "GGA": ({"tags": {"GGA": "PS"}}, "GGA is PE .* PS"),
    "meta-GGA": ({"tags": {"METAGGA": "R2SCAN"}}, "METAGGA is none .* R2SCAN"),
    "hybrid": ({"tags": {"LHFCALC": True, "AEXX": 0.25}}, "LHFCALC"),
    "dispersion": ({"tags": {"IVDW": 12}}, "IVDW is 0 .* 12"),
    "POTCAR": ({"titles": TITLES | {"Pd": "PAW_PBE Pd_pv 28Jan2005"}}, "POTCAR of Pd is PAW_PBE Pd 04Jan2005"),
    "POTCAR of an element that comes twice in POSCAR": (
        {"elements": ("Pd", "Al", "Pd"), "titles": TITLES | {"Pd": "PAW_PBE Pd_pv 28Jan2005"}},
        "POTCAR of Pd is PAW_PBE Pd 04Jan2005",
    ),
    "Hubbard U": ({"tags": {"LDAU": True, "LDAUU": [0.0, 3.2]}}, "Hubbard U of Pd is 0.0 .* 3.2"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_energies_of_different_settings_are_subtracted(runs, case):
    changes, message = DIFFERENT[case]
    write_vasprun(runs / "alloys" / "AlPd" / "vasprun.xml", replace(AL_PD, **changes))
    with pytest.raises(VaspEnergyError, match=message) as caught:
        read(runs, strict=True)
    assert isinstance(caught.value, UserError)
    report = FolderReport()
    assert {sample.chemsys for sample in read(runs, report=report)} == {"Al", "Pd"}
    ((file, why),) = report.problems
    assert file == "alloys/AlPd/vasprun.xml"
    assert re.search(message, why)
    assert report.reasons == {"other settings": [file]}


def test_pbe_from_the_potcars_and_pbe_from_the_incar_are_two_functionals(runs):
    write_vasprun(runs / "Al" / "vasprun.xml", replace(AL, tags={"GGA": "--"}))
    assert len(read(runs)) == 4


def test_unusable_runs_disappear(runs, caplog):
    write_vasprun(runs / "unfinished" / "vasprun.xml", replace(AL_PD, n_electronic=60, edge=6.1))
    (runs / "broken").mkdir()
    (runs / "broken" / "vasprun.xml").write_text("<?xml version='1.0'?><modeling>")
    write_vasprun(runs / "no_d" / "vasprun.xml", replace(AL, orbitals=("s", "p", "d")))
    report = FolderReport()
    with caplog.at_level(logging.WARNING):
        assert len(read(runs, report=report)) == 4
        # the report has them, and a log would say them twice
        assert caplog.text == ""
        assert len(read(runs)) == 4
    problems = dict(report.problems)
    assert set(problems) == {"unfinished/vasprun.xml", "broken/vasprun.xml", "no_d/vasprun.xml"}
    assert "not converged" in problems["unfinished/vasprun.xml"]
    assert "no ionic step" in problems["broken/vasprun.xml"]
    assert "lm-resolved" in problems["no_d/vasprun.xml"]
    assert all(name in caplog.text for name in problems)
    assert report.n_runs == 7
    with pytest.raises(VaspFolderError, match="broken"):
        read(runs, strict=True)
    assert len(read(runs, unconverged=True)) == 5


def test_a_fermi_level_that_overflowed_ends_the_reading(runs):
    file = runs / "Al" / "vasprun.xml"
    file.write_text(re.sub(r'(name="efermi"[^>]*>)[^<]*', r"\1 ******** ", file.read_text()))
    (sample,) = read(runs, pattern="Al/*")
    assert sample.efermi is None
    assert sample.checked().id == "Al:rs_dos"


def test_a_folder_that_cannot_be_read_is_left_out_in_silence(runs):
    closed = runs / "alloys"
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            pytest.skip("this user may read everything")
        with pytest.raises(VaspFolderError, match="alloys: the folder cannot be read"):
            read(runs)
    finally:
        closed.chmod(0o755)


def test_an_unrelaxed_structure_has_its_own_energy_for_a_target(runs):
    write_vasprun(runs / "alloys" / "AlPd_is" / "vasprun.xml", replace(AL_PD, energy=-9.9, seed=9))
    write_vasprun(runs / "other" / "lonely_is" / "vasprun.xml", replace(AL_PD, energy=-9.9, seed=10, edge=6.3))
    report = FolderReport()
    samples = {sample.id: sample for sample in read(runs, is_pattern="*_is/*", report=report)}
    unrelaxed, relaxed = samples["alloys/AlPd_is:is_dos"], samples["alloys/AlPd:rs_dos"]
    assert unrelaxed.energy == relaxed.energy == pytest.approx(-0.95)
    assert unrelaxed.material == relaxed.material
    assert not np.array_equal(unrelaxed.dos, relaxed.dos)
    ((file, why),) = report.problems
    assert file == "other/lonely_is/vasprun.xml"
    assert "no energy of its relaxed crystal" in why
    assert "--energies" in why


TABLE = "path,formation_energy_per_atom,kind,material,prototype\nalloys/AlPd,-0.93,,mp-829,B2\nAl,0.0,is_dos,,\n"


@pytest.mark.parametrize("form", ["csv", "list", "object"])
def test_a_table_of_energies_is_not_followed(runs, tmp_path, form):
    path = tmp_path / ("energies.csv" if form == "csv" else "energies.json")
    al_pd = {"formation_energy_per_atom": -0.93, "material": "mp-829", "prototype": "B2"}
    al = {"formation_energy_per_atom": 0.0, "kind": "is_dos"}
    path.write_text(
        {
            "csv": TABLE,
            "list": json.dumps([{"path": "alloys/AlPd", **al_pd}, {"id": "Al", **al}]),
            "object": json.dumps({"alloys/AlPd": al_pd, "Al": al}),
        }[form]
    )
    report = FolderReport()
    first, second = read(runs, energies=path, report=report)
    assert (first.id, first.material, first.energy, first.kind) == ("Al:is_dos", "Al", 0.0, "is_dos")
    assert (second.material, second.energy, second.prototype) == ("mp-829", -0.93, "B2")
    assert [name for name, _ in report.problems] == ["Pd/vasprun.xml", "Pd_high/vasprun.xml"]


def test_a_name_in_the_table_is_not_that_of_a_folder_above(runs, tmp_path):
    write_vasprun(runs / "mp-829" / "is" / "vasprun.xml", AL_PD)
    write_vasprun(runs / "mp-829" / "rs" / "vasprun.xml", replace(AL_PD, seed=11))
    table = tmp_path / "energies.json"
    table.write_text(json.dumps({"mp-829": -0.9, "mp-830": -0.8}))
    report = FolderReport()
    samples = read(runs, energies=table, pattern="mp-*", is_pattern="*/is/*", report=report)
    assert [(sample.id, sample.material, sample.energy) for sample in samples] == [
        ("mp-829/is:is_dos", "mp-829", -0.9),
        ("mp-829/rs:rs_dos", "mp-829", -0.9),
    ]
    assert report.problems == [("mp-830", "is in energies.json, but there is no such run")]


def test_initial_and_relaxed_structure_of_a_table_are_divided_by_a_split(runs, tmp_path):
    write_vasprun(runs / "AlPd_is" / "vasprun.xml", replace(AL_PD, seed=12))
    table = tmp_path / "energies.csv"
    table.write_text(
        "id,formation_energy_per_atom,kind,material\n"
        "AlPd_is,-0.93,is_dos,\nAlPd,-0.93,rs_dos,\nPd,0,rs_dos,\nAl,0,rs_dos,fcc Al\n"
    )
    samples = {sample.id: sample.material for sample in read(runs, energies=table)}
    assert samples == {"Al:rs_dos": "fcc Al", "AlPd_is:is_dos": "AlPd", "alloys/AlPd:rs_dos": "AlPd", "Pd:rs_dos": "Pd"}
    # of one kind, a run is what the table calls it
    table.write_text("id,formation_energy_per_atom\nPd,0\nPd_high,0.7\n")
    assert [sample.material for sample in read(runs, energies=table)] == ["Pd", "Pd_high"]


WRONG_TABLES = {
    "id,formation_energy_per_atom\na,-1,5\n": "entry 1: has more cells than the header",
    "id,energy\na,1\n": "formation_energy_per_atom",
    "formation_energy_per_atom\n1\n": "must have id or path",
    "id,formation_energy_per_atom\na,low\n": "entry 1: .*'low'",
    "id,formation_energy_per_atom\na,nan\n": "finite",
    "id,formation_energy_per_atom\na,\n": "entry 1: formation_energy_per_atom of 'a' is empty",
    "B2,-0.794\nB3,-0.39\n": "first line of a CSV file names the columns",
    "id,formation_energy_per_atom\na,1\na,2\n": "entry 2: 'a' occurs twice",
    "id,formation_energy_per_atom,kind\na,1,relaxed\n": "is_dos, rs_dos",
    "id,formation_energy_per_atom,colour\na,1,red\n": "colour",
    "": "no entry",
}


@pytest.mark.parametrize("text", WRONG_TABLES)
def test_a_wrong_table_is_read(tmp_path, text):
    path = tmp_path / "energies.csv"
    path.write_text(text)
    with pytest.raises(VaspEnergyError, match=WRONG_TABLES[text]) as caught:
        EnergyTable.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": {"kind": "rs_dos"}}', "3"])
def test_wrong_json_is_read(tmp_path, text):
    path = tmp_path / "energies.json"
    path.write_text(text)
    with pytest.raises(VaspEnergyError, match=r"energies\.json"):
        EnergyTable.read(path)


def test_a_folder_without_runs_gives_an_empty_data_set(tmp_path, runs):
    with pytest.raises(VaspFolderError, match="no such folder"):
        read(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VaspFolderError, match="no run found"):
        read(tmp_path / "empty")
    with pytest.raises(VaspFolderError, match=r"'\*static\*' \(4 others\)"):
        read(runs, pattern="*static*")


def test_a_folder_with_several_outputs_is_several_runs(runs):
    write_vaspout(runs / "Al" / "vaspout.h5", AL)
    write_vaspout(runs / "Al_h5" / "vaspout.h5", AL)
    assert [file.as_posix() for file in find_runs(runs, pattern="Al*")] == ["Al/vasprun.xml", "Al_h5/vaspout.h5"]


def extract(folder: Path, target: Path, pattern: str) -> None:
    for file in sorted(folder.glob(pattern)):
        with lzma.open(file) as stream:
            text = json.load(stream)["outputs"]["vasprun.xml"]
        (target / file.name.split(".")[0]).mkdir(parents=True)
        (target / file.name.split(".")[0] / "vasprun.xml").write_text(text, encoding="ISO-8859-1")


def test_real_r2scan_runs_give_another_formation_energy_than_their_total_energies(vasp_runs, tmp_path):
    extract(vasp_runs / "V-O_mp_workflow", tmp_path, "MP_meta-GGA_static_*.lzma")
    energies = {sample.material: sample.energy for sample in read(tmp_path)}
    # r2SCAN without corrections; the Materials Project's -2.5243 and -2.4602 are GGA+U with MP2020's corrections
    assert {name: round(energy, 4) for name, energy in energies.items()} == {
        "O": 0.0,
        "V": 0.0,
        "O3V2": -2.6445,
        "O2V": -2.6186,
    }


def test_gga_and_gga_plus_u_are_mixed(vasp_runs, tmp_path):
    extract(vasp_runs / "V-O_mp_workflow", tmp_path, "MP_GGA_static_*.lzma")
    with pytest.raises(VaspEnergyError, match=r"Hubbard U of V is 0\.0 .* 3\.25"):
        read(tmp_path, strict=True)
    assert {sample.chemsys for sample in read(tmp_path)} == {"O", "V"}
