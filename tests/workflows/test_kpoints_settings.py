"""K-point meshes and INCAR settings of the two calculations, as docs/explanation/science.md has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from workflows.settings import DftSettings, kpoint_divisions
from workflows.vasp import kpoints, relax_incar, static_incar

length = st.floats(2.0, 40.0)


@given(abc=st.tuples(length, length, length))
def test_standard_meshes_reach_30_angstrom_and_are_no_finer_than_they_must(abc):
    divisions = kpoint_divisions(abc, (1.0, 1.0, 1.0), DftSettings())
    for a, k in zip(abc, divisions, strict=True):
        assert a * k >= 30 - 1e-6
        assert k == 1 or a * (k - 1) < 30


@given(abc=st.tuples(length, length, length))
def test_fast_meshes_are_never_finer_than_standard_ones(abc):
    lattice = Lattice.orthorhombic(*abc)
    reciprocal = lattice.reciprocal_lattice.abc
    standard = kpoint_divisions(lattice.abc, reciprocal, DftSettings(quality="standard"))
    fast = kpoint_divisions(lattice.abc, reciprocal, DftSettings(quality="fast"))
    assert all(f <= s for f, s in zip(fast, standard, strict=True))
    assert all(b / f <= 0.4 + 1e-6 or f == s for b, f, s in zip(reciprocal, fast, standard, strict=True))


def test_an_exact_length_is_not_rounded_up():
    assert kpoint_divisions((3.0, 6.0, 30.0), (1.0, 1.0, 1.0), DftSettings()) == (10, 5, 1)


@pytest.mark.parametrize(
    ("lattice", "quality", "style"),
    [
        (Lattice.cubic(3.0), "standard", "Monkhorst"),
        (Lattice.hexagonal(3.0, 5.0), "standard", "Gamma"),
        (Lattice([[0, 2, 2], [2, 0, 2], [2, 2, 0]]), "standard", "Gamma"),
        (Lattice.cubic(3.0), "fast", "Gamma"),
    ],
)
def test_hexagonal_face_centred_and_fast_meshes_are_gamma_centred(lattice, quality, style):
    structure = Structure(lattice, ["Al"], [[0, 0, 0]])
    assert kpoints(structure, DftSettings(quality=quality)).style.name == style


def test_the_dos_single_point_has_the_settings_of_the_paper():
    incar = static_incar(DftSettings())
    wanted = {"GGA": "PE", "ENCUT": 520.0, "EDIFF": 1e-5, "ISPIN": 2, "NSW": 0, "LORBIT": 11}
    wanted |= {"NEDOS": 1500, "EMIN": -20.0, "EMAX": 10.0}
    assert {tag: incar[tag] for tag in wanted} == wanted


def test_the_relaxation_has_the_settings_of_the_paper():
    incar = relax_incar(DftSettings())
    wanted = {"GGA": "PE", "ENCUT": 520.0, "EDIFF": 1e-5, "ISPIN": 2, "ISIF": 3, "EDIFFG": -0.03}
    assert {tag: incar[tag] for tag in wanted} == wanted


def test_fast_keeps_the_cutoff():
    assert static_incar(DftSettings(quality="fast"))["ENCUT"] == static_incar(DftSettings())["ENCUT"]


def test_the_input_set_that_atomate2_writes_has_no_hubbard_u_and_no_pbesol():
    from workflows.engine import engine_environment
    from workflows.vasp import static_maker

    settings = DftSettings(engine="gpaw")
    oxide = Structure(Lattice.cubic(4.2), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with engine_environment(settings):
        inputs = static_maker(oxide, settings).input_set_generator.get_input_set(oxide)
    assert inputs.incar["GGA"].upper() == "PE"
    assert not inputs.incar.get("LDAU")
    assert inputs.incar["ENCUT"] == 520
    assert [potcar.symbol for potcar in inputs.potcar] == ["Ni_pv", "O"]
