"""Offsets of the elements, by scikit-learn's Bayesian ridge regression.

An error due to another energy scheme, other reference energies or an element that a scorer describes badly is, to first
order, the same for each atom of that element: ``E_f = E_f(ML) + sum_e x_e d_e`` per atom with the atomic fractions
``x_e``. The offsets ``d_e`` have a normal prior about zero; its width and that of the noise maximise the evidence, so
few samples, or samples without a pattern, give offsets near zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Degrees of freedom of Student's t distribution of the errors; otherwise a potential's complete failure (a collapsed
#: crystal, many eV/atom) would dominate the offsets of its elements.
_FREEDOM = 8.0
#: Gamma priors of the two precisions, equivalent to two samples each of their usual size, 0.1 eV/atom: otherwise the
#: evidence of ten samples with as many elements may be largest if the offsets explain every error exactly.
_PRIORS = {"alpha_1": 1.0, "alpha_2": 0.01, "lambda_1": 1.0, "lambda_2": 0.01}
_MOST_ROUNDS = 20
_CONVERGED_EV = 1e-6
#: Smallest standard deviation of the noise, eV/atom, for energies that agree to all digits.
_LEAST_NOISE_EV = 1e-6


@dataclass(frozen=True, kw_only=True)
class Offsets:
    """Posterior of the elements' offsets.

    Attributes
    ----------
    elements
        Sorted symbols of the k elements.
    mean
        Mean offsets, eV/atom, shape (k,).
    covariance
        Their covariance, eV^2/atom^2, shape (k, k).
    prior_variance
        Variance for an element without samples, eV^2/atom^2.
    """

    elements: tuple[str, ...]
    mean: Floats
    covariance: Floats
    prior_variance: float

    def shift(self, fractions: Mapping[str, float]) -> float:
        """Return the offset of a formation energy, eV/atom; elements without samples contribute nothing."""
        return float(_row(fractions, self.elements) @ self.mean)

    def variance(self, fractions: Mapping[str, float]) -> float:
        """Return the variance of the offset, eV^2/atom^2; largest for unseen elements."""
        row = _row(fractions, self.elements)
        unseen = sum(share**2 for symbol, share in fractions.items() if symbol not in self.elements)
        return max(float(row @ self.covariance @ row), 0.0) + unseen * self.prior_variance


def fit_offsets(fractions: Sequence[Mapping[str, float]], errors: Floats, weights: Floats) -> Offsets:
    """Fit the offsets of the elements.

    Parameters
    ----------
    fractions
        Atomic fractions by element of n samples.
    errors
        Calculated minus predicted formation energies, eV/atom, shape (n,).
    weights
        Number of candidates that each sample represents, shape (n,).
    """
    # imported on demand: takes a second
    from sklearn.linear_model import BayesianRidge

    elements = tuple(sorted({symbol for each in fractions for symbol in each}))
    rows = np.array([_row(each, elements) for each in fractions])
    # the evidence counts samples, so the weights sum to their effective number, not to the number of all candidates
    base = weights * weights.sum() / np.square(weights).sum()
    robust, previous = np.ones(len(errors)), np.full(len(elements), np.inf)
    for _ in range(_MOST_ROUNDS):
        # no intercept, so that an element without samples has no offset
        model = BayesianRidge(fit_intercept=False, max_iter=1000, tol=1e-8, **_PRIORS)
        model.fit(rows, errors, sample_weight=base * robust)
        if np.abs(model.coef_ - previous).max() < _CONVERGED_EV:
            break
        previous = model.coef_
        # expected squared residual: an offset with few samples explains them too well
        left = (errors - rows @ model.coef_) ** 2 + np.einsum("ij,jk,ik->i", rows, model.sigma_, rows)
        noise = max(float(np.average(robust * left, weights=base)), _LEAST_NOISE_EV**2)
        # Student's t as a mixture of normal distributions: the weight of each sample given its residual
        robust = (_FREEDOM + 1.0) / (_FREEDOM + left / noise)
    return Offsets(
        elements=elements, mean=model.coef_, covariance=model.sigma_, prior_variance=1.0 / float(model.lambda_)
    )


def _row(fractions: Mapping[str, float], elements: Sequence[str]) -> Floats:
    return np.array([fractions.get(symbol, 0.0) for symbol in elements])
