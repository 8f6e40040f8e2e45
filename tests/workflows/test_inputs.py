"""Inputs: as asked for, as the engine read them, and what of the difference nothing explains."""

from pathlib import Path

import pytest
from atomate2.vasp.sets.base import _BASE_VASP_SET
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.sets import MPRelaxSet

from workflows.inputs.used_inputs import (
    ASKED,
    InputChangedError,
    check_inputs,
    read_inputs,
    used_hubbards,
    used_potcars,
)
from workflows.potcars.titles import potcar_symbols, potcar_titles, replaced_symbols
from workflows.results import calculation_from_task, changes_smearing
from workflows.settings import DftSettings
from workflows.vasp import relax_maker, static_maker


def rocksalt(cation: str, anion: str) -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.3), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def asked(structure, make=static_maker, **settings):
    maker = make(structure, DftSettings(engine="vasp", **settings))
    return maker.task_document_kwargs["additional_fields"][ASKED]


def task(inputs, *, incar=None, titles=None, kpoints=None, before=None, written=None, corrections=()):
    """A TaskDoc as emmet makes one of VASP's files, with changes to what the engine says it has read."""
    titles = titles or ["PAW_PBE Fe_pv 02Aug2007", "PAW_PBE O 08Apr2002"]
    mesh = inputs["kpoints"] | (kpoints or {})
    read = {
        "incar": {**inputs["incar"], "KPOINT_BSE": [-1, 0, 0, 0], **(incar or {})},
        "kpoints": {"generation_style": mesh["style"], "kpoints": [mesh["divisions"]], "usershift": [0, 0, 0]},
        "potcar_spec": [{"titel": titel, "hash": None} for titel in titles],
        "hubbards": {"Fe": 5.3, "O": 0.0},
        "parameters": {"ENMAX": inputs["incar"]["ENCUT"]},
    }
    return {
        ASKED: inputs,
        "dir_name": "node:/somewhere",
        "calcs_reversed": [{"input": read, "vasp_version": "6.4.1"}],
        "orig_inputs": {
            "incar": before or inputs["incar"],
            "potcar_spec": [{"titel": titel, "hash": "ab"} for titel in written or titles],
        },
        "custodian": [{"corrections": list(corrections)}],
        "output": {"energy": -50.0, "structure": rocksalt("Fe", "O").as_dict()},
    }


OXIDE = rocksalt("Fe", "O")
LARGER_SMEARING = {"errors": ["tet"], "actions": [{"dict": "INCAR", "action": {"_set": {"ISMEAR": 0, "SIGMA": 0.05}}}]}
OTHER_MESH = {"errors": ["mesh_symmetry"], "actions": [{"dict": "KPOINTS", "action": {"_set": {"kpoints": [[8] * 3]}}}]}

COPIED_MESH = {
    "errors": ["ibzkpt"],
    "actions": [{"file": "IBZKPT", "action": {"_file_copy": {"dest": "KPOINTS"}}}, None],
}
UNSET = {"errors": ["x"], "actions": [{"dict": "INCAR", "action": {"_unset": {"SIGMA": 1}}}]}


def test_inputs_that_are_read_as_they_were_asked_for_pass():
    inputs = asked(OXIDE)
    # VASP's own way of writing: eight decimals, capitals, one letter for a logical
    written = {
        "EDIFF": 0.00001,
        "ALGO": "normal",
        "PREC": "accura",
        "GGA": "PE",
        "LASPH": True,
        "NCORE": 8,
        "LWAVE": True,
    }
    written["MAGMOM"] = [float(f"{moment:.8f}") for moment in inputs["incar"]["MAGMOM"]]
    found = calculation_from_task(task(inputs, incar=written))
    assert found.potcars == [
        {"titel": "PAW_PBE Fe_pv 02Aug2007", "hash": "ab"},
        {"titel": "PAW_PBE O 08Apr2002", "hash": "ab"},
    ]
    assert found.hubbards == {"Fe": 5.3}
    assert not found.smearing_changed


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"incar": {"ENCUT": 400.0}}, r"ENCUT = 400.0 in place of 520"),
        ({"incar": {"ISMEAR": 0}}, "ISMEAR = 0 in place of -5"),
        ({"incar": {"LREAL": "Auto"}}, "LREAL = Auto in place of False"),
        ({"incar": {"ALGO": "Fast"}}, "ALGO = Fast in place of Normal"),
        ({"incar": {"IVDW": 11}}, "IVDW = 11, which was not requested"),
        ({"incar": {"MAGMOM": [1.0] * 8}}, "MAGMOM = "),
        ({"before": {"ENCUT": 680}}, "ENCUT = 680 in place of 520"),
        ({"kpoints": {"divisions": [4, 4, 4]}}, r"KPOINTS \w+ \[4, 4, 4\] in place of"),
        ({"titles": ["PAW_PBE Fe 06Sep2000", "PAW_PBE O 08Apr2002"]}, "'PAW_PBE Fe 06Sep2000' in place of Fe_pv"),
        ({"titles": ["PAW_PBE Fe_pv 02Aug2007"]}, "1 POTCARs"),
        ({"corrections": [LARGER_SMEARING], "incar": {"ISMEAR": 0, "ENCUT": 400.0}}, "ENCUT = 400.0"),
        ({"corrections": [OTHER_MESH], "incar": {"ISMEAR": 0}}, "ISMEAR = 0"),
    ],
)
def test_a_difference_that_nothing_explains_is_named(changes, named):
    with pytest.raises(InputChangedError, match=named):
        calculation_from_task(task(asked(OXIDE), **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"corrections": [LARGER_SMEARING], "incar": {"ISMEAR": 0}},
        {"corrections": [OTHER_MESH], "kpoints": {"divisions": [8, 8, 8]}},
        {"corrections": [COPIED_MESH], "kpoints": {"divisions": [9, 9, 9]}},
        {"corrections": [UNSET], "incar": {"SIGMA": 0.2}},
    ],
)
def test_what_custodian_changed_and_recorded_passes(changes):
    document = task(asked(OXIDE), **changes)
    found = calculation_from_task(document)
    assert found.smearing_changed == changes_smearing(found.corrections)


