"""A standard deviation that is stated must be one: learnt from unseen errors, never zero, honest about few samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from esnet.bundle.uncertainty import Calibration, calibration_curve, fit_calibration


def made_up(n_samples: int, *, base: float, factor: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Residuals whose variance is base^2 + factor^2 * signal, and the signal."""
    rng = np.random.default_rng(seed)
    signal = rng.uniform(0.05, 0.5, n_samples) ** 2
    return rng.normal(0.0, np.sqrt(base**2 + factor**2 * signal)), signal


def test_a_spread_that_is_too_small_is_scaled_to_the_errors():
    residuals, spread = made_up(4000, base=0.1, factor=2.0)
    calibration = fit_calibration(residuals, spread, kind="spread")
    assert calibration.base == pytest.approx(0.1, rel=0.3)
    assert calibration.factor == pytest.approx(2.0, rel=0.1)
    assert calibration.note is None
    raw = calibration_curve(residuals, np.sqrt(spread))
    calibrated = calibration_curve(residuals, calibration.std(spread))
    assert calibrated.area < 0.02 < 0.1 < raw.area
    assert calibrated.coverage(0.68) == pytest.approx(0.68, abs=0.03)
    # members that agree too much: fewer errors inside than promised
    assert raw.coverage(0.68) < 0.5


def test_a_signal_that_says_nothing_is_not_believed():
    rng = np.random.default_rng(1)
    residuals, noise = rng.normal(0.0, 0.2, 3000), rng.uniform(0.0, 1.0, 3000)
    calibration = fit_calibration(residuals, noise, kind="novelty")
    assert calibration.std(noise) == pytest.approx(np.full(3000, 0.2), rel=0.1)


def test_a_uniform_validation_part_does_not_make_the_spread_of_an_ensemble_worthless():
    """Where all validation samples are alike, the spread says nothing about them, and still about what is not."""
    rng = np.random.default_rng(2)
    residuals, spread = rng.normal(0.0, 0.08, 48), rng.uniform(0.02, 0.06, 48) ** 2
    calibration = fit_calibration(residuals, spread, kind="spread")
    assert calibration.factor >= 1.0
    assert calibration.std(0.3**2) >= 0.3
    assert np.sqrt(np.mean(calibration.std(spread) ** 2)) == pytest.approx(np.sqrt(np.mean(residuals**2)), rel=0.15)


def test_members_that_agree_by_chance_never_make_a_prediction_certain():
    residuals, spread = made_up(200, base=0.0, factor=1.0)
    calibration = fit_calibration(residuals, spread, kind="spread")
    assert calibration.std(0.0) >= 0.05 * np.sqrt(np.mean(residuals**2))
    assert fit_calibration(np.zeros(30), np.zeros(30), kind="spread").std(0.0) > 0


@pytest.mark.parametrize(
    ("n_samples", "signal", "words"),
    [(5, "constant", "the same standard deviation"), (19, "constant", "fewer than 20"), (50, "spread", "about 10 %")],
)
def test_few_validation_samples_are_said(n_samples, signal, words):
    residuals, spread = made_up(n_samples, base=0.1, factor=1.0)
    calibration = fit_calibration(residuals, spread, kind="spread")
    assert calibration.signal == signal
    assert calibration.n_samples == n_samples
    assert words in calibration.note


def test_hardly_any_validation_samples_give_no_standard_deviation():
    assert fit_calibration([0.1, -0.1, 0.2, 0.0], [0.1] * 4, kind="spread") is None
    assert fit_calibration([], None, kind="constant") is None


@pytest.mark.parametrize(
    ("residuals", "signal"),
    [([np.nan] * 30, [0.1] * 30), ([0.1] * 30, [np.inf] * 30), ([0.1] * 30, [-0.1] * 30), ([0.1] * 30, [0.1] * 29)],
)
def test_values_that_are_no_residuals_or_signals_are_refused(residuals, signal):
    with pytest.raises(ValueError, match=r"finite|one for each"):
        fit_calibration(residuals, signal, kind="spread")


def test_an_altered_calibration_is_refused():
    good = Calibration(signal="spread", base=0.1, factor=1.0, n_samples=30)
    assert Calibration.from_dict(good.to_dict()) == good
    for change in ({"signal": "guess"}, {"base": 0.0}, {"base": float("nan")}, {"factor": -1.0}):
        with pytest.raises(ValueError, match=r"signal|base"):
            Calibration.from_dict(good.to_dict() | change)


def test_a_curve_over_no_standard_deviations_is_none_and_unknown_ones_are_left_out():
    assert calibration_curve([0.1, 0.2], [np.nan, np.nan]) is None
    assert calibration_curve([], []) is None
    assert calibration_curve([0.1, 0.2, 9.0], [0.1, 0.1, np.nan]).n_samples == 2
    assert calibration_curve([0.1], [0.1]).observed[-1] == 1.0


@given(
    residuals=hnp.arrays(np.float64, st.integers(5, 60), elements=st.floats(-3, 3)),
    seed=st.integers(0, 1000),
    scale=st.floats(0.01, 100),
)
def test_standard_deviations_are_finite_positive_and_have_the_units_of_the_errors(residuals, seed, scale):
    signal = np.random.default_rng(seed).uniform(0, 1, len(residuals))
    calibration = fit_calibration(residuals, signal, kind="novelty")
    std = calibration.std(signal)
    assert np.isfinite(std).all()
    assert (std > 0).all()
    # never far from what the errors are as a whole
    assert std.max() <= 20 * max(np.sqrt(np.mean(residuals**2)), 1e-3)
    if np.sqrt(np.mean(residuals**2)) > 0.1 and scale > 0.1:
        scaled = fit_calibration(scale * residuals, signal, kind="novelty")
        assert scaled.std(signal) == pytest.approx(scale * std, rel=1e-6, abs=2e-3)


@given(residuals=hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-3, 3)), width=st.floats(0.01, 3))
def test_coverage_rises_from_none_to_all(residuals, width):
    curve = calibration_curve(residuals, np.full(len(residuals), width))
    assert (np.diff(curve.observed) >= 0).all()
    assert 0 <= curve.observed[0] <= curve.observed[-1] == 1.0
    assert 0 <= curve.area <= 0.5
