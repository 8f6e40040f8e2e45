"""Select the training, validation and test samples of a data set."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import Split
from esnet.training.network import TrainingError
from esnet.training.settings import TrainingSettings

Kinds = Literal["is_dos", "rs_dos", "both"]
"""Kinds of DOS to train on: IS-DOS (IS2RE), RS-DOS (RS2RE), or both."""

MIN_TRAINING = 2
MIN_VALIDATION = 5
"""With fewer validation samples, the loss depends more on the samples than on the model."""

_LISTED = 1000


@dataclass(frozen=True, kw_only=True)
class TrainingParts:
    """Indices of samples in a data set.

    Attributes
    ----------
    training, validation
        Samples of the kinds trained on; validation is empty if too small for early stopping.
    metrics
        All indices of each part, both kinds, for which errors are reported.
    n_samples
        Number of samples of the kinds trained on, in all parts, before the settings' filters.
    n_dropped, dropped_ids
        Samples left out of the training and validation parts by the settings' filters.
    note
        Why there is no validation part, or None.
    """

    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    metrics: dict[str, NDArray[np.intp]]
    n_samples: int
    n_test: int
    n_dropped: dict[str, int]
    dropped_ids: list[str]
    note: str | None


def choose_parts(dataset: Dataset, split: Split, *, kinds: Kinds, settings: TrainingSettings) -> TrainingParts:
    """Select the kinds to train on from each part of a split, and leave out what the settings' filters exclude.

    The test part is not filtered, so its errors cover the whole data set.

    Raises
    ------
    TrainingError
        If no such kind is known, or the training part has too few samples of it.
    """
    if kinds not in get_args(Kinds):
        raise TrainingError(f"kinds={kinds!r}: must be one of {', '.join(get_args(Kinds))}")
    of_kind = np.ones(len(dataset), dtype=bool) if kinds == "both" else np.asarray(dataset.kinds) == kinds
    over_dos, over_energy = _over_limits(dataset, np.concatenate([split.train, split.validation]), settings)
    dropped = over_dos | over_energy
    training, validation = (part[of_kind[part] & ~dropped[part]] for part in (split.train, split.validation))
    if len(training) < MIN_TRAINING:
        raise TrainingError(
            f"{len(training)} samples of kind {kinds} are left in the training part of {dataset.path}; at least "
            f"{MIN_TRAINING} are needed (the data set has {int(of_kind.sum())} of {len(dataset)})"
        )
    note = None
    if len(validation) < MIN_VALIDATION:
        note = (
            f"no validation part: it would have {len(validation)} samples of kind {kinds}, fewer than "
            f"{MIN_VALIDATION}; trained for {settings.max_epochs} epochs without early stopping"
        )
        validation = validation[:0]
    return TrainingParts(
        training=training,
        validation=validation,
        metrics={
            "train": split.train[~dropped[split.train]],
            "validation": split.validation[~dropped[split.validation]],
            "test": split.test,
        },
        n_samples=int(sum(of_kind[part].sum() for part in (split.train, split.validation, split.test))),
        n_test=int(of_kind[split.test].sum()),
        n_dropped={"max_dos": int(over_dos.sum()), "max_abs_formation_energy": int(over_energy.sum())},
        dropped_ids=[dataset.ids[place] for place in np.flatnonzero(dropped)[:_LISTED]],
        note=note,
    )


def _over_limits(
    dataset: Dataset, indices: NDArray[np.intp], settings: TrainingSettings
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which samples exceed the limits of DOS and of energy (samples that exceed both count as the former)."""
    over_dos = np.zeros(len(dataset), dtype=bool)
    over_energy = np.zeros(len(dataset), dtype=bool)
    if settings.max_dos is not None and not _already_below(dataset, settings.max_dos):
        start = 0
        for block in dataset.blocks(indices):
            over_dos[indices[start : start + len(block)]] = np.abs(block).max(axis=(1, 2, 3)) > settings.max_dos
            start += len(block)
    if settings.max_abs_formation_energy is not None:
        over_energy[indices] = np.abs(dataset.energies[indices]) > settings.max_abs_formation_energy
    return over_dos, over_energy & ~over_dos


def _already_below(dataset: Dataset, max_dos: float) -> bool:
    """Whether the data set was already written with this or a stricter filter, so that no densities need be read."""
    written = dataset.manifest.filters["max_dos"]
    return written is not None and written <= max_dos
