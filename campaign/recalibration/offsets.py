"""Offsets of the elements, by scikit-learn's Bayesian ridge regression.

An error that comes from another energy scheme, from other reference energies or from an element that a scorer describes
badly is, to first order, the same for each atom of that element: ``E_f = E_f(ML) + sum_e x_e d_e`` per atom with the
atomic fractions ``x_e``. The offsets ``d_e`` have a normal prior about zero; its width and that of the noise
are found by maximum evidence, so few samples, or samples that show no pattern, give offsets near zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Degrees of freedom of Student's t, as which errors are taken: a potential that fails badly (a crystal that collapses,
#: many eV/atom) would else decide the offsets of its elements.
_FREEDOM = 8.0
#: Gamma priors of the two precisions, worth two samples each of the usual size of both, 0.1 eV/atom: without them the
#: evidence of ten samples of as many elements may be largest where the offsets explain every error exactly.
_PRIORS = {"alpha_1": 1.0, "alpha_2": 0.01, "lambda_1": 1.0, "lambda_2": 0.01}
_MOST_ROUNDS = 20
_CONVERGED_EV = 1e-6
#: Smallest standard deviation of the noise, eV/atom: that of energies which agree to all digits.
_LEAST_NOISE_EV = 1e-6


@dataclass(frozen=True, kw_only=True)
class Offsets:
    """Posterior of the elements' offsets.

    Attributes
    ----------
    elements
        Of k elements, the symbols, sorted.
    mean
        (k,) eV/atom.
    covariance
        (k, k) eV^2/atom^2.
    prior_variance
        Of an element that no sample had, eV^2/atom^2.
    """

    elements: tuple[str, ...]
    mean: Floats
    covariance: Floats
    prior_variance: float

    def shift(self, fractions: Mapping[str, float]) -> float:
        """What is added to a formation energy, eV/atom; an element that no sample had adds nothing."""
        return float(_row(fractions, self.elements) @ self.mean)

    def variance(self, fractions: Mapping[str, float]) -> float:
        """Variance of that, eV^2/atom^2; largest where an element was never seen."""
        row = _row(fractions, self.elements)
        unseen = sum(share**2 for symbol, share in fractions.items() if symbol not in self.elements)
        return max(float(row @ self.covariance @ row), 0.0) + unseen * self.prior_variance


def fit_offsets(fractions: Sequence[Mapping[str, float]], errors: Floats, weights: Floats) -> Offsets:
    """Fit the offsets of the elements.

    Parameters
    ----------
    fractions
        Atomic fractions by element, of n samples.
    errors
        (n,) calculated minus predicted formation energies, eV/atom.
    weights
        (n,) how many candidates each sample stands for.
    """
    # loaded when it is needed: it takes a second
    from sklearn.linear_model import BayesianRidge

    elements = tuple(sorted({symbol for each in fractions for symbol in each}))
    rows = np.array([_row(each, elements) for each in fractions])
    # the evidence counts samples: weights whose sum is their effective number, not the number of all candidates
    base = weights * weights.sum() / np.square(weights).sum()
    robust, previous = np.ones(len(errors)), np.full(len(elements), np.inf)
    for _ in range(_MOST_ROUNDS):
        # without an intercept: an element that no sample had must have no offset
        model = BayesianRidge(fit_intercept=False, max_iter=1000, tol=1e-8, **_PRIORS)
        model.fit(rows, errors, sample_weight=base * robust)
        if np.abs(model.coef_ - previous).max() < _CONVERGED_EV:
            break
        previous = model.coef_
        # expected square of what is left: an offset that has few samples explains them too well
        left = (errors - rows @ model.coef_) ** 2 + np.einsum("ij,jk,ik->i", rows, model.sigma_, rows)
        noise = max(float(np.average(robust * left, weights=base)), _LEAST_NOISE_EV**2)
        # Student's t as a mixture of normal distributions: how much each sample says, given how far off it is
        robust = (_FREEDOM + 1.0) / (_FREEDOM + left / noise)
    return Offsets(
        elements=elements, mean=model.coef_, covariance=model.sigma_, prior_variance=1.0 / float(model.lambda_)
    )


def _row(fractions: Mapping[str, float], elements: Sequence[str]) -> Floats:
    return np.array([fractions.get(symbol, 0.0) for symbol in elements])
