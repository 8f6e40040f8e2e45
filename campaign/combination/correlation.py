"""Correlation of the errors of several scorers, estimated from a campaign's relaxations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

LEAST_RELAXED = 20
"""Smallest number of relaxed candidates for an estimate."""
ASSUMED_CORRELATION = 0.5
"""Correlation of each pair of scorers before that: candidates that are hard for one are often hard for the other."""


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Correlation of the errors of scorers.

    Attributes
    ----------
    scorers
        Names of the k scorers.
    matrix
        Correlation matrix, shape (k, k), 1 on the diagonal.
    n
        Number of relaxed candidates.
    """

    scorers: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    n: int

    @property
    def is_assumed(self) -> bool:
        """Whether there are too few relaxed candidates for an estimate."""
        return self.n < LEAST_RELAXED

    def of(self, chosen: Sequence[int]) -> list[list[float]]:
        """Return the part of the matrix for some of the scorers."""
        return [[self.matrix[row][column] for column in chosen] for row in chosen]

    def describe(self) -> str:
        """Return a short description."""
        pairs = [self.matrix[row][column] for row in range(len(self.matrix)) for column in range(row)]
        if self.is_assumed:
            return f"correlation of their errors {pairs[0]:.2f}, assumed: {self.n} relaxed of {LEAST_RELAXED} needed"
        least, most = (f"{value:.2f}" for value in (min(pairs), max(pairs)))
        return f"correlation of their errors {least if least == most else f'{least} to {most}'}, of {self.n} relaxed"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types for storage."""
        return {"scorers": list(self.scorers), "matrix": [list(row) for row in self.matrix], "n": self.n}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Create from the result of `to_dict`."""
        return cls(scorers=tuple(stored["scorers"]), matrix=tuple(map(tuple, stored["matrix"])), n=stored["n"])


def estimate_correlation(scorers: Sequence[str], errors: Sequence[Sequence[float]]) -> Correlation:
    """Estimate the correlation of the errors of scorers, if enough are known.

    This is Spearman's rank correlation, which is insensitive to single predictions off by many eV/atom (for normally
    distributed errors it is within 0.02 of Pearson's), shrunk towards `ASSUMED_CORRELATION` with the weight of
    `LEAST_RELAXED` candidates. The matrix is therefore always invertible.

    Parameters
    ----------
    scorers
        Names of the scorers.
    errors
        For each relaxed candidate, in any order, the error of each scorer divided by its standard deviation.
    """
    number = len(scorers)
    matrix = np.full((number, number), ASSUMED_CORRELATION)
    np.fill_diagonal(matrix, 1.0)
    if len(errors) >= LEAST_RELAXED:
        found = _ranks_correlation(np.asarray(errors, dtype=float))
        matrix = (len(errors) * found + LEAST_RELAXED * matrix) / (len(errors) + LEAST_RELAXED)
    return Correlation(
        scorers=tuple(scorers), matrix=tuple(tuple(float(value) for value in row) for row in matrix), n=len(errors)
    )


def _ranks_correlation(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    # imported on demand: takes a second
    from scipy.stats import rankdata

    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.corrcoef(rankdata(errors, axis=0), rowvar=False)
    # constant errors of a scorer are uncorrelated with everything
    found = np.asarray(np.nan_to_num(found, nan=0.0), dtype=np.float64)
    np.fill_diagonal(found, 1.0)
    return found
