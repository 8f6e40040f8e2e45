"""Members of an ensemble may share a graph, but each must predict what it does alone."""

import numpy as np
import pytest
from random_weights import randomise

from esnet.bundle.files import BundleError
from esnet.bundle.members import load_members, load_network
from esnet.network.folded_network import inference_network
from esnet.network.model import build_esnet

pytestmark = pytest.mark.keras

NARROW, WIDE = (4, 4, 8, 8), (4, 4, 8, 16)


@pytest.fixture
def saved(tmp_path):
    """Three networks of two architectures, saved one after the other in this process."""
    files = []
    for seed, widths in enumerate((NARROW, WIDE, NARROW)):
        model = build_esnet(widths=widths, seed=seed)
        randomise(model, np.random.default_rng(seed))
        files.append(tmp_path / f"member-{seed}.keras")
        model.save(files[-1])
    return files


def test_members_of_one_architecture_share_a_graph_and_predict_as_they_do_alone(saved, bundle):
    import keras

    rng = np.random.default_rng(5)
    batch = {
        "up": rng.normal(size=(7, 1500, 9)).astype(np.float32),
        "down": rng.normal(size=(7, 1500, 9)).astype(np.float32),
        "composition": rng.integers(0, 2, (7, 111)).astype(np.float32),
    }
    members = load_members([(file, bundle.info) for file in saved])
    first, second, third = (member.network for member in members)
    assert first is third
    assert first is not second
    for _ in range(2):  # the weights of another member were set in between
        for member, file in zip(members, saved, strict=True):
            energies, hidden = (np.asarray(each) for each in member.prepare().predict_on_batch(batch))
            model = load_network(file, bundle.info)
            alone = inference_network(keras.Model(model.input, [model.output, model.get_layer("energy").input]))
            expected = [np.asarray(each) for each in alone.predict_on_batch(batch)]
            assert np.ptp(expected[0]) > 1e-3
            np.testing.assert_array_equal(energies, expected[0])
            np.testing.assert_array_equal(hidden, expected[1])


def test_weights_of_a_later_member_are_checked_as_those_of_the_first(saved, bundle):
    model = load_network(saved[2], bundle.info)
    kernel = np.array(model.layers[-1].get_weights()[0])
    kernel.flat[0] = np.inf
    model.layers[-1].set_weights([kernel, *model.layers[-1].get_weights()[1:]])
    model.save(saved[2])
    with pytest.raises(BundleError, match=r"member-2\.keras: weights of the layer .* are not finite numbers"):
        load_members([(file, bundle.info) for file in saved])


def test_a_file_that_is_no_network_is_named(saved, bundle):
    saved[1].write_bytes(b"no network")
    with pytest.raises(BundleError, match=r"member-1\.keras cannot be read by Keras"):
        load_members([(file, bundle.info) for file in saved])
