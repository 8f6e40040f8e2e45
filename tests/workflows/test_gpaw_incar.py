"""INCAR, KPOINTS, POSCAR and POTCAR: what is read, and what is refused by name before anything is computed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from workflows.gpaw_vasp.errors import InputRefused
from workflows.gpaw_vasp.incar import HONOURED, IGNORED, REFUSED, check_tags, parse_incar
from workflows.gpaw_vasp.kpoints import KMesh, read_mesh
from workflows.gpaw_vasp.poscar import parse_poscar, read_titles
from workflows.gpaw_vasp.settings import read_settings

POSCAR = "CdAu\n1.0\n3.4 0 0\n0 3.4 0\n0 0 3.4\nCd Au\n1 1\ndirect\n0 0 0 Cd\n0.5 0.5 0.5 Au\n"
CELL = np.eye(3) * 3.4


def folder(tmp_path: Path, incar: str = "GGA = PE\n", poscar: str = POSCAR, **files: str) -> Path:
    for name, text in {"INCAR": incar, "POSCAR": poscar, **files}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_incar_with_comments_repeats_and_fortran_numbers_is_read() -> None:
    tags = parse_incar(
        "SYSTEM = a = b, ; # not a comment here is hard\nISPIN = 2 ! spin\nMAGMOM = 2*0.6 -1\n"
        "LREAL = .FALSE. ; NSW=99\nEDIFF = 1D-05\nlwave = f\nALGO = Fast\nEMIN \\\n = -20"
    )
    assert tags["ISPIN"] == 2
    assert tags["MAGMOM"] == [0.6, 0.6, -1]
    assert tags["LREAL"] is False
    assert tags["NSW"] == 99
    assert tags["EDIFF"] == 1e-5
    assert tags["LWAVE"] is False
    assert tags["ALGO"] == "Fast"
    assert tags["EMIN"] == -20


@hypothesis_settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["NSW", "SIGMA", "NELM"]), st.integers(0, 500) | st.floats(1e-6, 1e3)))
def test_numbers_survive_reading(tags: dict[str, float]) -> None:
    assert parse_incar("".join(f"{name} = {value!r}\n" for name, value in tags.items())) == tags


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("LDAU = .TRUE.", "LDAU"),
        ("METAGGA = R2SCAN", "METAGGA"),
        ("LHFCALC = T", "LHFCALC"),
        ("LSORBIT = .TRUE.", "LSORBIT"),
        ("LNONCOLLINEAR = .TRUE.", "LNONCOLLINEAR"),
        ("IVDW = 12", "IVDW"),
        ("LUSE_VDW = .TRUE.", "LUSE_VDW"),
        ("NUPDOWN = 2", "NUPDOWN"),
        ("GGA = PS", "GGA"),
        ("IBRION = 0\nNSW = 10", "IBRION"),
        ("IBRION = 5\nNSW = 1", "IBRION"),
        ("ISIF = 7\nNSW = 10\nIBRION = 2", "ISIF"),
        ("ISMEAR = -2", "ISMEAR"),
        ("NELECT = 22", "NELECT"),
        ("NBANDS = 5", "NBANDS"),
        ("ICHARG = 11", "ICHARG"),
        ("LORBIT = 1", "LORBIT"),
        ("ENCUT = -520", "ENCUT"),
        ("ENCUT = high", "ENCUT"),
        ("ISPIN = 2\nMAGMOM = 1 2 3", "MAGMOM"),
        ("EMIN = 5\nEMAX = -5", "EMIN"),
        ("PSTRESS = 100", "PSTRESS"),
        ("ENCTU = 520", "ENCTU"),
    ],
)
def test_physics_that_is_not_there_is_refused_by_name(tmp_path: Path, line: str, name: str) -> None:
    with pytest.raises(InputRefused, match=name):
        read_settings(folder(tmp_path, incar="GGA = PE\n" + line if name != "GGA" else line))


def test_an_unknown_tag_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="nearest known tag is ENCUT"):
        read_settings(folder(tmp_path, incar="ENCTU = 520"))


def test_tags_that_ask_for_nothing_are_accepted(tmp_path: Path) -> None:
    incar = "LDAU = .FALSE.\nMETAGGA = None\nLHFCALC = F\nIVDW = 0\nNUPDOWN = -1\nISIF = 3\nIBRION = -1\nGGA = Pe\n"
    settings = read_settings(folder(tmp_path, incar=incar))
    assert not settings.relaxes


def test_no_tag_is_in_two_lists() -> None:
    assert not HONOURED & IGNORED
    assert not HONOURED & REFUSED.keys()
    assert not IGNORED & REFUSED.keys()


def test_every_tag_that_custodian_sets_when_it_retries_is_known() -> None:
    retries = (
        "ALGO ISMEAR SIGMA ISYM SYMPREC IBRION AMIN ISTART IMIX NCORE POTIM LREAL PREC NELMIN IOPT NBANDS ISEARCH"
        " KPAR KSPACING TIME SMASS AMIX BMIX ICHARG EDIFF NELM KGAMMA LPEAD NPAR ADDGRID"
    )
    tags = dict.fromkeys(retries.split(), 0) | {"ISMEAR": 0, "LPEAD": False}
    check_tags(tags)


@pytest.mark.parametrize("maker", ["StaticSetGenerator", "RelaxSetGenerator", "TightRelaxSetGenerator"])
def test_every_tag_of_atomate2s_sets_is_known(maker: str) -> None:
    from pymatgen.core import Structure

    sets = pytest.importorskip("atomate2.vasp.sets.core")
    structure = Structure.from_str(POSCAR, fmt="poscar")
    generator = getattr(sets, maker)(user_incar_settings={"GGA": "PE"})
    incar = generator.get_input_set(structure, potcar_spec=True).incar
    check_tags(parse_incar(str(incar)))


def test_kspacing_counts_as_vasp_counts() -> None:
    assert read_mesh(None, {"KSPACING": 0.4}, CELL) == KMesh((5, 5, 5))
    assert read_mesh(None, {"KSPACING": 0.5, "KGAMMA": False}, CELL).style == "Monkhorst-Pack"


def test_an_even_monkhorst_pack_mesh_leaves_gamma_out_unless_it_is_shifted_back() -> None:
    plain = read_mesh("x\n0\nMonkhorst\n2 2 2\n", {}, CELL).points()
    assert np.abs(plain).min() == pytest.approx(0.25)
    shifted = read_mesh("x\n0\nM\n2 2 2\n0.5 0.5 0.5\n", {}, CELL).points()
    gamma = read_mesh("x\n0\nGamma\n2 2 2\n0 0 0\n", {}, CELL).points()
    assert sorted(map(tuple, shifted)) == sorted(map(tuple, gamma))


@hypothesis_settings(deadline=None)
@given(st.tuples(*[st.integers(1, 6)] * 3), st.sampled_from(["Gamma", "Monkhorst-Pack"]))
def test_a_mesh_has_all_its_points_once_and_contains_their_negatives(size: tuple[int, int, int], style: str) -> None:
    points = KMesh(size, style=style).points()  # type: ignore[arg-type]
    assert len({tuple(np.round(point % 1, 6) % 1) for point in points}) == np.prod(size)
    assert {tuple(np.round(-point % 1, 6) % 1) for point in points} == {tuple(np.round(p % 1, 6) % 1) for p in points}


def test_an_automatic_length_is_read() -> None:
    assert read_mesh("x\n0\nAuto\n20\n", {}, CELL).size == (6, 6, 6)


@pytest.mark.parametrize(
    "text",
    ["x\n2\nReciprocal\n0 0 0 1\n0.5 0 0 1\n", "x\n40\nLine\nrec\n0 0 0\n", "x\n0\nGamma\n0 5 5\n", "x\n0\nGamma\n"],
)
def test_lists_lines_and_broken_meshes_are_refused(text: str) -> None:
    with pytest.raises(InputRefused, match="KPOINTS"):
        read_mesh(text, {}, CELL)


def test_poscar_in_cartesian_coordinates_and_given_by_volume() -> None:
    poscar = parse_poscar("x\n-39.304\n1 0 0\n0 1 0\n0 0 1\nCd Au\n1 1\nCartesian\n0 0 0\n0.5 0.5 0.5\n")
    assert abs(np.linalg.det(poscar.cell)) == pytest.approx(39.304)
    assert poscar.positions[1] == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("poscar", "message"),
    [
        (POSCAR.replace("direct", "Selective dynamics\ndirect"), "selective dynamics"),
        (POSCAR.replace("Cd Au", "Cd Pu"), "element Pu"),
        (POSCAR.replace("1 1\n", "1 2\n"), "does not parse"),
        (POSCAR.replace("3.4 0 0", "0 3.4 0"), "no volume"),
        ("nonsense", "does not parse"),
    ],
)
def test_a_poscar_that_cannot_be_computed_is_refused(poscar: str, message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        parse_poscar(poscar)


def test_a_potcar_of_other_elements_or_of_lda_is_refused(tmp_path: Path) -> None:
    (tmp_path / "POTCAR.spec").write_text("Au\nCd\n")
    with pytest.raises(InputRefused, match="Cd Au"):
        read_titles(tmp_path, ["Cd", "Au"])
    (tmp_path / "POTCAR").write_text("  PAW Cd 03Mar1998\n 12.0\n End of Dataset\n")
    with pytest.raises(InputRefused, match="PAW_PBE"):
        read_titles(tmp_path, ["Cd"])


def test_a_missing_poscar_is_named(tmp_path: Path) -> None:
    (tmp_path / "INCAR").write_text("GGA = PE\n")
    with pytest.raises(InputRefused, match="POSCAR: not found"):
        read_settings(tmp_path)


def test_a_refusal_computes_nothing_and_has_an_exit_code(tmp_path: Path) -> None:
    directory = folder(tmp_path, incar="LDAU = .TRUE.\nLDAUU = 4 0\n")
    before = sorted(directory.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "workflows.gpaw_vasp", "--directory", str(directory)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode != 0
    assert "LDAU = .TRUE. is refused" in done.stderr
    assert "nothing was computed" in done.stdout
    assert sorted(directory.iterdir()) == before


def test_help_and_version_do_not_import_gpaw() -> None:
    code = (
        "import sys, workflows.gpaw_vasp.program as p\n"
        "import workflows.gpaw_vasp.potcars as q; q.available_elements()\n"
        "sys.exit(any(name.split('.')[0] in ('gpaw', 'ase', 'atomate2', 'pymatgen') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "workflows.gpaw_vasp", "--version"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert "gpaw" in done.stdout
    assert "not VASP" in done.stdout
