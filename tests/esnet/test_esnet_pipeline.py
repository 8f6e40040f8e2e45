"""The pipeline gives every sample once an epoch, scaled as in memory, in an order that can be made again."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_dataset import synthetic

from esnet.dataset.dataset import Dataset, DatasetError
from esnet.dataset.pipeline import BLOCK, batches, epoch_order, numpy_batches
from esnet.dataset.splits import split_dataset
from esnet.representation.features import network_inputs
from esnet.representation.scaling import ChannelScaler, TargetScaling


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """20 materials, 40 samples."""
    return synthetic(tmp_path_factory.mktemp("datasets") / "synthetic", 20)


@pytest.fixture(scope="module")
def scalings(dataset: Dataset) -> dict:
    """Both scalings, fitted on a training part."""
    train = split_dataset(dataset).train
    return {
        "scaler": ChannelScaler.fit_batches(dataset.blocks(train)),
        "target_scaling": TargetScaling.fit(dataset.energies[train]),
    }


@settings(max_examples=60, deadline=None)
@given(
    indices=st.sets(st.integers(0, 5000), max_size=300),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 5),
    buffer=st.integers(1, 200),
)
def test_an_epoch_lacks_a_sample_or_depends_on_more_than_seed_and_number(indices, seed, epoch, buffer):
    order = epoch_order(list(indices), seed=seed, epoch=epoch, buffer=buffer)
    assert sorted(order.tolist()) == sorted(indices)
    again = epoch_order(sorted(indices, reverse=True), seed=seed, epoch=epoch, buffer=buffer)
    assert again.tolist() == order.tolist()


def test_epochs_or_seeds_have_the_same_order():
    orders = {tuple(epoch_order(range(500), seed=seed, epoch=epoch).tolist()) for seed in (0, 1) for epoch in (0, 1, 2)}
    assert len(orders) == 6


def test_a_batch_has_samples_of_one_place_only():
    order = epoch_order(range(20_000), seed=0, epoch=0)
    batch = order[:32]
    assert len({place // BLOCK for place in batch.tolist()}) > 16
    # and what is read within one window lies in few blocks
    assert len({place // BLOCK for place in order[:2048].tolist()}) <= 2 * (2048 // BLOCK + 1)


def test_batches_are_scaled_otherwise_than_in_memory(dataset: Dataset, scalings: dict):
    indices = dataset.indices(kind="rs_dos")
    order = epoch_order(indices, seed=7, epoch=2)
    got = list(numpy_batches(dataset, indices, batch_size=8, seed=7, epoch=2, **scalings))
    assert [len(target) for _, target in got] == [8, 8, 4]
    wanted = network_inputs(dataset.read(order), dataset.compositions[order], scaler=scalings["scaler"])
    for name, array in wanted.items():
        np.testing.assert_array_equal(np.concatenate([inputs[name] for inputs, _ in got]), array)
    targets = scalings["target_scaling"].standardise(dataset.energies[order])
    np.testing.assert_array_equal(np.concatenate([target for _, target in got])[:, 0], targets)


def test_order_and_last_batch_are_not_as_asked_for(dataset: Dataset, scalings: dict):
    options = {"batch_size": 3, "seed": 0, "shuffle": False, **scalings}
    targets = [target for _, target in numpy_batches(dataset, [5, 1, 9, 1], **options)]
    wanted = scalings["target_scaling"].standardise(dataset.energies[[5, 1, 9, 1]])
    np.testing.assert_array_equal(np.concatenate(targets)[:, 0], wanted)
    assert len(list(numpy_batches(dataset, [5, 1, 9, 1], drop_remainder=True, **options))) == 1


@pytest.mark.parametrize("option", ["batch_size", "buffer", "ahead"])
def test_an_option_out_of_range_hangs(dataset: Dataset, scalings: dict, option: str):
    options = {"batch_size": 4, "seed": 0, **scalings, option: 0}
    with pytest.raises(DatasetError, match=f"{option}=0"):
        numpy_batches(dataset, [0], **options)


def test_a_pass_that_is_left_early_leaves_its_threads(dataset: Dataset, scalings: dict):
    before = threading.active_count()
    passing = numpy_batches(dataset, dataset.indices(), batch_size=2, seed=0, **scalings)
    next(passing)
    passing.close()
    assert threading.active_count() == before


def test_a_file_that_breaks_ends_a_pass_without_a_word(tmp_path: Path, scalings: dict):
    broken = synthetic(tmp_path / "d", 3)
    (tmp_path / "d" / "dos-00000.h5").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"dos-00000\.h5 cannot be read as HDF5"):
        list(numpy_batches(broken, broken.indices(), batch_size=2, seed=0, **scalings))


@pytest.mark.keras
def test_tensorflow_gets_other_batches_or_keras_the_same_order_twice(dataset: Dataset, scalings: dict):
    epochs = iter([0, 1, 1])
    made = batches(dataset, dataset.indices(), batch_size=16, seed=3, epoch=lambda: next(epochs), **scalings)
    assert int(made.cardinality()) == 3
    passes = [[(inputs["up"].numpy(), target.numpy()) for inputs, target in made] for _ in range(3)]
    for number, epoch in enumerate((0, 1, 1)):
        wanted = list(numpy_batches(dataset, dataset.indices(), batch_size=16, seed=3, epoch=epoch, **scalings))
        assert [len(target) for _, target in passes[number]] == [16, 16, 8]
        for (up, target), (inputs, targets) in zip(passes[number], wanted, strict=True):
            np.testing.assert_array_equal(up, inputs["up"])
            np.testing.assert_array_equal(target, targets)
    full = batches(dataset, dataset.indices(), batch_size=16, seed=3, drop_remainder=True, **scalings)
    assert full.element_spec[1].shape == (16, 1)
