"""Moments must be pymatgen's on real DOS, for every spin and orbital, and never a silent 0 for an empty band."""

import numpy as np
import pytest
from conftest import make_complete_dos
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen_moments import moments_of_pymatgen, own_energies

from esnet.representation.dos import ENERGY_GRID, DosError, project_dos
from esnet.representation.moments import MOMENT_NAMES, moments, moments_of_batch


def cscl():
    return Structure(Lattice.cubic(3.05), ["Al", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def complete_dos_of(path):
    from pymatgen.io.vasp import Vasprun

    return Vasprun(path, parse_potcar_file=False, parse_eigen=False).complete_dos


def test_moments_are_those_of_pymatgen():
    rng = np.random.default_rng(5)
    efermi = 1.7
    densities = np.zeros((2, 2, 1500, 9))
    for column in range(9):
        centers, heights = rng.uniform(-12, 6, 3), rng.uniform(0.5, 2, (2, 2, 3))
        densities[:, :, :, column] = heights @ np.exp(-0.5 * ((ENERGY_GRID[:, None] - centers) / 1.3) ** 2).T
    complete_dos = make_complete_dos(cscl(), densities, ENERGY_GRID, efermi=efermi)
    found = moments(project_dos(complete_dos), efermi=efermi)
    assert found.mask.all()
    # features are float32
    assert found.values == pytest.approx(moments_of_pymatgen(complete_dos, ENERGY_GRID), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    "file",
    ["Na12Pd4/vasprun.xml.gz", "NiO/vasprun.xml.gz", "Fe/GGA_static/outputs/vasprun.xml.gz", "Al16Cr10/vasprun.xml.gz"],
)
def test_moments_of_real_vasp_runs_are_those_of_pymatgen(vasp_runs, file):
    """The same integrals over the same grid and window, so only the float32 of the features is between them."""
    path = vasp_runs / file
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    complete_dos = complete_dos_of(path)
    found = moments(project_dos(complete_dos), efermi=complete_dos.efermi)
    expected = moments_of_pymatgen(complete_dos, ENERGY_GRID)
    n_spins = len(complete_dos.densities)
    if n_spins == 1:
        expected[45:] = expected[:45]
    there = found.mask
    assert there.sum() >= 45
    assert found.values[there] == pytest.approx(expected[there], rel=1e-5, abs=1e-6)
    # what we mask is empty for pymatgen too, or too weak for VASP's four decimals to give it a shape
    assert np.isnan(expected[~there]).all()


def test_the_grid_does_not_change_the_moments_of_a_real_run(vasp_runs):
    """pymatgen on VASP's own energies: straight lines between them, sampled at other places, are all the difference."""
    complete_dos = complete_dos_of(vasp_runs / "Na12Pd4" / "vasprun.xml.gz")
    found = moments(project_dos(complete_dos), efermi=complete_dos.efermi)
    expected = moments_of_pymatgen(complete_dos, own_energies(complete_dos))
    spacing = float(np.diff(complete_dos.energies).mean())
    both = found.mask & np.isfinite(expected)
    assert both.sum() >= 80
    for place in range(3):  # filling, centre, width
        chosen = both[place::5]
        assert found.values[place::5][chosen] == pytest.approx(expected[place::5][chosen], abs=0.5 * spacing)


def test_an_empty_band_has_no_moments_and_never_a_silent_zero():
    features = np.zeros((2, 1500, 9), dtype=np.float32)
    features[:, 700:800, 0] = 1.0
    found = moments(features, efermi=0.0)
    assert found.values.shape == found.mask.shape == (90,)
    assert np.isnan(found.values[~found.mask]).all()
    assert [name for name, there in zip(MOMENT_NAMES, found.mask, strict=True) if there] == [
        name for name in MOMENT_NAMES if "_s_" in name
    ]


def test_a_band_at_one_energy_has_no_shape_made_of_rounding():
    features = np.zeros((2, 1500, 9), dtype=np.float32)
    features[:, 700, 4] = 2.0
    found = dict(zip(MOMENT_NAMES, moments(features, efermi=0.0).values, strict=True))
    assert found["up_dxy_center"] == pytest.approx(ENERGY_GRID[700])
    assert found["up_dxy_width"] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(found["up_dxy_skewness"])
    assert np.isnan(found["up_dxy_kurtosis"])


def test_an_unknown_fermi_level_masks_filling_and_center_alone():
    features = np.random.default_rng(0).random((2, 2, 1500, 9))
    found = moments_of_batch(features, efermi=[1.0, np.nan])
    known, unknown = found.values.reshape(2, 18, 5)
    assert found.mask[0].all()
    assert np.isnan(unknown[:, :2]).all()
    assert np.isfinite(unknown[:, 2:]).all()
    assert known[0, 2] == pytest.approx(3**-0.5 * 15, rel=0.05)  # a flat band over 30 eV


def test_the_sign_of_the_one_spin_rule_does_not_change_moments():
    densities = np.random.default_rng(0).random((2, 2, 301, 9))
    complete_dos = make_complete_dos(cscl(), densities, np.linspace(-20, 10, 301), spins=1)
    values = moments(project_dos(complete_dos), efermi=0.0).values.reshape(2, 45)
    assert np.allclose(values[0], values[1])


def test_wrong_shapes_and_values_are_refused():
    features = np.zeros((2, 1500, 9))
    with pytest.raises(DosError, match=r"must be \(2, 1500, 9\)"):
        moments(features[:, :-1], efermi=0.0)
    with pytest.raises(DosError, match="efermi=nan"):
        moments(features, efermi=float("nan"))
    features[0, 3, 3] = np.inf
    with pytest.raises(DosError, match="1 densities"):
        moments(features, efermi=0.0)
    with pytest.raises(DosError, match="one for each sample"):
        moments_of_batch(np.zeros((3, 2, 1500, 9)), efermi=[0.0])


@settings(max_examples=20, deadline=None)
@given(
    factor=st.floats(1e-3, 1e3),
    shift=st.integers(-150, 150),
    efermi=st.floats(-5, 5),
    seed=st.integers(0, 1000),
    n_samples=st.integers(1, 12),
)
def test_moments_do_not_depend_on_height_or_origin_or_neighbours(factor, shift, efermi, seed, n_samples):
    rng = np.random.default_rng(seed)
    features = np.zeros((n_samples, 2, 1500, 9))
    features[:, :, 400:800] = rng.random((n_samples, 2, 400, 9))
    found = moments_of_batch(features, efermi=np.full(n_samples, efermi)).values
    moved = np.roll(features, shift, axis=2) * factor
    # between grid points, so that no point is on another side of the Fermi level by rounding
    level = np.full(n_samples, efermi + shift * 30 / 1499)
    again = moments_of_batch(moved, efermi=level).values.reshape(n_samples, 18, 5)
    assert again[..., 1:] == pytest.approx(found.reshape(n_samples, 18, 5)[..., 1:], rel=1e-6, abs=1e-6)
    assert again[..., 0] == pytest.approx(found.reshape(n_samples, 18, 5)[..., 0], abs=0.01)
    one = moments_of_batch(moved[-1:], efermi=level[-1:]).values.reshape(18, 5)
    assert one == pytest.approx(again[-1], rel=1e-12)
