"""The 18 channels must be the right ones, in the right order, on the right grid."""

import numpy as np
import pytest
from conftest import make_complete_dos
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.core import Orbital, OrbitalType, Spin

from esnet.representation.dos import ENERGY_GRID, ORBITALS, DosError, project_dos, source_spacing

PYMATGEN_ORDER = ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "dx2-y2")


def cscl(first="Al", second="Pd"):
    return Structure(Lattice.cubic(3.05), [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])


def random_densities(n_sites, n_energies, seed=0):
    return np.random.default_rng(seed).random((n_sites, 2, n_energies, 9))


def test_grid_includes_both_ends():
    assert ENERGY_GRID[0] == -20.0
    assert ENERGY_GRID[-1] == 10.0
    assert np.allclose(np.diff(ENERGY_GRID), 30 / 1499)


def test_each_orbital_lands_in_its_own_channel_by_name():
    energies = np.linspace(-20, 10, 301)
    for column, name in enumerate(PYMATGEN_ORDER):
        densities = np.zeros((2, 2, 301, 9))
        densities[:, :, :, column] = 1.0
        features = project_dos(make_complete_dos(cscl(), densities, energies))
        assert features.shape == (2, 1500, 9)
        assert features.dtype == np.float32
        assert [ORBITALS[place] for place in np.flatnonzero(features.any(axis=(0, 1)))] == [name]


def test_old_vasp_and_text_names_of_orbitals_are_known():
    energies = np.linspace(-20, 10, 301)
    densities = random_densities(2, 301)
    complete_dos = make_complete_dos(cscl(), densities, energies)
    expected = project_dos(complete_dos)
    for alias in ("dx2", "x2-y2", "dx2-y2"):
        complete_dos.pdos = {
            site: {
                (alias if orbital is Orbital.dx2_y2 else orbital.name): values for orbital, values in orbitals.items()
            }
            for site, orbitals in complete_dos.pdos.items()
        }
        assert np.array_equal(project_dos(complete_dos), expected)
        complete_dos = make_complete_dos(cscl(), densities, energies)


def test_spins_are_not_swapped_or_added():
    densities = np.zeros((2, 2, 301, 9))
    densities[:, 0], densities[:, 1] = 1.0, 2.0
    features = project_dos(make_complete_dos(cscl(), densities, np.linspace(-20, 10, 301)))
    assert np.allclose(features[0], 1.0)
    assert np.allclose(features[1], 2.0)


def test_one_spin_gives_the_other_the_opposite_sign():
    complete_dos = make_complete_dos(cscl(), random_densities(2, 301), np.linspace(-20, 10, 301), spins=1)
    features = project_dos(complete_dos)
    assert features[0].any()
    assert np.array_equal(features[1], -features[0])


def test_outside_the_calculated_window_the_features_are_zero():
    features = project_dos(make_complete_dos(cscl(), np.ones((2, 2, 11, 9)), np.linspace(-5, 5, 11)))
    outside = (ENERGY_GRID < -5) | (ENERGY_GRID > 5)
    assert not features[:, outside].any()
    assert np.allclose(features[:, ~outside], 1.0)


def test_fermi_reference_shifts_the_features_and_absolute_does_not():
    energies = np.linspace(-20, 10, 1500)
    densities = np.zeros((2, 2, 1500, 9))
    densities[:, :, np.argmin(np.abs(energies - 3.0))] = 1.0
    complete_dos = make_complete_dos(cscl(), densities, energies, efermi=2.0)
    for reference, expected in (("absolute", 3.0), ("fermi", 1.0)):
        features = project_dos(complete_dos, energy_reference=reference)
        assert ENERGY_GRID[features[0, :, 0].argmax()] == pytest.approx(expected, abs=0.03)


def test_normalisation_divides_by_atoms_elements_or_nothing():
    structure = Structure(Lattice.cubic(4.0), ["Cu", "Cu", "Cu", "Au"], np.eye(4)[:, :3] * 0.5)
    complete_dos = make_complete_dos(structure, np.ones((4, 2, 31, 9)), np.linspace(-20, 10, 31))
    for normalisation, expected in (("atom", 1.0), ("element", 2.0), ("none", 4.0)):
        assert np.allclose(project_dos(complete_dos, normalisation=normalisation), expected)


