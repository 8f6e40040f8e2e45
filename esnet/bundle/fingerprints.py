"""Fingerprints of a model's training data, sufficient to recognise a sample or composition but nothing more."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_SEEN = ("train_materials", "train_dos", "validation_materials", "validation_dos")
COMPOSITIONS = "train_compositions"
"""Name of the array that is missing in bundles made before version 0.2."""


@dataclass(frozen=True, kw_only=True)
class TrainingFingerprints:
    """Sorted fingerprints of the materials and densities of states that a model was fitted to.

    Attributes
    ----------
    train_materials, train_dos
        Training samples; the densities include both kinds of DOS of these materials.
    validation_materials, validation_dos
        Samples used for early stopping and calibration.
    train_compositions
        Compositions trained on, from `composition_fingerprints`; None if unknown.
    """

    train_materials: NDArray[np.uint64]
    train_dos: NDArray[np.uint64]
    validation_materials: NDArray[np.uint64]
    validation_dos: NDArray[np.uint64]
    train_compositions: NDArray[np.uint64] | None = None

    def __post_init__(self) -> None:
        for name, array in self.arrays().items():
            if array.dtype != np.uint64 or array.ndim != 1:
                raise ValueError(f"{name} must be fingerprints on one axis")

    def arrays(self) -> dict[str, NDArray[np.uint64]]:
        """Return the data by the names that `from_arrays` reads."""
        arrays = {name: getattr(self, name) for name in _SEEN}
        return arrays if self.train_compositions is None else arrays | {COMPOSITIONS: self.train_compositions}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Create from the result of `arrays`, ignoring other keys; KeyError if a mandatory array is missing."""
        return cls(**{name: arrays[name] for name in _SEEN}, train_compositions=arrays.get(COMPOSITIONS))


def fingerprints(names: Iterable[str | bytes]) -> NDArray[np.uint64]:
    """Return the first 64 bits of the SHA-256 of each name; 100,000 names collide with a probability below 1e-9."""
    digests = (hashlib.sha256(name.encode() if isinstance(name, str) else name).digest()[:8] for name in names)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def composition_fingerprints(compositions: Iterable[Mapping[str, float]]) -> NDArray[np.uint64]:
    """Return a fingerprint of each composition (element symbol to amount), the same for Al2Pd4 and AlPd2."""
    return fingerprints(_fractions(amounts) for amounts in compositions)


def _fractions(amounts: Mapping[str, float]) -> str:
    total = sum(amounts.values())
    return " ".join(f"{symbol}{amount / total:.4f}" for symbol, amount in sorted(amounts.items()))