def titled(symbol: str, functional: str) -> set[str]:
    start = f"PAW_PBE{symbol}"
    return {
        f"PAW_PBE {symbol} {title.removeprefix(start)}" for title in potcar_titles(symbol.split("_")[0], functional)
    }


def test_a_set_of_potcars_that_gives_another_ones_files_is_named():
    symbols = potcar_symbols("PBE").items()
    element, symbol = next(
        (element, symbol)
        for element, symbol in symbols
        if potcar_symbols("PBE_54")[element] == symbol and titled(symbol, "PBE") - titled(symbol, "PBE_54")
    )
    inputs = asked(rocksalt(element, "N"), potcar_functional="PBE_54")
    (right, *_), (other, *_) = titled(symbol, "PBE_54"), titled(symbol, "PBE") - titled(symbol, "PBE_54")
    position = inputs["potcars"].index(symbol)
    for titel in (right, f"PAW_PBE {symbol} 31Dec2030"):  # a title that no set is known to have says nothing
        titles = [f"PAW_PBE {name} 1" for name in inputs["potcars"]]
        titles[position] = titel
        check_inputs(task(inputs, titles=titles), [])
    titles[position] = other
    with pytest.raises(InputChangedError, match=r"which belongs to PBE.*, in place of PBE_54"):
        check_inputs(task(inputs, titles=titles), [])


def test_a_first_line_that_is_no_title_is_compared_by_the_title():
    written = ["PAW_PBE Fe_pv 02Aug2007", "PAW_PBE O 08Apr2002"]
    check_inputs(task(asked(OXIDE), titles=["PAW_PBE Fe-own today", "PAW_PBE O 08Apr2002"], written=written), [])
    with pytest.raises(InputChangedError, match="in place of Fe_pv"):
        check_inputs(task(asked(OXIDE), titles=["PAW_PBE Fe-own today", "PAW_PBE O 08Apr2002"]), [])


def test_an_output_of_an_earlier_version_passes():
    document = task(asked(OXIDE), incar={"ENCUT": 400.0})
    del document[ASKED]
    check_inputs(document, [])


def test_the_files_of_a_launch_folder_are_read_back(tmp_path: Path):
    (tmp_path / "INCAR").write_text("ENCUT = 520\nALGO = Normal\n")
    (tmp_path / "KPOINTS").write_text("mesh\n0\nGamma\n2 2 2\n")
    potcar = "  PAW_PBE Fe_pv 02Aug2007\n   TITEL  = PAW_PBE Fe_pv 02Aug2007\n   LEXCH  = PE\n End of Dataset\n"
    (tmp_path / "POTCAR").write_text(potcar * 2)
    found = read_inputs(tmp_path)
    assert found["incar"] == {"ENCUT": 520, "ALGO": "Normal"}
    assert "Gamma" in found["kpoints"]
    assert [each["titel"] for each in found["potcars"]] == ["PAW_PBE Fe_pv 02Aug2007"] * 2
    assert read_inputs(tmp_path / "gone") == {}


# ---- Hubbard U, POTCARs, tetrahedra


