"""Structure files: what a file says and what was read agree, or the file is refused by name, line and tag."""

import bz2
import gzip
import lzma
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from campaign.candidates.space_groups import hall_settings, named_settings, numbered_settings
from campaign.candidates.structure_files import list_structure_folder, read_structure_file, read_structure_folder
from campaign.candidates.structure_text import StructureFileError

ATOMS = """\
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Al1 Al 0 0 0 {first}
Pd1 {second} 0.5 0.5 0.5 {occupancy}
"""
B2 = """\
Al Pd
1.0
3.0 0.0 0.0
0.0 3.0 0.0
0.0 0.0 3.0
Al Pd
1 1
Direct
0.0 0.0 0.0
0.5 0.5 0.5
"""


def cif(*tags, a="3.0", gamma="90", first="1", second="Pd", occupancy="1", block="x"):
    cell = f"data_{block}\n_cell_length_a {a}\n_cell_length_b {a}\n_cell_length_c {a}\n"
    cell += f"_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma {gamma}\n"
    return cell + "".join(f"{tag}\n" for tag in tags) + ATOMS.format(first=first, second=second, occupancy=occupancy)


P1 = "_symmetry_space_group_name_H-M 'P 1'"


@pytest.fixture
def read(tmp_path):
    def read_text(text, name="a.cif"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_structure_file(path)

    return read_text


def composition(crystals):
    (crystal,) = crystals
    return crystal.structure.composition.formula


@pytest.mark.parametrize(
    ("tag", "atoms"),
    [
        ("_symmetry_space_group_name_H-M 'F 4/m -3 2/m'", 8),
        ("_symmetry_space_group_name_H-M 'F m 3 m'", 8),
        ("_symmetry_space_group_name_H-M Fm3m", 8),
        ("_space_group_name_H-M_alt 'F m -3 m S'", 8),
        ("_space_group_name_Hall '-F 4 2 3'", 8),
        ("_symmetry_Int_Tables_number 225", 8),
        ("_symmetry_space_group_name_H-M 'P m -3 m'", 2),
        (P1, 2),
    ],
)
def test_a_space_group_without_operations_is_found_however_it_is_written(read, tag, atoms):
    (crystal,) = read(cif(tag, a="5.6"))
    assert len(crystal.structure) == atoms
    assert any("lists no operations" in note for note in crystal.notes) == (tag != P1)


@pytest.mark.parametrize(
    ("name", "hall_number"),
    [
        ("P 21/c", 81),
        ("P 1 21/n 1", 82),
        ("F d -3 m :2", 526),
        ("F d -3 m Z", 526),
        ("Fd3m:1", 525),
        ("R -3 m H", 458),
        ("R -3 m :R", 459),
        ("P6(3)/mmc", 488),
        ("A b m 2", 191),
        ("C m c a", 304),
        ("P b n m", 294),
        ("P 1 2 1", 3),
    ],
)
def test_a_name_means_its_setting(name, hall_number):
    assert hall_number in {setting.hall_number for setting in named_settings(name)}


def test_every_setting_is_found_by_its_hall_symbol_and_its_operations_are_those_of_its_group():
    for number in range(1, 231):
        for setting in numbered_settings(number):
            assert setting.number == number
            operations = setting.operations
            assert len(set(operations)) == len(operations)
    assert [setting.hall_number for setting in hall_settings("-F 4 2 3")] == [523]
    assert named_settings("nonsense") == []


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (cif("_symmetry_space_group_name_H-M 'F d -3 m'", a="8"), "leaves 2 choices of origin or axes open"),
        (cif("_symmetry_space_group_name_H-M 'F m -3 q'"), "is not a space group with known operations"),
        (cif("_symmetry_space_group_name_H-M 'F m -3 m'", gamma="91"), "does not fit the cell"),
        (
            cif("_symmetry_space_group_name_H-M 'F m -3 m'", "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n", a="5.6"),
            "lists the identity as its only operation",
        ),
        (cif("loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'x, q, z'\n"), "'x, q, z' is not a symmetry operation"),
        (
            cif(
                "_symmetry_space_group_name_H-M 'F m -3 m'",
                "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,-z",
                a="5.6",
            ),
            "which has 192 operations in such a cell, and lists 2",
        ),
        (
            cif("_symmetry_space_group_name_H-M 'P m -3 m'", "_symmetry_Int_Tables_number 225", a="5.6"),
            "names two space groups, P m -3 m .* and 225",
        ),
        (
            cif("_space_group_name_Hall 'P 1'", "_symmetry_space_group_name_H-M 'F m -3 m'", a="5.6"),
            "names two space groups, P 1 .* and F m -3 m",
        ),
        (cif(P1, "_chemical_formula_sum 'Al1 Pd3'"), "_chemical_formula_sum is Al1 Pd3, the atoms are Al1 Pd1"),
        (cif(P1, "_chemical_formula_sum 'Al Pd'", "_cell_formula_units_Z 4"), "_cell_formula_units_Z is 4"),
        (cif(P1, "_cell_volume 175.6"), r"_cell_volume is 175.6 A\^3, the cell has 27 A\^3"),
        (cif(P1, occupancy="0.5"), "partially occupied"),
        (cif(P1, occupancy="0"), "_atom_site_occupancy of atom 2 is '0'; right: 1"),
        (cif(P1, occupancy="-1"), "_atom_site_occupancy of atom 2 is '-1'"),
        (cif(P1, second="?"), r"_atom_site_type_symbol of atom 2 is '\?'; right: an element"),
        (cif(P1, second="."), r"_atom_site_type_symbol of atom 2 is '\.'"),
        (cif(P1, second="Zz"), "has atoms 'Zz', which is not an element"),
        (cif(P1).replace("_atom_site_type_symbol", "_atom_site_note").replace("Pd1 Pd", "M1 Pd"), "has atoms 'M'"),
        (cif(P1).replace("_atom_site_occupancy", "_atom_site_calc_flag").replace("0.5 1", "0.5 dum"), "dummy atoms"),
        (cif(P1).replace("0.5 0.5 1", "0.5"), "last row lacks values"),
        (cif(P1).replace("0.5 0.5 0.5", "0.5 1e11 0.5"), "fract_y of atom 2 is '1e11'"),
        (cif(P1).replace("_cell_length_b", "_cell_length_x"), "has no _cell_length_b"),
        (cif(P1, second="X"), "is 'X', not an element"),
        (cif(P1, second="Vac"), "is 'Vac', not an element"),
        (cif(P1, a="nan"), "_cell_length_a is 'nan'; right: a finite number"),
        (cif(P1, a="-3"), "_cell_length_a is '-3'; right: a length above 0"),
        (cif(P1, gamma="180"), "_cell_angle_gamma is '180'; right: an angle between 0 and 180"),
        (cif(P1, gamma="0"), "_cell_angle_gamma is '0'"),
        (cif(P1).replace("90", "150"), "150, 150, 150, which do not form a cell"),
        (cif(P1, a="1e-9"), "A thick|threshold"),
        (cif(P1, a="0.3"), "closer than is possible|A thick"),
        (cif(P1, a="1.45"), "closer than is possible: Al and Pd 1.256 A"),
        (cif(P1).replace("0.5 0.5 0.5", "0.5 ? 0.5"), "_atom_site_fract_y of atom 2 is '?'"),
        (cif(P1).replace("0.5 0.5 0.5", "0.5 nan 0.5"), "_atom_site_fract_y of atom 2 is 'nan'"),
        ("hello\n", "no line data_NAME"),
        ("data_x\n_cell_length_a 3\n", "has no atoms"),
        (cif(P1) + cif(P1), "has two blocks data_x"),
        (b"", "is empty"),
        (b"data_x\n\0\0\0", "is not text"),
    ],
)
def test_a_cif_that_does_not_say_one_crystal_is_refused(read, text, match):
    with pytest.raises(StructureFileError, match=match):
        read(text)


