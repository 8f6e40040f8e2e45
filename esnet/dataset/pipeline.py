"""Batches of a data set larger than memory, in a reproducible shuffled order.

The order of an epoch is computed before anything is read: the ascending indices are cut into blocks of neighbours, the
blocks are shuffled, and the samples are shuffled within windows of about sixty blocks. At any time, reading is thus
confined to a few regions of the files (which suits the operating system's page cache and read-ahead), each batch has
samples from the whole data set, and only the batches in progress are in memory.

A few threads inflate and scale batches ahead of the training. They are blocked neither by HDF5's lock (see
`esnet.dataset.dataset.Dataset.read`) nor by Python's, which zlib and NumPy release.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.dataset.dataset import DatasetError
from esnet.files.errors import UserError
from esnet.representation.composition import N_ELEMENTS
from esnet.representation.dos import N_GRID, N_ORBITALS
from esnet.representation.features import network_inputs
from esnet.representation.scaling import ChannelScaler, TargetScaling


class Readable(Protocol):
    """Samples that can be read by index: `esnet.dataset.dataset.Dataset` or `esnet.representation.samples.Samples`."""

    @property
    def compositions(self) -> NDArray[np.floating]:
        """Composition vectors, shape (n, 111)."""

    @property
    def energies(self) -> NDArray[np.float64]:
        """Formation energies, eV/atom, shape (n,)."""

    def read(self, indices: ArrayLike, /) -> NDArray[np.floating]:
        """Return the densities of these samples, shape (k, 2, 1500, 9)."""


BLOCK = 32
"""Number of neighbouring samples that are read together."""

Batch = tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]
"""The network's three inputs (see `esnet.representation.features.network_inputs`) and standardised energies (b, 1)."""


def epoch_order(indices: ArrayLike, *, seed: int, epoch: int, buffer: int = 2048) -> NDArray[np.intp]:
    """Return the indices in the order of one epoch, which depends only on seed and epoch.

    Parameters
    ----------
    buffer
        Number of samples, from random blocks, that are shuffled together.
    """
    ascending = np.sort(np.asarray(indices, dtype=np.intp))
    rng = np.random.default_rng((seed, epoch))
    # block boundaries differ between epochs, so that neighbours are not always together
    cuts = np.arange(int(rng.integers(1, BLOCK + 1)), len(ascending), BLOCK)
    blocks = np.split(ascending, cuts)
    mixed = np.concatenate([blocks[number] for number in rng.permutation(len(blocks))])
    for start in range(0, len(mixed), buffer):
        rng.shuffle(mixed[start : start + buffer])
    return mixed


def numpy_batches(
    dataset: Readable,
    indices: ArrayLike,
    *,
    scaler: ChannelScaler,
    target_scaling: TargetScaling,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    buffer: int = 2048,
    epoch: int = 0,
    drop_remainder: bool = False,
    ahead: int = 4,
) -> Iterator[Batch]:
    """Yield the batches of one epoch without TensorFlow; in the order of ``indices`` if ``shuffle`` is False.

    Parameters
    ----------
    batch_size
        Number of samples in a batch; the last one contains the rest.
    drop_remainder
        Whether an incomplete last batch is left out.
    ahead
        Number of batches prepared in advance, with at most one thread per core.

    Raises
    ------
    DatasetError
        If an option or an index is out of range, or a file cannot be read.
    FeatureError
        If a value is not finite.
    """
    for name, value in (("batch_size", batch_size), ("buffer", buffer), ("ahead", ahead)):
        if value < 1:
            raise DatasetError(f"{name}={value!r}: must be a whole number above 0")
    order = np.asarray(indices, dtype=np.intp)
    if shuffle:
        order = epoch_order(order, seed=seed, epoch=epoch, buffer=buffer)
    n_batches = _n_batches(len(order), batch_size, drop_remainder)
    energies, compositions = target_scaling.standardise(dataset.energies), dataset.compositions

    def make(number: int) -> Batch:
        wanted = order[number * batch_size : (number + 1) * batch_size]
        inputs = network_inputs(dataset.read(wanted), compositions[wanted], scaler=scaler)
        return inputs, energies[wanted, None]

    return _in_order(make, n_batches, ahead)


def batches(
    dataset: Readable,
    indices: ArrayLike,
    *,
    scaler: ChannelScaler,
    target_scaling: TargetScaling,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    epoch: int | Callable[[], int] = 0,
    drop_remainder: bool = False,
    failed: list[UserError] | None = None,
) -> Any:
    """Return the batches of an epoch as a prefetching ``tf.data.Dataset`` of known length.

    Parameters
    ----------
    epoch
        Epoch that determines the order, or a function that returns it and is called each time an iteration over the
        data set starts. Keras does this at the start of each epoch, after the callbacks' ``on_epoch_begin``.
    failed
        List that receives the error of an unreadable sample (see `reading_errors`), since TensorFlow replaces its
        message.
    dataset, indices, scaler, target_scaling, batch_size, seed, shuffle, drop_remainder
        See `numpy_batches`.

    Returns
    -------
    tf.data.Dataset
        Elements ``({"up": (b, 1500, 9), "down": (b, 1500, 9), "composition": (b, 111)}, target (b, 1))``, float32.
    """
    import tensorflow as tf

    chosen = np.array(indices, dtype=np.intp)

    def generate() -> Iterator[Batch]:
        try:
            yield from made_now()
        except UserError as error:
            if failed is not None:
                failed.append(error)
            raise

    def made_now() -> Iterator[Batch]:
        return numpy_batches(
            dataset,
            chosen,
            scaler=scaler,
            target_scaling=target_scaling,
            batch_size=batch_size,
            seed=seed,
            shuffle=shuffle,
            epoch=epoch() if callable(epoch) else epoch,
            drop_remainder=drop_remainder,
        )

    size = batch_size if drop_remainder else None
    signal = tf.TensorSpec((size, N_GRID, N_ORBITALS), tf.float32)
    inputs = {"up": signal, "down": signal, "composition": tf.TensorSpec((size, N_ELEMENTS), tf.float32)}
    made = tf.data.Dataset.from_generator(generate, output_signature=(inputs, tf.TensorSpec((size, 1), tf.float32)))
    n_batches = _n_batches(len(chosen), batch_size, drop_remainder)
    return made.apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(2)


@contextmanager
def reading_errors() -> Iterator[list[UserError]]:
    """Re-raise the error of an unreadable sample unchanged; pass the yielded list to `batches` as ``failed``."""
    import tensorflow

    failed: list[UserError] = []
    try:
        yield failed
    except tensorflow.errors.OpError:
        if failed:
            raise failed[0] from None
        raise


def _n_batches(n_samples: int, batch_size: int, drop_remainder: bool) -> int:
    return n_samples // batch_size if drop_remainder else -(-n_samples // batch_size)


def _in_order(make: Callable[[int], Batch], n_batches: int, ahead: int) -> Iterator[Batch]:
    """Yield ``make(0)``, ``make(1)`` ..., computed in threads up to ``ahead`` beyond the current one."""
    threads = min(ahead, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="esnet-batches") as pool:
        under_way: deque[Future[Batch]] = deque()
        try:
            for number in range(n_batches):
                under_way.append(pool.submit(make, number))
                if len(under_way) > ahead:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            # on early exit or an error, cancel work that has not started
            for future in under_way:
                future.cancel()
