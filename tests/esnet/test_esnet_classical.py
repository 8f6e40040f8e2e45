"""The models on moments must take missing bands for what they are, learn, and say what they were fitted to."""

from dataclasses import replace

import numpy as np
import pytest

from esnet.baselines.classical import MODELS, Table, fit_classical
from esnet.baselines.moment_features import N_FEATURES, MomentScaler
from esnet.representation.errors import FeatureError
from esnet.representation.moments import CHANNEL_NAMES, MOMENT_NAMES, MOMENTS, Moments


def synthetic_moments(n_samples: int, *, seed: int = 0) -> Moments:
    """Random moments, in which sample 0 has no d band and nobody has the last channel."""
    values = np.random.default_rng(seed).normal(3.0, 2.0, (n_samples, 90))
    values[0, 20:45] = np.nan
    values[:, 85:] = np.nan
    return Moments(values, np.isfinite(values))


def learnable(n_samples: int, *, seed: int) -> Table:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_samples, N_FEATURES))
    return Table(features, np.sin(features[:, 0]) + 0.5 * features[:, 1])


def test_a_missing_band_is_the_mean_with_a_mark_and_never_nan():
    found = synthetic_moments(50)
    features = MomentScaler.fit(found).features(found, np.zeros((50, 111)))
    assert features.shape == (50, N_FEATURES)
    assert np.isfinite(features).all()
    standardised, there = features[:, :90], features[:, 90:108]
    assert not standardised[0, 20:45].any()
    assert [name for name, mark in zip(CHANNEL_NAMES, there[0], strict=True) if not mark] == [
        *CHANNEL_NAMES[4:9],
        CHANNEL_NAMES[17],
    ]
    # the bands that are there have mean 0 and deviation 1, whatever is missing beside them
    column = standardised[1:, 20]
    assert column.mean() == pytest.approx(0.0, abs=1e-9)
    assert column.std() == pytest.approx(1.0)


def test_a_band_that_training_never_had_does_not_break_new_samples():
    scaler = MomentScaler.fit(synthetic_moments(50))
    new = synthetic_moments(3)
    new.values[:, 85:], new.mask[:, 85:] = 7.0, True
    features = scaler.features(new, np.zeros((3, 111)))
    assert np.isfinite(features).all()
    assert features[:, 90 + 17].all()


def test_the_order_of_moments_is_that_of_the_marks():
    assert MOMENT_NAMES[::5] == tuple(f"{channel}_{MOMENTS[0]}" for channel in CHANNEL_NAMES)


def test_wrong_compositions_and_no_samples_are_refused():
    with pytest.raises(FeatureError, match="111"):
        MomentScaler.fit(synthetic_moments(4)).features(synthetic_moments(4), np.zeros((4, 110)))
    with pytest.raises(FeatureError, match="at least one sample"):
        MomentScaler.fit(Moments(np.empty((0, 90)), np.empty((0, 90), dtype=bool)))


@pytest.mark.parametrize("name", list(MODELS))
def test_each_model_learns_and_is_the_same_again(name):
    pytest.importorskip(MODELS[name].package, reason="extra 'analysis' is not installed")
    training, validation, test = (learnable(n, seed=seed) for n, seed in ((300, 1), (60, 2), (60, 3)))
    options = {"seed": 1, "quick": True, "threads": 1}
    fitted = fit_classical(name, training, validation, **options)
    predicted = fitted.predict(test.features)
    baseline = np.abs(test.energies - training.energies.mean()).mean()
    assert np.abs(predicted - test.energies).mean() < 0.95 * baseline
    assert fitted.n_train == 300
    assert fitted.mae_validation == pytest.approx(
        np.abs(fitted.predict(validation.features) - validation.energies).mean()
    )
    again = fit_classical(name, training, validation, **options)
    assert np.array_equal(again.predict(test.features), predicted)
    assert again.parameters == fitted.parameters


@pytest.mark.parametrize("place", [0, 1])
def test_the_validation_part_chooses_the_parameters(monkeypatch, place):
    pytest.importorskip("sklearn", reason="extra 'analysis' is not installed")
    training, validation = learnable(200, seed=1), learnable(60, seed=2)
    # with so large a penalty nothing is learnt
    candidates = [{"alpha": 1e6, "gamma": 1.0}]
    candidates.insert(place, {"alpha": 0.1, "gamma": 1.0})
    monkeypatch.setitem(MODELS, "krr", replace(MODELS["krr"], candidates=tuple(candidates)))
    chosen = fit_classical("krr", training, validation, seed=1)
    assert chosen.parameters["alpha"] == 0.1
    first = fit_classical("krr", training, validation, seed=1, quick=True)
    assert first.parameters["alpha"] == candidates[0]["alpha"]


def test_a_kernel_method_says_that_it_was_fitted_to_a_part():
    pytest.importorskip("sklearn", reason="extra 'analysis' is not installed")
    training, validation = learnable(200, seed=1), learnable(20, seed=2)
    fitted = fit_classical("krr", training, validation, seed=1, quick=True, max_kernel_samples=50)
    assert fitted.n_train == 50
    assert "50 of the 200" in fitted.notes[0]
    # a forest needs no such limit
    assert fit_classical("rf", training, validation, seed=1, quick=True, max_kernel_samples=50).n_train == 200
