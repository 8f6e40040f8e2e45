"""Scaling of channels and energies, fitted to the training set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from esnet.representation.checks import checked_dos
from esnet.representation.dos import N_GRID, N_ORBITALS, SPINS
from esnet.representation.errors import FeatureError

_BLOCK = 256
#: Number of samples scaled together, small enough to stay in a core's cache between the steps.
_IN_CACHE = 4


@dataclass(frozen=True)
class ChannelScaler:
    """Standardises each of the 18 channels with the mean and deviation of a training set.

    Attributes
    ----------
    mean, scale
        Nested tuples of two (spins) times nine (orbitals) numbers. A constant channel has scale 1.
    """

    mean: tuple[tuple[float, ...], ...]
    scale: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name, values in (("mean", self.mean), ("scale", self.scale)):
            array = np.asarray(values, dtype=np.float64)
            if array.shape != (len(SPINS), N_ORBITALS) or not np.isfinite(array).all():
                raise FeatureError(f"scaler's {name} must be {len(SPINS)} x {N_ORBITALS} finite numbers")
        if not (np.asarray(self.scale) > 0).all():
            raise FeatureError("scaler's scale must be above 0 everywhere")

    @classmethod
    def fit(cls, dos: NDArray[np.floating]) -> Self:
        """Fit to features of shape (n, 2, 1500, 9)."""
        checked = checked_dos(dos, None)
        return cls.fit_batches(checked[start : start + _BLOCK] for start in range(0, len(checked), _BLOCK))

    @classmethod
    def fit_batches(cls, batches: Iterable[NDArray[np.floating]]) -> Self:
        """Fit to batches of shape (n, 2, 1500, 9), which need not all be in memory.

        Means and squared deviations of the batches are merged (Chan et al., 1979), which avoids cancellation in large
        sums.
        """
        count = 0
        mean = np.zeros((len(SPINS), N_ORBITALS))
        squares = np.zeros((len(SPINS), N_ORBITALS))
        for batch in batches:
            block = checked_dos(batch, None).astype(np.float64)
            if not len(block):
                continue
            size = block.shape[0] * block.shape[2]
            block_mean = block.mean(axis=(0, 2))
            distance = block_mean - mean
            squares += ((block - block_mean[None, :, None, :]) ** 2).sum(axis=(0, 2))
            squares += distance**2 * count * size / (count + size)
            mean += distance * size / (count + size)
            count += size
        if not count:
            raise FeatureError("a scaler needs at least one sample")
        deviation = np.sqrt(squares / count)
        # due to rounding, the deviation of a constant channel is tiny rather than 0
        varies = deviation > 1e-12 * np.maximum(1.0, np.abs(mean))
        scale = np.where(varies, deviation, 1.0)
        return cls(tuple(map(tuple, mean.tolist())), tuple(map(tuple, scale.tolist())))

    def transform(self, dos: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return scaled features, float32, of the same shape (n, 2, 1500, 9)."""
        return self._scaled(checked_dos(dos, None))

    def _scaled(self, dos: NDArray[np.floating]) -> NDArray[np.float32]:
        # rows of 13,500 numbers: NumPy is slow for innermost rows of nine
        mean, scale = (
            np.tile(np.asarray(values, np.float32), (1, N_GRID))[:, None] for values in (self.mean, self.scale)
        )
        # spins first in memory: each is one input of the network, and then needs no copy
        scaled = np.empty((len(SPINS), len(dos), N_GRID * N_ORBITALS), np.float32)
        for start in range(0, len(dos), _IN_CACHE):
            block, part = dos[start : start + _IN_CACHE], scaled[:, start : start + _IN_CACHE]
            rows = block.reshape(len(block), len(SPINS), -1).swapaxes(0, 1)
            np.subtract(rows, mean, out=part, dtype=np.float32, casting="same_kind")
            part /= scale
        return scaled.reshape(len(SPINS), len(dos), N_GRID, N_ORBITALS).swapaxes(0, 1)

    def to_dict(self) -> dict[str, list[list[float]]]:
        """Return mean and scale in JSON types, exact to the last bit."""
        return {"mean": [list(row) for row in self.mean], "scale": [list(row) for row in self.scale]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Create from the result of `to_dict`."""
        if set(data) != {"mean", "scale"}:
            raise FeatureError(f"scaler has the keys {sorted(data)}, must have mean and scale")
        mean, scale = (tuple(tuple(float(value) for value in row) for row in data[key]) for key in ("mean", "scale"))
        return cls(mean, scale)


@dataclass(frozen=True)
class TargetScaling:
    """Mean and standard deviation (eV/atom) used to standardise formation energies for training.

    The network's output times ``deviation`` plus ``mean`` is the formation energy in eV/atom.
    """

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.mean) or not np.isfinite(self.deviation) or self.deviation <= 0:
            raise FeatureError(f"target scaling must be finite, with a deviation above 0; found {self}")

    @classmethod
    def fit(cls, energies: NDArray[np.floating]) -> Self:
        """Fit to formation energies in eV/atom; the deviation is 1 if all energies are equal."""
        deviation = float(np.std(energies))
        return cls(float(np.mean(energies)), deviation if deviation > 1e-9 else 1.0)

    def standardise(self, energies: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the network's targets for formation energies in eV/atom."""
        return ((np.asarray(energies, dtype=np.float64) - self.mean) / self.deviation).astype(np.float32)

    def restore(self, outputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the network's outputs as formation energies in eV/atom."""
        return np.asarray(outputs, dtype=np.float64) * self.deviation + self.mean
