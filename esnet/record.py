"""What is written down about one training run, so that a model's origin can be told from its bundle."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """The record of one training run; energies in eV/atom, times in s.

    Attributes
    ----------
    n_samples
        Samples given.
    n_dropped
        How many of them each filter left out, by the setting's name.
    dropped_ids
        The ids of those.
    n_train, n_validation
        Samples trained on, and kept apart for early stopping.
    validation_note
        Why there is no validation part; None where there is one.
    epochs, best_epoch
        Epochs run, and the one whose weights were kept (both counted from 1).
    loss, validation_loss, learning_rate
        One value an epoch; the losses are those of the standardised energies.
    mae_train, mae_validation
        Mean absolute errors of the kept weights, eV/atom; None without a validation part.
    batch_size, batch_norm_momentum
        Those used (see `esnet.training.TrainingSettings`).
    n_parameters
        Weights of the network, trainable or not.
    representation, settings
        As dictionaries.
    seed
        Seed of split, initial weights and order of batches.
    data_checksum
        SHA-256 over ids, features, compositions and energies as given.
    versions
        Python, the packages that computed, and the Keras backend.
    started, finished
        UTC, ISO 8601.
    wall_s, cpu_s
        Of the whole run, building the graph included.
    """

    n_samples: int
    n_dropped: dict[str, int]
    dropped_ids: list[str]
    n_train: int
    n_validation: int
    validation_note: str | None
    epochs: int
    best_epoch: int
    loss: list[float]
    validation_loss: list[float] | None
    learning_rate: list[float]
    mae_train: float
    mae_validation: float | None
    batch_size: int
    batch_norm_momentum: float
    n_parameters: int
    representation: dict[str, str]
    settings: dict[str, Any]
    seed: int
    data_checksum: str
    versions: dict[str, str]
    started: str
    finished: str
    wall_s: float
    cpu_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; ValueError names keys that are missing or not known."""
        names = {field.name for field in fields(cls)}
        if set(data) != names:
            missing, unknown = sorted(names - set(data)), sorted(set(data) - names)
            raise ValueError(f"training record lacks the keys {missing} and has unknown keys {unknown}")
        return cls(**data)


def software_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a training run used."""
    import keras

    versions = {"python": platform.python_version(), "keras_backend": keras.config.backend()}
    for package in ("esnet-campaign", "keras", "numpy", "tensorflow", "tensorflow-cpu", "torch", "jax"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