def test_what_cif_defines_is_read_and_what_is_unusual_is_noted(read):
    (crystal,) = read(cif(P1, first="?", occupancy="."))
    assert crystal.structure.composition.formula == "Al1 Pd1"
    assert any("unknown (?)" in note for note in crystal.notes)
    (crystal,) = read(cif(P1, second="D", a="4"))
    assert crystal.structure.composition.formula == "Al1 H1"
    assert any("deuterium" in note for note in crystal.notes)
    assert composition(read(cif(P1, second="Pd2+"))) == "Al1 Pd1"
    assert composition(read(b"\xef\xbb\xbf" + cif(P1).replace("\n", "\r\n").encode())) == "Al1 Pd1"
    assert composition(read(cif(P1).encode("utf-16"))) == "Al1 Pd1"


def test_each_block_of_a_cif_is_a_crystal(read):
    text = cif(P1, block="one") + "\n" + cif(P1, block="two", second="Ag")
    assert [(found.name, found.structure.composition.formula) for found in read(text)] == [
        ("a#one", "Al1 Pd1"),
        ("a#two", "Al1 Ag1"),
    ]
    with pytest.raises(StructureFileError, match="data_one: has partially occupied"):
        read(text.replace("Pd1 Pd 0.5 0.5 0.5 1", "Pd1 Pd 0.5 0.5 0.5 0.5"))


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("Al Pd\n1 1", "1 1", "names no elements"),
        ("Al Pd\n1 1", "Al Xx\n1 1", "line 6 has 'Xx'"),
        ("1 1\n", "1\n", "right: 2 numbers of atoms"),
        ("1 1\n", "1 100000\n", "line 7 says 100001 atoms; right: 1 to 2000"),
        ("1 1\n", "1 0\n", "line 7 says no atom of Pd"),
        ("1 1\n", "1 2\n", "has coordinates of 2 atoms; right: 3"),
        ("1.0\n", "0.0\n", "line 2 is '0.0'"),
        ("1.0\n", "1.0 1.0\n", "a scale factor, or three of them"),
        ("0.0 3.0 0.0", "3.0 0.0 0.0", "thick"),
        ("0.0 3.0 0.0", "0.0 nan 0.0", "a number of line 4 is 'nan'"),
        ("0.0 3.0 0.0", "0.0 3.0", "line 4 is '0.0 3.0'; right: three numbers"),
        ("0.5 0.5 0.5", "0.5 0.5", "line 10 is '0.5 0.5'; right: three numbers"),
        ("0.5 0.5 0.5", "0.5 0.5 inf", "a number of line 10 is 'inf'"),
        ("0.5 0.5 0.5", "0.5 1e11 0.5", "cells away"),
        ("0.5 0.5 0.5", "0.1 0.1 0.1", "closer than is possible"),
        ("Direct\n", "", "right: Direct or Cartesian"),
    ],
)
def test_a_poscar_that_is_wrong_is_refused_by_its_line(read, old, new, match):
    with pytest.raises(StructureFileError, match=match):
        read(B2.replace(old, new, 1), "POSCAR")


