"""A data set with something taken away or another target: for ablations, and for the residual of a potential."""

import hashlib
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.dataset.dataset import Dataset

Inputs = Literal["both", "dos", "composition", "none"]


class AlteredDataset(Dataset):
    """The samples of a data set as a model sees them; what it does not see is zero everywhere.

    Parameters
    ----------
    inputs
        What is left of DOS and composition.
    energies
        (n,) other targets, eV/atom; None: the formation energies.
    """

    def __init__(
        self, dataset: Dataset, *, inputs: Inputs = "both", energies: NDArray[np.float64] | None = None
    ) -> None:
        columns = dataset._columns
        super().__init__(
            dataset.path, dataset.manifest, columns if energies is None else columns._replace(energies=energies)
        )
        self._inputs = inputs

    @property
    def checksum(self) -> str:
        """Of the samples as they are seen."""
        return hashlib.sha256(f"{super().checksum}{self._inputs}".encode() + self.energies.tobytes()).hexdigest()

    @cached_property
    def compositions(self) -> NDArray[np.float32]:
        """(n, 111), or zeros."""
        given = Dataset.compositions.func(self)  # type: ignore[attr-defined]
        return given if self._inputs in ("both", "composition") else np.zeros_like(given)

    def read(self, indices: ArrayLike) -> NDArray[np.float32]:
        """(k, 2, 1500, 9), or zeros."""
        given = super().read(indices)
        return given if self._inputs in ("both", "dos") else np.zeros_like(given)
