"""Training, validation and test samples shared by all models of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from esnet.baselines.classical import Table
from esnet.baselines.moment_features import MomentScaler, moments_of
from esnet.baselines.settings import BenchmarkError, BenchmarkSettings
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import Split, split_dataset
from esnet.representation.moments import Moments
from esnet.training.split_selection import MIN_TRAINING, MIN_VALIDATION, Kinds


@dataclass(frozen=True, eq=False)
class BenchmarkData:
    """A data set divided into training, validation and test samples.

    Attributes
    ----------
    dataset
        The data set, which provides the densities.
    split
        The split, without the samples that have no Fermi level.
    training, validation
        Indices of samples of the kinds trained on.
    test
        Indices of samples of both kinds: RS-DOS for RS2RE, IS-DOS for IS2RE.
    n_without_fermi_level
        Number of samples left out of all parts, for all models, because their filling and centre are undefined.
    notes
        Notes for readers of the table.
    """

    dataset: Dataset
    split: Split
    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    n_without_fermi_level: int
    notes: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset, settings: BenchmarkSettings) -> BenchmarkData:
        """Divide a data set as the settings ask.

        Raises
        ------
        BenchmarkError
            If a part has too few samples of the requested kinds.
        SplitError
            If the data set cannot be divided in this way.
        """
        whole = split_dataset(
            dataset,
            by=settings.split_by,
            seed=settings.seed,
            validation_fraction=settings.validation_fraction,
            test_fraction=settings.test_fraction,
        )
        unknown = np.isnan(dataset.efermi)
        split = whole.without(dataset, unknown, why="they have no Fermi level, so their moments are not defined")
        data = cls.divided(
            dataset,
            split,
            train_kinds=settings.train_kinds,
            n_without_fermi_level=int(unknown.sum()),
            notes=_notes(dataset, split),
        )
        data._check(settings)
        return data

    @classmethod
    def divided(
        cls,
        dataset: Dataset,
        split: Split,
        *,
        train_kinds: Kinds,
        n_without_fermi_level: int = 0,
        notes: tuple[str, ...] = (),
    ) -> BenchmarkData:
        """Return the parts of a split; training and validation are restricted to the kinds to train on."""
        chosen = np.array([train_kinds in ("both", kind) for kind in dataset.kinds], dtype=bool)
        return cls(
            dataset=dataset,
            split=split,
            training=split.train[chosen[split.train]],
            validation=split.validation[chosen[split.validation]],
            test=split.test,
            n_without_fermi_level=n_without_fermi_level,
            notes=notes,
        )

    def _check(self, settings: BenchmarkSettings) -> None:
        without = (
            f" ({self.n_without_fermi_level} of {len(self.dataset)} samples have no Fermi level and are left out)"
            if self.n_without_fermi_level
            else ""
        )
        for name, indices, least in (
            ("training", self.training, MIN_TRAINING),
            ("validation", self.validation, MIN_VALIDATION),
            ("test", self.test, 1),
        ):
            if len(indices) < least:
                kind = "any kind" if name == "test" else f"kind {settings.train_kinds}"
                raise BenchmarkError(
                    f"{self.dataset.path}: the {name} part has {len(indices)} samples of {kind}, at least {least} are "
                    f"needed{without}; other train_kinds or fractions, or more data"
                )

    @property
    def n_samples(self) -> int:
        """Number of samples in all parts."""
        return len(self.training) + len(self.validation) + len(self.test)

    @cached_property
    def _moments(self) -> tuple[NDArray[np.intp], Moments]:
        """Indices in ascending order, and their moments; computed once."""
        indices = np.unique(np.concatenate([self.training, self.validation, self.test]))
        return indices, moments_of(self.dataset, indices)

    @cached_property
    def moment_scaler(self) -> MomentScaler:
        """Scaler fitted to the training part only."""
        return MomentScaler.fit(self._moments_at(self.training))

    def table(self, indices: NDArray[np.intp]) -> Table:
        """Return the moment features and energies of samples in the three parts."""
        features = self.moment_scaler.features(self._moments_at(indices), self.dataset.compositions[indices])
        return Table(features, self.dataset.energies[indices])

    def _moments_at(self, indices: NDArray[np.intp]) -> Moments:
        known, moments = self._moments
        rows = np.searchsorted(known, indices)
        return Moments(moments.values[rows], moments.mask[rows])


def _notes(dataset: Dataset, split: Split) -> tuple[str, ...]:
    notes = list(split.notes)
    tested = np.asarray(dataset.kinds)[split.test]
    notes += [
        f"the test part has no {name}: no errors for {task}"
        for kind, name, task in (("rs_dos", "RS-DOS", "RS2RE"), ("is_dos", "IS-DOS", "IS2RE"))
        if not (tested == kind).any()
    ]
    return tuple(notes)
