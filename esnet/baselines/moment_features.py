"""Input of the models on DOS moments: 90 standardised moments, 18 flags of non-empty bands, and the composition.

A band without states has no moments. A missing moment is 0 in the standardised vector, which equals the mean of the
training part and would look like an ordinary band. Each channel therefore has a flag that is 1 if the band
exists. There is one flag per channel rather than one per moment, because five equal columns would count a missing band
five times in the distances of a kernel. Means and deviations are taken from the training part only.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.dataset import Dataset
from esnet.representation.composition import N_ELEMENTS
from esnet.representation.errors import FeatureError
from esnet.representation.moments import CHANNEL_NAMES, MOMENT_NAMES, MOMENTS, Moments, moments_of_batch

N_FEATURES = len(MOMENT_NAMES) + len(CHANNEL_NAMES) + N_ELEMENTS
"""Number of features: 90 moments, 18 flags, 111 elements."""


@dataclass(frozen=True)
class MomentScaler:
    """Standardises each moment with its mean and deviation over the non-empty bands of the training part.

    Attributes
    ----------
    mean, scale
        Arrays of shape (90,). A moment that is absent from the training part, or constant in it, has scale 1.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, moments: Moments) -> Self:
        """Return a scaler fitted to the moments of the training part, shape (n, 90)."""
        if not len(moments.values):
            raise FeatureError("the scaler of the moments needs at least one sample")
        count = moments.mask.sum(axis=0)
        divisor = np.maximum(count, 1)
        mean = np.where(moments.mask, moments.values, 0.0).sum(axis=0) / divisor
        squares = np.where(moments.mask, (moments.values - mean) ** 2, 0.0).sum(axis=0)
        deviation = np.sqrt(squares / divisor)
        varies = deviation > 1e-9 * np.maximum(1.0, np.abs(mean))
        return cls(mean, np.where(varies, deviation, 1.0))

    def features(self, moments: Moments, compositions: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the (n, 219) features of n samples from their moments (n, 90) and compositions (n, 111)."""
        if compositions.shape != (len(moments.values), N_ELEMENTS):
            raise FeatureError(
                f"compositions have shape {compositions.shape}, must be ({len(moments.values)}, {N_ELEMENTS})"
            )
        standardised = np.where(moments.mask, (moments.values - self.mean) / self.scale, 0.0)
        there = moments.mask.reshape(-1, len(CHANNEL_NAMES), len(MOMENTS)).any(axis=2)
        return np.concatenate([standardised, there, compositions], axis=1, dtype=np.float64)


def moments_of(dataset: Dataset, indices: NDArray[np.intp]) -> Moments:
    """Return the moments (n, 90) of n samples of a data set, and their mask, reading block by block.

    Filling and centre are masked if the Fermi level is unknown.
    """
    # samples in one shard are read together, and each sample once
    order = np.argsort(indices, kind="stable")
    values = np.empty((len(indices), len(MOMENT_NAMES)))
    start = 0
    for block in dataset.blocks(indices[order]):
        part = order[start : start + len(block)]
        values[part] = moments_of_batch(block, efermi=dataset.efermi[indices[part]]).values
        start += len(block)
    return Moments(values, np.isfinite(values))
