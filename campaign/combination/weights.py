"""Minimum-variance weighted mean of several predictions of one number.

J. M. Bates and C. W. J. Granger, "The Combination of Forecasts", Operational Research Quarterly 20, 451 (1969),
generalised to more than two.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

MOST_MEMBERS = 6
"""Largest number of predictions, since their subsets are tried one by one."""
#: Lower bound of a standard deviation, eV/atom, so that no member outweighs all others forever.
_LEAST_DEVIATION_EV = 1e-6


class Combined(NamedTuple):
    """A weighted mean of predictions.

    Attributes
    ----------
    mean, deviation
        Mean and its standard deviation, in the unit of the predictions.
    weights
        Non-negative weights of the predictions in order, with sum 1.
    """

    mean: float
    deviation: float
    weights: tuple[float, ...]


def combine(
    means: Sequence[float], deviations: Sequence[float], correlation: Sequence[Sequence[float]] | float
) -> Combined:
    """Combine predictions of one number to the weighted mean of least variance with non-negative weights.

    With the covariance C of the errors, C_ij = r_ij s_i s_j, the weights C^-1 1 / (1' C^-1 1) have the least variance
    among those with sum 1. If the correlation exceeds the ratio of two standard deviations, the worse prediction would
    get a negative weight, and an uncertain correlation would place the mean outside both; such a prediction gets weight
    0. The variance is therefore never larger than that of the best prediction.

    Parameters
    ----------
    means
        At least one and at most `MOST_MEMBERS` predictions, e.g. in eV/atom.
    deviations
        Standard deviations of their errors, in the same unit, at least 0.
    correlation
        Correlation of the errors: a matrix, or one number for all pairs.

    Examples
    --------
    >>> combine([-0.10, 0.10], [0.1, 0.2], 0.0).weights
    (0.8, 0.2)
    >>> combine([-0.10, 0.10], [0.1, 0.2], 0.5).weights
    (1.0, 0.0)
    """
    known, sigma = np.asarray(means, dtype=float), np.maximum(np.asarray(deviations, dtype=float), _LEAST_DEVIATION_EV)
    number = len(known)
    if not 1 <= number <= MOST_MEMBERS:
        raise ValueError(f"found {number} predictions; right: 1 to {MOST_MEMBERS}")
    matrix = np.array(correlation, dtype=float) * np.ones((number, number))
    np.fill_diagonal(matrix, 1.0)
    covariance = matrix * np.outer(sigma, sigma)
    best = np.zeros(number)
    best[np.argmin(sigma)] = 1.0
    least = float(sigma.min() ** 2)
    for size in range(2, number + 1):
        for chosen in combinations(range(number), size):
            part = covariance[np.ix_(chosen, chosen)]
            try:
                found = np.linalg.solve(part, np.ones(size))
            except np.linalg.LinAlgError:
                continue  # identical predictions: each is also tried alone
            found = found / found.sum()
            variance = float(found @ part @ found)
            if np.all(found >= 0.0) and 0.0 <= variance < least:
                best, least = np.zeros(number), variance
                best[list(chosen)] = found
    weights = tuple(float(weight) for weight in best)
    return Combined(float(best @ known), float(np.sqrt(least)), weights)
