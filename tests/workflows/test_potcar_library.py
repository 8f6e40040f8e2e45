"""POTCARs are found wherever pymatgen or VASP's archives put them, and what is missing or wrong is named."""

import gzip

import pytest
from potcar_files import potcar_text, title_of, write_potcars
from pymatgen.core import SETTINGS, Lattice, Structure

from workflows.engine import engine_environment
from workflows.potcars.library import potcar_findings
from workflows.settings import DftSettings
from workflows.vasp import static_maker

pytestmark = pytest.mark.filterwarnings("ignore:POTCAR data with symbol")


@pytest.fixture
def library(tmp_path, monkeypatch):
    folder = tmp_path / "library"
    folder.mkdir()
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    return folder


def said(elements, functional="PBE"):
    return "\n".join(f"{found.what} -> {found.remedy}" for found in potcar_findings(elements.split(), functional))


@pytest.mark.parametrize(
    ("functional", "folder", "layout"),
    [
        ("PBE", "POT_GGA_PAW_PBE", "POTCAR.{symbol}.gz"),
        ("PBE", "POT_GGA_PAW_PBE", "{symbol}/POTCAR"),
        ("PBE", "potpaw_PBE", "{symbol}/POTCAR"),
        ("PBE_52", "potpaw_PBE.52", "{symbol}/POTCAR.gz"),
        ("PBE_54", "potpaw_PBE.54", "{symbol}/POTCAR"),
        ("PBE_54", "potpaw_PBE_54", "{symbol}/POTCAR.bz2"),
        ("PBE_64", "POT_PAW_PBE_64", "POTCAR.{symbol}"),
        ("PBE_64", "potpaw_PBE.64", "{symbol}/POTCAR"),
        ("PBE_54", ".", "{symbol}/POTCAR"),
    ],
)
def test_jobs_find_what_the_check_finds_in_every_layout(library, functional, folder, layout):
    write_potcars(library / folder, "Fe Al", functional, layout=layout)
    assert said("Fe Al", functional) == ""
    settings = DftSettings(engine="vasp", potcar_functional=functional)
    alloy = Structure(Lattice.cubic(2.9), ["Fe", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with engine_environment(settings):
        inputs = static_maker(alloy, settings).input_set_generator.get_input_set(alloy)
        titles = [potcar.TITEL for potcar in inputs.potcar]
    assert sorted(titles) == [title_of("Al", functional), title_of("Fe", functional)]
    assert "PMG_VASP_PSP_SUB_DIRS" not in SETTINGS


def test_the_folder_of_one_set_is_a_library_too(tmp_path, monkeypatch):
    write_potcars(tmp_path / "potpaw_PBE.54", "W", "PBE_54")
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path / "potpaw_PBE.54"))
    assert said("W", "PBE_54") == ""


def test_every_missing_potcar_is_named_by_its_symbol_with_what_there_is(library):
    write_potcars(library / "potpaw_PBE", "Al Fe")
    write_potcars(library / "potpaw_PBE", "W", "PBE_54")
    found = said("Al W Fe Mo")
    assert "POTCAR W_pv of W (PBE) is missing" in found
    assert "of W there are W_sv" in found
    assert "POTCAR Mo_pv of Mo (PBE) is missing" in found
    assert "Al" not in found
    assert "Fe" not in found


def test_without_a_library_the_variable_and_the_command_are_named(monkeypatch):
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    found = said("Al W", "PBE_54")
    for part in (
        "PMG_VASP_PSP_DIR is not set",
        "Al, W_sv",
        "pmg config --add PMG_VASP_PSP_DIR",
        "potpaw_PBE.54/Al/POTCAR",
    ):
        assert part in found


@pytest.mark.parametrize(("folder", "why"), [("/no/such/folder", "does not exist"), ("potcars", "relative path")])
def test_a_library_that_jobs_would_not_find_is_named(monkeypatch, folder, why):
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", folder)
    assert why in said("Al")


