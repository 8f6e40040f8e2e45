"""Batches of a data set that is larger than memory, in the order of a shuffle that can be made again.

The order of an epoch is computed before anything is read: the indices, in ascending order, are cut into blocks of
neighbours, the blocks are shuffled, and the samples are shuffled inside windows of some sixty blocks. So reading stays
near a few places of the files at a time (the page cache and read-ahead of the operating system do the rest), a batch
has samples from everywhere, and nothing but the batches under way is held in memory.

A few threads inflate and scale batches ahead of the one that trains. What they wait for is not HDF5's lock (see
`esnet.dataset.dataset.Dataset.read`) nor Python's: zlib and NumPy let go of it.
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
    """Samples that are read by their indices: an `esnet.dataset.dataset.Dataset`, or
    `esnet.representation.samples.Samples` in memory.
    """

    @property
    def compositions(self) -> NDArray[np.floating]:
        """(n, 111)."""

    @property
    def energies(self) -> NDArray[np.float64]:
        """(n,), eV/atom."""

    def read(self, indices: ArrayLike, /) -> NDArray[np.floating]:
        """Densities (k, 2, 1500, 9) of the samples at these places."""


BLOCK = 32
"""Neighbouring samples that are read together."""

Batch = tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]
"""The network's three inputs (see `esnet.representation.features.network_inputs`) and the standardised energies (b,
1).
"""


def epoch_order(indices: ArrayLike, *, seed: int, epoch: int, buffer: int = 2048) -> NDArray[np.intp]:
    """Return the places in the order of one epoch, which seed and epoch alone decide on.

    Parameters
    ----------
    buffer
        Samples in a window, out of blocks from anywhere, that are shuffled among each other.
    """
    ascending = np.sort(np.asarray(indices, dtype=np.intp))
    rng = np.random.default_rng((seed, epoch))
    # where blocks begin differs from epoch to epoch, so that neighbours are not always together
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
    """Yield the batches of one epoch, without TensorFlow; ``shuffle=False``: in the order of ``indices``.

    Parameters
    ----------
    batch_size
        Samples in a batch; the last one contains the rest.
    drop_remainder
        Whether a last batch that is not full is left out.
    ahead
        Batches prepared in advance, each in its own thread as far as there are cores.

    Raises
    ------
    DatasetError
        If an option is out of range, a place does not exist or a file cannot be read.
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
    """Return the batches of an epoch as a ``tf.data.Dataset`` of known length, prefetching.

    Parameters
    ----------
    epoch
        Whose order it is. A function is asked each time that the data set is iterated over: Keras does so at the
        start of each epoch, after the callbacks' ``on_epoch_begin``.
    failed
        Takes the error of a sample that cannot be read, see `reading_errors`: TensorFlow passes on text of its own.
    dataset, indices, scaler, target_scaling, batch_size, seed, shuffle, drop_remainder
        See `numpy_batches`.

    Returns
    -------
    tf.data.Dataset
        Of ``({"up": (b, 1500, 9), "down": (b, 1500, 9), "composition": (b, 111)}, target (b, 1))``, float32.
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
    """Re-raise the error of an unreadable sample unchanged; the yielded value is for `batches` (``failed``)."""
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
    """Yield ``make(0)``, ``make(1)`` ..., computed in threads up to ``ahead`` beyond the one that is taken."""
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
            # left early, or an error: work that has not started is cancelled
            for future in under_way:
                future.cancel()
