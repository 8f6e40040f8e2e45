"""The stand-in for VASP itself: what the campaigns of these tests compute with."""

import json
import os
import re
import subprocess

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.core import Orbital, Spin
from pymatgen.io.vasp.inputs import PotcarSingle
from pymatgen.io.vasp.outputs import Outcar, Vasprun
from pymatgen.io.vasp.sets import MPRelaxSet

from vasp_stand_in import recordings
from vasp_stand_in.faults import FAULTS
from vasp_stand_in.inputs import read_inputs
from vasp_stand_in.potcar_library import potcar, titel, write_library

# the header-only POTCARs carry GPAW's numbers of electrons
pytestmark = [pytest.mark.gpaw, pytest.mark.filterwarnings("ignore::UserWarning")]

INCAR = {"ENCUT": 300, "EDIFF": 1e-5, "ISPIN": 2, "ISMEAR": 1, "SIGMA": 0.05, "NSW": 99, "ISIF": 3, "EDIFFG": -0.03}


def write_run(folder, **tags):
    """Inputs of a relaxation of copper."""
    folder.mkdir()
    (folder / "INCAR").write_text("".join(f"{tag} = {value}\n" for tag, value in {**INCAR, **tags}.items()))
    Structure(Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]]).to(str(folder / "POSCAR"), fmt="poscar")
    (folder / "KPOINTS").write_text("mesh\n0\nGamma\n4 4 4\n")
    (folder / "POTCAR").write_text(potcar("Cu_pv", titel("Cu_pv", "PBE")))
    return folder


