"""Folding the normalisations away must not change an energy, and must leave alone what cannot be folded."""

from typing import Any

import numpy as np
import pytest
from random_weights import randomise

from esnet.network.folded_network import inference_network
from esnet.network.model import build_esnet

pytestmark = pytest.mark.keras


def normalisations(model: Any) -> list[str]:
    import keras

    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def test_a_folded_network_predicts_the_same_and_leaves_the_trained_one_alone():
    rng = np.random.default_rng(5)
    model = build_esnet(widths=(4, 4, 8, 8), seed=1)
    randomise(model, rng)
    inputs = {
        "up": rng.normal(size=(7, 1500, 9)).astype(np.float32),
        "down": rng.normal(size=(7, 1500, 9)).astype(np.float32),
        "composition": rng.integers(0, 2, (7, 111)).astype(np.float32),
    }
    before = model.predict_on_batch(inputs)
    weights = [weight.copy() for weight in model.get_weights()]

    folded = inference_network(model)

    assert len(normalisations(model)) > 20
    assert normalisations(folded) == []
    assert np.ptp(before) > 1e-3  # it tells the materials apart
    np.testing.assert_allclose(folded.predict_on_batch(inputs), before, rtol=1e-4, atol=1e-4 * np.ptp(before))
    assert all(np.array_equal(now, then) for now, then in zip(model.get_weights(), weights, strict=True))


@pytest.mark.parametrize(
    "reason",
    ["another layer reads the convolution", "the convolution is used twice", "no convolution before it", "activation"],
)
def test_a_normalisation_that_cannot_be_folded_is_kept(reason):
    import keras

    signal = keras.Input((12, 3))
    conv = keras.layers.Conv1D(3, 3, padding="same", activation="relu" if reason == "activation" else None)
    first = signal if reason.startswith("no ") else conv(signal)
    normalised = keras.layers.BatchNormalization(name="kept")(first)
    output = normalised
    if reason.startswith("another"):
        output = keras.layers.Add()([normalised, first])
    elif reason.endswith("twice"):
        output = keras.layers.Add()([normalised, conv(keras.layers.ReLU()(signal))])
    model = keras.Model(signal, output)
    rng = np.random.default_rng(1)
    randomise(model, rng)
    batch = rng.normal(size=(2, 12, 3)).astype(np.float32)

    folded = inference_network(model)

    assert normalisations(folded) == ["kept"]
    np.testing.assert_allclose(folded.predict_on_batch(batch), model.predict_on_batch(batch), rtol=1e-5, atol=1e-6)


def test_a_convolution_without_bias_gets_one():
    import keras

    signal = keras.Input((12, 3))
    output = keras.layers.BatchNormalization()(keras.layers.Conv1D(2, 3, use_bias=False)(signal))
    model = keras.Model(signal, output)
    rng = np.random.default_rng(2)
    randomise(model, rng)
    batch = rng.normal(size=(2, 12, 3)).astype(np.float32)

    folded = inference_network(model)

    assert normalisations(folded) == []
    np.testing.assert_allclose(folded.predict_on_batch(batch), model.predict_on_batch(batch), rtol=1e-5, atol=1e-5)
