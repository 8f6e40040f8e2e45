"""Fits of the correction of predictions, each validated on relaxations that it was not fitted to.

Pure: the same samples and seed give the same fit, in any order of the samples.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from campaign.recalibration.fit import LEAST_SCALE, Errors, Fit, Sample
from campaign.recalibration.offsets import Floats, Offsets, fit_offsets

LEAST_SAMPLES = 10
"""Smallest number of relaxations for a fit: five folds of two."""
_FOLDS = 5
#: Fraction of normally distributed values within one standard deviation of their mean.
_ONE_SIGMA = 0.6827


def fit_correction(samples: Sequence[Sample], *, seed: int = 0) -> Fit:
    """Fit offsets of the elements and the scale of the uncertainty; each is used only if it helps.

    Both are cross-validated. Offsets are used if they reduce the mean absolute error of held-out samples by more than
    the standard error of that gain, with whole chemical systems held out (the one-standard-error rule of Breiman et
    al., Classification and Regression Trees, 1984). The scale is used if it brings the fraction within one standard
    deviation closer to 68 %, or if the scorer gives no standard deviation and offsets are used.

    Parameters
    ----------
    samples
        Samples of distinct candidates, predicted by one scorer.
    seed
        Seed of the folds.
    """
    known = sorted(samples, key=lambda sample: sample.id)
    groups = _groups(known)
    fit = Fit(n=len(known), n_groups=len(set(groups)))
    if len(known) < LEAST_SAMPLES:
        reason = f"{len(known)} relaxed candidates that it can learn from; it needs at least {LEAST_SAMPLES}"
        return replace(fit, reason=reason)
    return _Trial(known, groups, seed).fit(fit)


def _groups(samples: Sequence[Sample]) -> list[str]:
    """Return the groups never split between folds: chemical systems if there are enough, otherwise candidates."""
    systems = [sample.group for sample in samples]
    return systems if len(set(systems)) >= _FOLDS else [sample.id for sample in samples]


class _Trial:
    """Samples, with predictions of each by fits that it was left out of."""

    def __init__(self, samples: Sequence[Sample], groups: Sequence[str], seed: int) -> None:
        # imported on demand: takes a second
        from sklearn.model_selection import GroupKFold

        self.fractions = [sample.fractions for sample in samples]
        self.weights = np.array([sample.weight for sample in samples])
        self.errors = np.array([sample.calculated - sample.predicted for sample in samples])
        self.deviations = np.array([sample.deviation for sample in samples])
        self.stated = np.array([sample.uncertainty is not None for sample in samples])
        self.groups = np.unique(groups, return_inverse=True)[1]
        splitter = GroupKFold(_FOLDS, shuffle=True, random_state=seed)
        self.folds: list[tuple[Any, Any]] = list(splitter.split(self.errors, groups=groups))
        self.shifts, self.variances = np.zeros(len(samples)), np.zeros(len(samples))
        for train, test in self.folds:
            offsets = self._offsets(train)
            self.shifts[test] = [offsets.shift(self.fractions[place]) for place in test]
            self.variances[test] = [offsets.variance(self.fractions[place]) for place in test]

    def _offsets(self, places: Any) -> Offsets:
        return fit_offsets([self.fractions[place] for place in places], self.errors[places], self.weights[places])

    def fit(self, empty: Fit) -> Fit:
        """Fit to all samples the parts that help with held-out ones."""
        everywhere = np.arange(len(self.errors))
        with_offsets = self._is_gain(np.abs(self.errors) - np.abs(self.errors - self.shifts))
        left = self.errors - self.shifts if with_offsets else self.errors
        doubt = self.variances if with_offsets else np.zeros(len(self.errors))
        has_deviations = bool(self.stated.any())
        # a scorer that gives deviations for some cannot tell for the others
        used = self.stated if has_deviations else np.ones(len(self.errors), dtype=bool)
        within = self._within(left, self.deviations**2 + doubt, used) if has_deviations else None
        scaled = self._scaled(left, doubt, used)
        rescaled = self._within(left, scaled, used)
        with_scale = with_offsets if within is None else abs(rescaled - _ONE_SIGMA) < abs(within - _ONE_SIGMA)
        before = self._errors(self.errors, self._within(self.errors, self.deviations**2, used), has_deviations)
        after = self._errors(left, rescaled if with_scale else within or 0.0, has_deviations or with_scale)
        fit = replace(
            empty,
            offsets=self._offsets(everywhere) if with_offsets else None,
            scale=self._scale(left, doubt, used, everywhere) if with_scale else None,
            before=before,
            after=after,
            folds=tuple(self._fold(test) for _, test in self.folds),
        )
        tried = self._errors(self.errors - self.shifts, 0.0, False)
        return replace(fit, reason=_reason(fit, tried))

    def _is_gain(self, gains: Floats) -> bool:
        """Whether the mean gain exceeds its standard error, allowing for correlation within groups."""
        mean = float(np.average(gains, weights=self.weights))
        of_groups = np.bincount(self.groups, weights=self.weights * (gains - mean))
        return mean > float(np.sqrt(np.sum(of_groups**2))) / float(np.sum(self.weights))

    def _scaled(self, left: Floats, doubt: Floats, used: Any) -> Floats:
        """Return the variances of held-out samples with the scale fitted to the others."""
        found = np.ones(len(left))
        for train, test in self.folds:
            found[test] = (self._scale(left, doubt, used, train) * self.deviations[test]) ** 2 + doubt[test]
        return found

    def _scale(self, left: Floats, doubt: Floats, used: Any, places: Any) -> float:
        """Return the scale that puts 68 % of these errors within one standard deviation, which is robust to
        outliers.
        """
        chosen = places[used[places]]
        if not len(chosen):
            return 1.0
        squares = (left[chosen] ** 2 - doubt[chosen]) / self.deviations[chosen] ** 2
        square = np.quantile(squares, _ONE_SIGMA, weights=self.weights[chosen], method="inverted_cdf")
        return float(np.sqrt(max(square, LEAST_SCALE**2)))

    def _within(self, left: Floats, variances: Floats, used: Any) -> float:
        return float(np.average(left[used] ** 2 <= variances[used], weights=self.weights[used]))

    def _mae(self, errors: Floats) -> float:
        return float(np.average(np.abs(errors), weights=self.weights))

    def _errors(self, errors: Floats, within: float, has_deviations: bool) -> Errors:
        median = float(np.quantile(np.abs(errors), 0.5, weights=self.weights, method="inverted_cdf"))
        return Errors(mae=self._mae(errors), median=median, within=within if has_deviations else None)

    def _fold(self, places: Any) -> dict[str, float]:
        weights, tried = self.weights[places], self.errors - self.shifts
        without, with_offsets = (float(np.average(np.abs(of[places]), weights=weights)) for of in (self.errors, tried))
        return {"n": len(places), "mae_without": without, "mae_with": with_offsets}  # eV/atom


def _reason(fit: Fit, tried: Errors) -> str:
    """Return which correction is used and why, with the errors of the held-out relaxations."""
    before, after = fit.before, fit.after
    if before is None or after is None:
        return fit.reason
    maes = f"mean error of held-out relaxations {before.mae:.3f} -> {tried.mae:.3f} eV/atom"
    if fit.offsets is None:
        said = f"no offsets of elements, no gain beyond chance: {maes}"
    else:
        number = len(fit.offsets.elements)
        said = f"offsets of {number} elements: {maes}, median {before.median:.3f} -> {after.median:.3f}"
    if fit.scale is None:
        return said if before.within is None else f"{said}; the uncertainty stays as it is"
    if before.within is None:
        return f"{said}; standard deviation {fit.scale:.3f} eV/atom where the scorer gives none"
    return f"{said}; uncertainty times {fit.scale:.2f}: {before.within:.0%} -> {after.within or 0.0:.0%} within it"
