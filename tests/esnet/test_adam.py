"""The Adam of trainings beside Keras' own, whose numbers it must give."""

import numpy as np
import pytest

from esnet.training.adam import fused_adam

pytestmark = pytest.mark.keras


def network(optimizer):
    import keras

    layers = [keras.layers.Dense(5, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    start = np.random.default_rng(1)
    model.set_weights([start.normal(size=weight.shape) for weight in model.get_weights()])
    model.compile(optimizer=optimizer, loss="mse")
    return model


def trained(optimizer, *, epochs: int = 5):
    draw = np.random.default_rng(2)
    x = draw.normal(size=(16, 3)).astype("float32")
    model = network(optimizer)
    model.fit(x, x.sum(axis=1, keepdims=True), batch_size=4, epochs=epochs, shuffle=False, verbose=0)
    return model


def test_weights_and_state_are_those_of_keras():
    import keras

    ours, theirs = trained(fused_adam(0.01)), trained(keras.optimizers.Adam(0.01))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    state, expected = ([value.numpy() for value in model.optimizer.variables] for model in (ours, theirs))
    for one, other in zip(state, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)
    assert state[0] == 20


def test_keras_goes_on_from_its_state():
    import keras

    ours, theirs = trained(fused_adam(0.01), epochs=2), network(keras.optimizers.Adam(0.01))
    theirs.set_weights(ours.get_weights())
    theirs.optimizer.build(theirs.trainable_variables)
    for variable, value in zip(theirs.optimizer.variables, ours.optimizer.variables, strict=True):
        variable.assign(value)
    x = np.random.default_rng(3).normal(size=(4, 3)).astype("float32")
    for model in (ours, theirs):
        model.train_on_batch(x, np.ones((4, 1), dtype="float32"))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_learning_rate_can_be_changed_on_the_way():
    model = trained(fused_adam(0.01), epochs=1)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(np.ones((4, 3)), np.zeros((4, 1)), epochs=1, verbose=0)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
