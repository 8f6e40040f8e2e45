"""Labelled samples in memory, with methods to check, filter and split them."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.representation.checks import check_features
from esnet.representation.errors import FeatureError


@dataclass(frozen=True)
class Samples:
    """Features and formation energies of n materials.

    Attributes
    ----------
    ids
        n distinct names.
    dos
        Unscaled densities, shape (n, 2, 1500, 9).
    compositions
        Composition vectors, shape (n, 111).
    energies
        Formation energies, eV/atom, shape (n,).
    """

    ids: tuple[str, ...]
    dos: NDArray[np.floating]
    compositions: NDArray[np.floating]
    energies: NDArray[np.float64]

    @classmethod
    def checked(cls, ids: Sequence[str], dos: ArrayLike, compositions: ArrayLike, energies: ArrayLike) -> Self:
        """Create samples; FeatureError names the array and the invalid ids."""
        names = tuple(str(name) for name in ids)
        targets = np.asarray(energies, dtype=np.float64)
        if targets.shape != (len(names),):
            raise FeatureError(f"energies have shape {targets.shape}, must be ({len(names)},): one for each id")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise FeatureError(f"{len(twice)} ids are given more than once: {', '.join(twice[:10])}")
        bad = [name for name, energy in zip(names, targets, strict=True) if not np.isfinite(energy)]
        if bad:
            raise FeatureError(f"energies are not finite for {len(bad)} samples: {', '.join(bad[:10])}")
        features, vectors = check_features(dos, compositions, ids=names)
        return cls(names, features, vectors, targets)

    def take(self, indices: NDArray[np.intp]) -> Self:
        """Return the samples with these indices, in this order."""
        names = tuple(self.ids[place] for place in indices)
        return type(self)(names, self.dos[indices], self.compositions[indices], self.energies[indices])

    def read(self, indices: ArrayLike) -> NDArray[np.floating]:
        """Return the features with these indices, shape (k, 2, 1500, 9), like `esnet.dataset.dataset.Dataset.read`."""
        return self.dos[np.asarray(indices, dtype=np.intp)]

    def blocks(self, indices: NDArray[np.intp], *, size: int = 256) -> Iterator[NDArray[np.floating]]:
        """Yield the features with these indices in order, ``size`` samples at a time."""
        for start in range(0, len(indices), size):
            yield self.read(indices[start : start + size])

    def within(
        self, *, max_dos: float | None, max_abs_formation_energy: float | None
    ) -> tuple[Self, dict[str, int], list[str]]:
        """Leave out samples that exceed a limit; None means no limit.

        Returns
        -------
        tuple
            The samples kept, the number left out by each limit (a sample that exceeds both counts for the first), and
            the ids of those left out.
        """
        n_samples = len(self.ids)
        over_dos = over_energy = np.zeros(n_samples, dtype=bool)
        if max_dos is not None:
            over_dos = np.abs(self.dos).max(axis=(1, 2, 3), initial=0.0) > max_dos
        if max_abs_formation_energy is not None:
            over_energy = ~over_dos & (np.abs(self.energies) > max_abs_formation_energy)
        dropped = over_dos | over_energy
        counts = {"max_dos": int(over_dos.sum()), "max_abs_formation_energy": int(over_energy.sum())}
        dropped_ids = [self.ids[place] for place in np.flatnonzero(dropped)]
        return self.take(np.flatnonzero(~dropped)), counts, dropped_ids

    def split(self, n_second: int, *, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return ascending indices of two parts, the second with ``n_second`` samples drawn with the seed."""
        order = np.random.default_rng(seed).permutation(len(self.ids))
        return np.sort(order[n_second:]), np.sort(order[:n_second])

    def checksum(self) -> str:
        """Return the SHA-256 of the samples in memory, including order and types."""
        digest = hashlib.sha256("\n".join(self.ids).encode())
        for array in (self.dos, self.compositions, self.energies):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()
