"""The network must be the paper's, and load without executing code."""

import numpy as np
import pytest
from conftest import SMALL

from esnet.network.model import build_esnet

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def small():
    """Each graph of a network takes seconds to build, however narrow it is."""
    return build_esnet(widths=SMALL, seed=1)


def test_parameter_counts_are_the_papers():
    model = build_esnet()
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert model.count_params() == 9_756_225
    assert trainable == 9_736_001


def test_shapes_of_inputs_and_output(small):
    assert {name: tensor.shape for name, tensor in small.input.items()} == {
        "up": (None, 1500, 9),
        "down": (None, 1500, 9),
        "composition": (None, 111),
    }
    assert small.output.shape == (None, 1)
    # the two spins have weights of their own
    assert {weight.path.split("_")[0] for weight in small.weights} >= {"up", "down"}


def test_widths_scale_the_convolutions_and_leave_the_head(small):
    assert small.get_layer("up_stem_conv").filters == 8
    assert small.get_layer("down_block4b_2_conv").filters == 64
    assert small.get_layer("total_conv").filters == 64
    assert [small.get_layer(name).units for name in ("elements", "dense_1", "dense_2")] == [64, 128, 64]


def test_seed_fixes_the_initial_weights(small):
    first = small.get_weights()
    second, other = (build_esnet(widths=SMALL, seed=seed).get_weights() for seed in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_saved_model_loads_in_safe_mode_without_our_code(small, tmp_path):
    import keras

    small.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(size=(2, *tensor.shape[1:])).astype(np.float32) for name, tensor in small.input.items()}
    assert np.array_equal(small.predict(inputs, verbose=0), loaded.predict(inputs, verbose=0))


@pytest.mark.parametrize("widths", [(8, 16, 32), (8, 16, 32, 0), (8, 16, 32, 6.5)])
def test_wrong_widths_are_refused(widths):
    with pytest.raises(ValueError, match="widths="):
        build_esnet(widths=widths)