@pytest.mark.parametrize(
    ("old", "new", "volume"),
    [
        ("1.0\n", "1.0 1.0 2.0\n", 54.0),
        ("1.0\n", "1.0   ! Angstrom\n", 27.0),
        ("1.0\n", "-30.0\n", 30.0),
        ("3.0 0.0 0.0", "3.0d0 0.0D0 0.0", 27.0),
        ("Al Pd\n1", "Al_pv/0a1b Pd\n1", 27.0),
        ("Direct\n", "Selective dynamics\nDirect\n", 27.0),
        ("Direct\n0.0 0.0 0.0\n0.5 0.5 0.5", "Cartesian\n0 0 0\n1.5 1.5 1.5 Pd", 27.0),
        ("0.5 0.5 0.5\n", "0.5 0.5 0.5\n\n0.1 0.1 0.1\n0.1 0.1 0.1\n", 27.0),
    ],
)
def test_what_vasp_reads_is_read(read, old, new, volume):
    text = B2.replace(old, new, 1)
    (crystal,) = read(text, "b_CONTCAR")
    assert crystal.structure.volume == pytest.approx(volume)
    np.testing.assert_allclose(crystal.structure.frac_coords, [[0, 0, 0], [0.5, 0.5, 0.5]], atol=1e-12)
    assert bool(crystal.notes) == (new.count("\n") == 4)
    assert composition(read(text.replace("\n", "\r\n"), "POSCAR")) == "Al1 Pd1"


def test_packed_files_are_read_and_broken_ones_refused(tmp_path, read):
    for ending, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)):
        packed = pack(cif(P1).encode())
        assert composition(read(packed, f"a.cif{ending}")) == "Al1 Pd1"
        with pytest.raises(StructureFileError, match="cannot be unpacked"):
            read(packed[: len(packed) // 2], f"b.cif{ending}")
    with pytest.raises(StructureFileError, match="has more than 16 MiB"):
        read(gzip.compress(bytes(1 << 25)), "bomb.cif.gz")


def test_what_a_folder_holds_and_is_not_read_is_named(tmp_path):
    (tmp_path / "AlPd.mcif").write_text(cif(P1))
    (tmp_path / "notes.md").write_text("")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "POSCAR").write_text(B2)
    listed = list_structure_folder(tmp_path)
    assert [path.name for path in listed.files] == ["AlPd.mcif"]
    assert listed.unused == ["more (a subfolder with 1 structure file)", "notes.md (another ending)"]


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.tuples(*[st.floats(4, 9)] * 3),
    angles=st.tuples(*[st.floats(70, 110)] * 3),
    shift=st.tuples(*[st.floats(0, 1)] * 3),
    symprec=st.sampled_from([None, 0.01]),
)
def test_what_pymatgen_writes_is_read_as_it_was(tmp_path_factory, lengths, angles, shift, symprec):
    lattice = Lattice.from_parameters(*lengths, *angles)
    crystal = Structure(lattice, ["Al", "Pd"], [shift, [part + 0.5 for part in shift]])
    folder = tmp_path_factory.mktemp("written")
    CifWriter(crystal, symprec=symprec).write_file(folder / "a.cif")
    (folder / "b.vasp").write_text(Poscar(crystal).get_str(significant_figures=12))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning)  # notes are returned, not warned of
        found = dict(read_structure_folder(folder))
    matcher = StructureMatcher(scale=False)
    for name in ("a", "b"):
        assert found[name].density == pytest.approx(crystal.density, rel=0.02)  # the writer makes it symmetric
        assert matcher.fit(crystal, found[name])