@pytest.mark.parametrize("pair", [("Fe", "O"), ("Ni", "F"), ("W", "O"), ("Mn", "O"), ("Fe", "S"), ("Mg", "O")])
def test_u_is_the_materials_projects_in_each_crystal(pair):
    crystal = rocksalt(*pair)
    expected = {tag: value for tag, value in MPRelaxSet(crystal).incar.items() if tag.startswith("LDAU")}
    for make in (static_maker, relax_maker):
        incar = asked(crystal, make, hubbard_u="mp")["incar"]
        assert {tag: value for tag, value in incar.items() if tag.startswith("LDAU")} == expected
        assert not any(tag.startswith("LDAU") for tag in asked(crystal, make)["incar"])


def test_hubbards_are_read_from_the_output():
    document = task(asked(OXIDE, hubbard_u="mp"))
    assert used_hubbards(document) == {"Fe": 5.3}
    assert used_potcars(document)[0]["titel"] == "PAW_PBE Fe_pv 02Aug2007"


def test_moments_of_the_file_replace_those_of_the_input_set():
    assert asked(OXIDE)["incar"]["MAGMOM"] == [5] * 4 + [0.6] * 4
    assert asked(OXIDE, magmom={"Fe": 1.5})["incar"]["MAGMOM"] == [1.5] * 4 + [0.6] * 4
    charged = OXIDE.copy()
    charged.add_oxidation_state_by_element({"Fe": 3, "O": -3})
    assert asked(charged, magmom={"Fe": 1.5})["incar"]["MAGMOM"] == [1.5] * 4 + [0.6] * 4
    assert "Mn3+" in _BASE_VASP_SET["INCAR"]["MAGMOM"], "what the input set has is left as it was"


@pytest.mark.parametrize(
    ("functional", "symbol"), [("PBE", "W_pv"), ("PBE_52", "W_pv"), ("PBE_54", "W_sv"), ("PBE_64", "W_sv")]
)
def test_tungsten_is_computed_with_a_potcar_that_the_set_has(functional, symbol):
    alloy = rocksalt("W", "C")
    for make in (static_maker, relax_maker):
        inputs = asked(alloy, make, potcar_functional=functional)
        assert inputs["potcars"] == [symbol, "C"]
        assert inputs["notes"] == ([f"POTCAR W_sv: {functional} has no W_pv"] if symbol == "W_sv" else [])
        maker = make(alloy, DftSettings(engine="vasp", potcar_functional=functional))
        assert maker.input_set_generator.get_input_set(alloy, potcar_spec=True).potcar.splitlines() == [symbol, "C"]


@pytest.mark.parametrize("functional", ["PBE", "PBE_52", "PBE_54", "PBE_64"])
def test_every_symbol_is_in_its_set(functional):
    assert all(potcar_titles(element, functional) for element in potcar_symbols(functional))
    assert set(replaced_symbols(potcar_symbols(functional), functional)) <= {"W_pv"}


@pytest.mark.parametrize(
    ("lattice", "kpoint_length", "ismear"),
    [
        (Lattice.cubic(4.0), 30.0, -5),
        (Lattice.cubic(4.0), 1.0, 0),  # Gamma alone
        (Lattice.cubic(20.0), 30.0, 0),  # 2x2x2 without Gamma: one irreducible point, eight in all
        (Lattice.orthorhombic(4.0, 31.0, 31.0), 30.0, -5),  # 8x1x1: four
        (Lattice.orthorhombic(6.0, 31.0, 31.0), 30.0, 0),  # 5x1x1: three
        (Lattice([[30, 1, 2], [3, 16, 1], [1, 2, 8]]), 30.0, -5),  # 1x2x4 and no symmetry: four of eight
    ],
)
def test_tetrahedra_are_asked_for_only_where_vasp_takes_them(lattice, kpoint_length, ismear):
    crystal = Structure(lattice, ["Al", "Cu"], [[0, 0, 0], [0.41, 0.43, 0.47]])
    if lattice.is_orthogonal:
        crystal = Structure(lattice, ["Al"], [[0, 0, 0]])
    inputs = asked(crystal, kpoint_length=kpoint_length)
    assert (inputs["incar"]["ISMEAR"], inputs["incar"]["SIGMA"]) == (ismear, 0.05)
    assert bool(inputs["notes"]) == (ismear == 0)
    found = calculation_from_task(task(inputs, titles=[f"PAW_PBE {symbol} 1" for symbol in inputs["potcars"]]))
    assert found.smearing_changed == (ismear == 0)
    assert found.notes == inputs["notes"]
    # a relaxation has a smearing of its own
    relaxed = asked(crystal, relax_maker, kpoint_length=kpoint_length)
    assert (relaxed["incar"]["ISMEAR"], relaxed["notes"]) == (1, [])
