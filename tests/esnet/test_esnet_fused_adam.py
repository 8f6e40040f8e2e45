"""The optimiser that is quicker to trace must do what Keras' own does."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from esnet.fused_adam import fused_adam

pytestmark = pytest.mark.keras


def network(precision: str):
    """A network of two layers."""
    import keras

    start = keras.initializers.GlorotUniform(seed=1)
    signal = keras.Input((6,), name="signal")
    hidden = keras.layers.Dense(8, activation="tanh", kernel_initializer=start, dtype=precision, name="hidden")(signal)
    energy = keras.layers.Dense(1, kernel_initializer=start, dtype="float32", name="energy")(hidden)
    return keras.Model(signal, energy)


def train(make_optimizer, *, precision: str = "float32", xla: bool = False, mirrored: bool = False):
    """Losses of a few epochs with a change of the learning rate, and weights and optimiser state after them."""
    import tensorflow

    one_replica = tensorflow.distribute.MirroredStrategy(["/CPU:0"]) if mirrored else None
    with one_replica.scope() if one_replica else contextlib.nullcontext():
        model = network(precision)
        model.compile(optimizer=make_optimizer(0.01), loss="mse", jit_compile=xla)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 6)).astype(np.float32)
    y = x.sum(axis=1, keepdims=True)
    losses = []
    for learning_rate in (0.01, 0.002):
        model.optimizer.learning_rate = learning_rate
        losses += model.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0).history["loss"]
    state = {variable.path.partition("/")[2]: np.asarray(variable) for variable in model.optimizer.variables}
    return losses, model.get_weights(), state


@pytest.mark.parametrize("how", [{}, {"precision": "mixed_bfloat16"}, {"xla": True}, {"mirrored": True}], ids=str)
def test_steps_and_state_are_those_of_keras(how):
    import keras

    losses, weights, state = train(fused_adam, **how)
    keras_losses, keras_weights, keras_state = train(keras.optimizers.Adam, **how)
    tolerance = 1e-2 if "precision" in how else 1e-5
    assert losses[-1] < losses[0]
    assert losses == pytest.approx(keras_losses, rel=tolerance)
    for found, expected in zip(weights, keras_weights, strict=True):
        assert found == pytest.approx(expected, abs=tolerance)
    # a checkpoint holds the state by its order
    assert list(state) == list(keras_state)
    for name, found in state.items():
        assert found == pytest.approx(keras_state[name], rel=1e-2, abs=tolerance), name
