"""Novelty of a material: its distance from the training set in the network's last hidden layer.

The mean distance to the nearest training samples in the latent space indicates errors better than a distance between
inputs (J. P. Janet, C. Duan, T. Yang, A. Nandy, H. J. Kulik, Chem. Sci. 10, 7913 (2019), DOI 10.1039/C9SC02298H). It is
normalised such that 95 % of the training samples have a novelty of 1 or less when all samples of the same material are
left out. Values above 1 are flagged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEIGHBOURS = 10
"""Number of points that a distance is averaged over; with fewer than 100 materials, a tenth of them, at least 1."""
REFERENCE_LIMIT = 4096
"""Largest number of training samples kept; from a larger training set, a random part is drawn with the seed."""
USUAL = 0.95
"""Fraction of the training samples with a novelty of 1 or less."""

_ROWS = 512
_SMALLEST = 1e-9


@dataclass(frozen=True)
class NoveltyReference:
    """The training set, represented by the last hidden layer.

    Attributes
    ----------
    points
        Hidden layers, centred and divided by the scale of each member, float32, shape (n, members * 64).
    centres
        Means over the training samples, shape (members, 64).
    scales
        Root mean square distances from the centre, shape (members,), which give members equal weight.
    neighbours
        Number of nearest points that a distance is averaged over.
    unit
        95th percentile of the distances of the points, excluding samples of their own material.
    """

    points: NDArray[np.float32]
    centres: NDArray[np.float32]
    scales: NDArray[np.float32]
    neighbours: int
    unit: float

    @classmethod
    def fit(cls, hidden: NDArray[np.float32], materials: Sequence[str]) -> Self | None:
        """Build the reference from hidden layers of training samples, shape (members, n, 64).

        IS and RS of one material do not count as neighbours. Returns None if no distance is defined, i.e. if there are
        fewer than two materials or all hidden layers are equal.
        """
        _, owners = np.unique(np.asarray(materials, dtype=str), return_inverse=True)
        sizes = np.bincount(owners) if len(owners) else np.zeros(0, dtype=np.intp)
        if len(sizes) < 2:
            return None
        centres = hidden.mean(axis=1, dtype=np.float64)
        spread = hidden - centres[:, None]
        scales = np.sqrt((spread**2).sum(axis=2).mean(axis=1))
        scales = np.where(scales > _SMALLEST, scales, 1.0)
        made = cls(
            points=np.zeros((0, 0), np.float32),
            centres=centres.astype(np.float32),
            scales=scales.astype(np.float32),
            # every sample has at least this many neighbours of other materials
            neighbours=min(max(1, min(NEIGHBOURS, len(sizes) // 10)), int(len(owners) - sizes.max())),
            unit=1.0,
        )
        points = made._embed(hidden)
        distances = _mean_nearest(points, points, made.neighbours, owners=owners)
        unit = float(np.quantile(distances, USUAL))
        if unit < _SMALLEST:
            return None
        return cls(points, made.centres, made.scales, made.neighbours, unit)

    def novelty(self, hidden: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the novelty of samples, dimensionless and at least 0: (members, n, 64) -> (n,)."""
        return _mean_nearest(self._embed(hidden), self.points, self.neighbours) / self.unit

    def _embed(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled = (hidden - self.centres[:, None]) / self.scales[:, None, None]
        return np.ascontiguousarray(scaled.transpose(1, 0, 2).reshape(hidden.shape[1], -1), dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays by the names that `from_parts` reads."""
        return {"points": self.points, "centres": self.centres, "scales": self.scales}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields other than arrays, in JSON types."""
        return {"neighbours": self.neighbours, "unit": self.unit, "n_points": len(self.points)}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[np.float32]], data: Mapping[str, Any]) -> Self:
        """Create from the results of `arrays` and `to_dict`; ValueError if they do not match."""
        points, centres, scales = (arrays[name] for name in ("points", "centres", "scales"))
        if points.shape != (data["n_points"], centres.size) or scales.shape != centres.shape[:1]:
            raise ValueError(f"novelty arrays have the shapes {points.shape}, {centres.shape} and {scales.shape}")
        if not 0 < data["neighbours"] <= len(points) or not data["unit"] > 0:
            raise ValueError(f"novelty has neighbours={data['neighbours']} and unit={data['unit']}")
        return cls(points, centres, scales, int(data["neighbours"]), float(data["unit"]))


def reference_places(
    indices: NDArray[np.intp], materials: Sequence[str], *, seed: int, limit: int = REFERENCE_LIMIT
) -> NDArray[np.intp]:
    """Choose the training samples for a reference: whole materials, with at most ``limit`` samples in total.

    Materials are drawn with the seed, independently of their order in the data set. ``indices`` are the indices of the
    training samples, ``materials`` the materials of all samples in the data set.
    """
    if len(indices) <= limit:
        return np.sort(indices)
    by_material: dict[str, list[int]] = {}
    for place in indices:
        by_material.setdefault(materials[place], []).append(int(place))
    names = sorted(by_material)
    chosen: list[int] = []
    for number in np.random.default_rng(seed).permutation(len(names)):
        if len(chosen) + len(by_material[names[number]]) > limit:
            break
        chosen += by_material[names[number]]
    return np.sort(np.array(chosen, dtype=np.intp))


def _mean_nearest(
    samples: ArrayLike, points: ArrayLike, neighbours: int, *, owners: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Return the mean distance of samples to their nearest points; with owners, excluding points of the same owner."""
    rows, columns = np.asarray(samples, dtype=np.float64), np.asarray(points, dtype=np.float64)
    lengths = (columns**2).sum(axis=1)
    distances = np.empty(len(rows))
    for start in range(0, len(rows), _ROWS):
        block = rows[start : start + _ROWS]
        squares = (block**2).sum(axis=1)[:, None] + lengths - 2.0 * (block @ columns.T)
        if owners is not None:
            squares[owners[start : start + _ROWS, None] == owners] = np.inf
        nearest = np.partition(squares, neighbours - 1, axis=1)[:, :neighbours]
        distances[start : start + _ROWS] = np.sqrt(np.maximum(nearest, 0.0)).mean(axis=1)
    return distances