def start(site, folder, **variables):
    return subprocess.run(
        ["vasp_std"],
        cwd=folder,
        env={**os.environ, **site.environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def recorded(vasp_site):
    """Function that lets the recorded relaxation of copper stand for the inputs in a folder."""
    some = next(path for path in sorted(vasp_site.control.recorded.iterdir()) if is_relaxed_copper(path))

    def give(folder):
        target = vasp_site.control.recorded / read_inputs(folder).key()
        if not target.exists():
            recordings.keep(some, target)

    return give


def is_relaxed_copper(folder):
    titles = set(re.findall(r"<c>(PAW_PBE \w+ GPAW)</c>", vasprun_of(folder)))
    return titles == {"PAW_PBE Cu_pv GPAW"} and "reached required accuracy" in (folder / "OUTCAR").read_text()


def vasprun_of(folder):
    return (folder / "vasprun.xml").read_text()


def test_inputs_that_mean_the_same_have_the_same_recording(tmp_path):
    first = read_inputs(write_run(tmp_path / "a", MAGMOM="2*0.6"))
    second = read_inputs(write_run(tmp_path / "b", MAGMOM="0.6 0.6", EDIFF="0.00001", NCORE=4, ALGO="All"))
    third = read_inputs(write_run(tmp_path / "c", MAGMOM="2*0.6", ENCUT=400))
    assert first.key() == second.key() != third.key()
    assert (first.stage, first.elements, first.titles) == ("relax", "Cu", ["PAW_PBE Cu_pv 06Sep2000"])


@pytest.mark.parametrize(
    ("version", "written", "orbital", "ranks_line"),
    [
        ("5.4.1", "5.4.1.05Feb16", "  dx2", "running on    8 total cores"),
        ("5.4.4", "5.4.4.18Apr17-6-g9f103f2a35", "x2-y2", "running on    8 total cores"),
        ("6.4.2", "6.4.2", "x2-y2", "running    8 mpi-ranks, with    1 threads/rank, on    1 nodes"),
    ],
)
def test_the_files_are_those_of_a_release(vasp_site, tmp_path, recorded, version, written, orbital, ranks_line):
    recorded(folder := write_run(tmp_path / "run"))
    done = start(vasp_site, folder, VASP_STAND_IN_VERSION=version, VASP_STAND_IN_RANKS="8")
    assert (done.returncode, done.stderr) == (0, "")
    assert ranks_line in done.stdout
    assert "reached required accuracy" in done.stdout
    vasprun, outcar = Vasprun(folder / "vasprun.xml", parse_potcar_file=False), Outcar(folder / "OUTCAR")
    assert vasprun.vasp_version.strip() == written.lower()
    assert vasprun.potcar_symbols == ["PAW_PBE Cu_pv 06Sep2000"]
    assert (vasprun.incar["ENCUT"], vasprun.incar["NSW"]) == (300, 99)
    assert f"<field>{orbital}</field>" in (folder / "vasprun.xml").read_text()
    assert outcar.run_stats["cores"] == 8
    assert outcar.run_stats["Total CPU time used (sec)"] > 0
    said = "".join(path.read_text() for path in folder.iterdir()) + done.stdout
    assert "gpaw" not in said.lower()
    # the numbers are those of the recording, DOS and DOSCAR included
    total = vasprun.complete_dos.get_site_orbital_dos(vasprun.final_structure[0], Orbital.dx2_y2).densities[Spin.up]
    assert len(total) == len((folder / "DOSCAR").read_text().splitlines()) - 6
    (line,) = vasp_site.starts()
    assert (line["formula"], line["stage"], line["fault"]) == ("Cu1", "relax", None)


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_each_fault_says_and_leaves_what_it_should(vasp_site, tmp_path, recorded, kind):
    recorded(folder := write_run(tmp_path / "run"))
    vasp_site.fail(kind, "Cu", "relax", after=1)
    incar = (folder / "INCAR").read_text()
    assert start(vasp_site, folder).returncode == 0
    whole = {path.name: path.stat().st_size for path in folder.iterdir()}
    for path in folder.iterdir():
        if path.name not in ("INCAR", "POSCAR", "KPOINTS", "POTCAR"):
            path.unlink()
    done, fault = start(vasp_site, folder), FAULTS[kind]
    assert done.returncode == (fault.code if fault.signal is None else -int(fault.signal))
    assert fault.stderr.replace("{folder}", str(folder)) in done.stderr
    assert fault.stdout in done.stdout
    left = (folder / "vasprun.xml").stat().st_size if (folder / "vasprun.xml").exists() else 0
    assert (left > 0) == (fault.written > 0)
    assert (left >= whole["vasprun.xml"]) == (fault.written == 1.0)
    # and the next start is well again, with the INCAR as it was
    (folder / "INCAR").write_text(incar)
    assert start(vasp_site, folder).returncode == 0
    assert [line["fault"] for line in vasp_site.starts()] == [None, kind, None]


def test_a_wrapper_that_changes_the_incar_shows_in_the_files(vasp_site, tmp_path, recorded):
    recorded(folder := write_run(tmp_path / "run"))
    vasp_site.fail("changed_incar", "Cu", "relax")
    start(vasp_site, folder)
    vasprun = Vasprun(folder / "vasprun.xml", parse_potcar_file=False, parse_dos=False)
    assert (vasprun.incar["ENCUT"], vasprun.parameters["ENMAX"]) == (400, 400)
    assert "ENCUT = 400" in (folder / "INCAR").read_text()


def test_a_missing_input_is_fortrans_error(vasp_site, tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "POTCAR").unlink()
    done = start(vasp_site, folder)
    assert done.returncode == 29
    assert f"file not found, unit 10, file {folder}/POTCAR" in done.stderr
    assert vasp_site.starts() == []


@pytest.mark.parametrize("layout", ["flat", "folders"])
def test_pymatgen_finds_each_symbol_of_the_materials_project(tmp_path, monkeypatch, layout):
    from pymatgen.core import SETTINGS

    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_library(tmp_path, layout=layout, without=["Ag"])))
    for element in ("Fe", "O", "W", "Gd"):
        symbol = MPRelaxSet.CONFIG["POTCAR"][element]
        found = PotcarSingle.from_symbol_and_functional(symbol, "PBE")
        assert (found.symbol, found.element) == (symbol, element)
        assert found.header.split()[:2] == ["PAW_PBE", symbol]
    # the later sets have no W_pv
    PotcarSingle.from_symbol_and_functional("W_sv", "PBE_54")
    for symbol, functional in (("W_pv", "PBE_54"), ("Ag", "PBE")):
        with pytest.raises(FileNotFoundError):
            PotcarSingle.from_symbol_and_functional(symbol, functional)


def test_a_library_as_vasps_archives_unpack_is_not_pymatgens(tmp_path):
    write_library(tmp_path, layout="unpacked")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["potpaw_PBE", "potpaw_PBE.54"]
    assert "TITEL  = PAW_PBE Fe_pv 02Aug2007" in (tmp_path / "potpaw_PBE" / "Fe_pv" / "POTCAR").read_text()


def test_the_starts_are_lines_of_json(vasp_site, tmp_path, recorded):
    recorded(folder := write_run(tmp_path / "run", NCORE=2))
    start(vasp_site, folder)
    line = json.loads((vasp_site.control.folder / "starts.jsonl").read_text())
    assert (line["tags"]["NCORE"], line["directory"], line["threads"]) == ("2", str(folder), "1")