def test_another_set_than_asked_for_is_named(library):
    write_potcars(library / "potpaw_PBE.54", "Al", "PBE_54")
    found = said("Al", "PBE")
    assert "the set PBE is not in PMG_VASP_PSP_DIR" in found
    assert "the sets there: PBE_54" in found


def test_a_set_one_folder_deeper_is_answered_with_the_right_folder(library):
    write_potcars(library / "5.4.4" / "potpaw_PBE.54", "Al", "PBE_54")
    assert f"`pmg config --add PMG_VASP_PSP_DIR {library / '5.4.4'}`" in said("Al", "PBE_54")


@pytest.mark.parametrize(
    ("element", "change", "why"),
    [
        ("Fe", lambda text: text.replace(title_of("Fe"), "PAW Fe 03Mar1998"), "'PAW Fe 03Mar1998' by its TITEL"),
        ("Fe", lambda text: text.replace("PAW_PBE Fe_pv", "PAW_PBE Fe"), "expected: PAW_PBEFe_pv"),
        ("W", lambda text: potcar_text("W", "PBE_54"), "'PAW_PBE W_sv 04Sep2015' by its TITEL"),
        ("Fe", lambda text: text[: len(text) // 2], "cut off"),
        ("Fe", lambda text: text[:100], "no line TITEL"),
        ("Fe", lambda text: "", "no line TITEL"),
        ("Fe", lambda text: text + text, "2 data sets"),
    ],
)
def test_a_potcar_that_is_not_of_the_set_is_named(library, element, change, why):
    folder = write_potcars(library / "potpaw_PBE", element)
    (path,) = folder.glob("*/POTCAR")
    path.write_text(change(path.read_text()))
    assert why in said(element)
    assert "None" not in said(element)


def test_a_potcar_of_another_set_names_that_set(library):
    folder = write_potcars(library / "potpaw_PBE.54", "Pd", "PBE_54")
    (path,) = folder.glob("*/POTCAR")
    path.write_text(potcar_text("Pd", title="PAW_PBE Pd 05Jan2001"))
    found = said("Pd", "PBE_54")
    assert "which is of PBE" in found
    assert "and not of PBE_54" in found
    assert "dft.potcar_functional: PBE" in found


def test_a_date_that_no_list_has_is_said_and_stops_nothing(library):
    folder = write_potcars(library / "potpaw_PBE", "Al")
    (path,) = folder.glob("*/POTCAR")
    path.write_text(potcar_text("Al", title="PAW_PBE Al 01Jan2031"))
    (found,) = potcar_findings(["Al"], "PBE")
    assert "does not have" in found.what
    assert found.remedy is None


def test_a_packed_file_that_is_damaged_is_named(library):
    folder = write_potcars(library / "potpaw_PBE", "Al", layout="{symbol}/POTCAR.gz")
    path = folder / "Al" / "POTCAR.gz"
    path.write_bytes(path.read_bytes()[:-30])
    assert "cannot be read" in said("Al")


def test_what_compress_packed_is_answered_with_the_commands_of_pmg(library):
    folder = write_potcars(library / "potpaw_PBE.54", "Al", "PBE_54", layout="{symbol}/POTCAR.Z")
    (folder / "Al" / "POTCAR.Z").write_bytes(b"\x1f\x9d\x90" + bytes(40))
    assert f"`pmg config -p {folder} ~/vasp_potcars`, then `pmg config --add PMG_VASP_PSP_DIR" in said("Al", "PBE_54")


def test_the_line_of_pmg_makes_a_library(tmp_path, monkeypatch):
    from pymatgen.cli.pmg_config import setup_potcars

    source = write_potcars(tmp_path / "potpaw_PBE.54", "Al W", "PBE_54", layout="{symbol}/POTCAR.Z")
    for path in source.glob("*/POTCAR.Z"):
        path.write_bytes(gzip.compress(path.read_bytes()))  # gunzip takes both
    setup_potcars([str(source), str(tmp_path / "made")])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path / "made"))
    assert said("Al W", "PBE_54") == ""
