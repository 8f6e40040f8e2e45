"""How far the errors of several scorers go together, estimated on what a campaign has relaxed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

LEAST_RELAXED = 20
"""Relaxed candidates below which nothing is estimated."""
ASSUMED_CORRELATION = 0.5
"""Of each pair of scorers before that: what one of them finds hard is often hard for the other."""


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Correlation of the errors of scorers.

    Attributes
    ----------
    scorers
        Their names; k of them.
    matrix
        (k, k), 1 on the diagonal.
    n
        Relaxed candidates at hand.
    """

    scorers: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    n: int

    @property
    def is_assumed(self) -> bool:
        """Whether too few are relaxed to estimate it."""
        return self.n < LEAST_RELAXED

    def of(self, chosen: Sequence[int]) -> list[list[float]]:
        """Part of the matrix, for some of the scorers."""
        return [[self.matrix[row][column] for column in chosen] for row in chosen]

    def describe(self) -> str:
        """Say it in a few words."""
        pairs = [self.matrix[row][column] for row in range(len(self.matrix)) for column in range(row)]
        if self.is_assumed:
            return f"correlation of their errors {pairs[0]:.2f}, assumed: {self.n} relaxed of {LEAST_RELAXED} needed"
        least, most = (f"{value:.2f}" for value in (min(pairs), max(pairs)))
        return f"correlation of their errors {least if least == most else f'{least} to {most}'}, of {self.n} relaxed"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, to be stored."""
        return {"scorers": list(self.scorers), "matrix": [list(row) for row in self.matrix], "n": self.n}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned."""
        return cls(scorers=tuple(stored["scorers"]), matrix=tuple(map(tuple, stored["matrix"])), n=stored["n"])


def estimate_correlation(scorers: Sequence[str], errors: Sequence[Sequence[float]]) -> Correlation:
    """Estimate the correlation of the errors of scorers, if enough are known.

    Spearman's correlation of the ranks, which one prediction that fails by many eV/atom does not decide (for normally
    distributed errors it is within 0.02 of the usual one), drawn towards `ASSUMED_CORRELATION` as if that came from as
    many candidates as are needed at least. The matrix can therefore always be inverted.

    Parameters
    ----------
    scorers
        Their names.
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
    # loaded when it is needed: it takes a second
    from scipy.stats import rankdata

    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.corrcoef(rankdata(errors, axis=0), rowvar=False)
    # equal errors of a scorer are correlated with nothing
    found = np.asarray(np.nan_to_num(found, nan=0.0), dtype=np.float64)
    np.fill_diagonal(found, 1.0)
    return found