@settings(max_examples=25, deadline=None)
@given(
    elements=st.lists(st.sampled_from(["Al", "Cu", "Pd", "O"]), min_size=1, max_size=3),
    scaling=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    shear=st.integers(-1, 1),
    spins=st.sampled_from([1, 2]),
    low=st.floats(-60, -3),
    high=st.floats(1, 40),
    n_energies=st.integers(2, 400),
    seed=st.integers(0, 1000),
)
def test_supercell_has_the_features_of_its_cell(elements, scaling, shear, spins, low, high, n_energies, seed):
    rng = np.random.default_rng(seed)
    structure = Structure(
        Lattice.from_parameters(3.1, 3.5, 4.2, 80, 95, 105),
        elements,
        rng.random((len(elements), 3)),
        site_properties={"parent": list(range(len(elements)))},
    )
    densities = rng.random((len(elements), 2, n_energies, 9))
    energies = np.linspace(low, high, n_energies)
    matrix = np.diag(scaling)
    matrix[0, 1] = shear
    supercell = structure.make_supercell(matrix, in_place=False)
    parents = supercell.site_properties["parent"]
    features = project_dos(make_complete_dos(structure, densities, energies, spins=spins))
    repeated = project_dos(make_complete_dos(supercell, densities[parents], energies, spins=spins))
    assert len(supercell) == len(structure) * np.prod(scaling)
    assert np.allclose(features, repeated, rtol=1e-5, atol=1e-6)


def test_projections_that_are_missing_or_not_lm_resolved_are_refused():
    energies = np.linspace(-20, 10, 301)
    complete_dos = make_complete_dos(cscl(), random_densities(2, 301), energies)
    first = complete_dos.structure[0]
    whole = dict(complete_dos.pdos)
    complete_dos.pdos = {first: whole[first]}
    with pytest.raises(DosError, match="1 of 2 sites"):
        project_dos(complete_dos)
    complete_dos.pdos = whole | {first: {OrbitalType.s: {Spin.up: np.ones(301)}, OrbitalType.p: {}}}
    with pytest.raises(DosError, match="LORBIT=11"):
        project_dos(complete_dos)
    complete_dos.pdos = whole | {
        first: {orbital: whole[first][orbital] for orbital in (Orbital.s, Orbital.px, Orbital.pz)}
    }
    with pytest.raises(DosError, match="lacks py"):
        project_dos(complete_dos)


def test_values_that_are_not_numbers_are_refused():
    energies = np.linspace(-20, 10, 301)
    densities = random_densities(2, 301)
    densities[1, 0, 7, 4] = np.nan
    with pytest.raises(DosError, match="site 1, dxy"):
        project_dos(make_complete_dos(cscl(), densities, energies))
    with pytest.raises(DosError, match="increase"):
        project_dos(make_complete_dos(cscl(), random_densities(2, 301), energies[::-1]))
    with pytest.raises(ValueError, match="energy_reference='vacuum'"):
        project_dos(make_complete_dos(cscl(), random_densities(2, 301), energies), energy_reference="vacuum")


def test_f_orbitals_are_left_out():
    complete_dos = make_complete_dos(cscl(), random_densities(2, 301), np.linspace(-20, 10, 301))
    expected = project_dos(complete_dos)
    for orbitals in complete_dos.pdos.values():
        orbitals[Orbital.f0] = {Spin.up: np.full(301, 5.0), Spin.down: np.full(301, 5.0)}
    assert np.array_equal(project_dos(complete_dos), expected)


def test_source_spacing_is_that_of_the_calculation():
    complete_dos = make_complete_dos(cscl(), np.ones((2, 2, 301, 9)), np.linspace(-55, 180, 301))
    assert source_spacing(complete_dos) == pytest.approx(235 / 300)


def test_real_vasp_files_give_the_right_order_spin_and_grid(vasp_runs):
    from pymatgen.io.vasp import Vasprun

    run = Vasprun(vasp_runs / "Na12Pd4" / "vasprun.xml.gz", parse_potcar_file=False, parse_eigen=False)
    check_against_file(run.complete_dos)
    # bcc Fe, ferromagnetic: more d states below the Fermi level with spin up
    iron = Vasprun(
        vasp_runs / "Fe" / "GGA_static" / "outputs" / "vasprun.xml.gz", parse_potcar_file=False, parse_eigen=False
    ).complete_dos
    check_against_file(iron)
    features = project_dos(iron)
    occupied = features[:, iron.efermi > ENERGY_GRID, 4:].sum(axis=(1, 2))
    assert occupied[0] > 1.2 * occupied[1]
    assert source_spacing(iron) == pytest.approx(0.79, abs=0.01)


def check_against_file(complete_dos):
    """Each channel against the sum over sites of the same orbital, taken one by one from pymatgen."""
    features = project_dos(complete_dos)
    names = {"dx2-y2": "dx2_y2"}
    for place, orbital in enumerate(ORBITALS):
        for row, spin in enumerate((Spin.up, Spin.down)):
            member = Orbital[names.get(orbital, orbital)]
            summed = sum(
                complete_dos.get_site_orbital_dos(site, member).densities[spin] for site in complete_dos.structure
            )
            expected = np.interp(ENERGY_GRID, complete_dos.energies, summed, left=0, right=0)
            assert np.allclose(features[row, :, place], expected / len(complete_dos.structure), atol=1e-6, rtol=1e-5)
