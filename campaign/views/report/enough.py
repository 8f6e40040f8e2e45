"""Reasons for omitting figures and numbers of the report: too few results, or none."""

from campaign.metrics.enough import FEWEST_FOR_COVERAGE, too_few, too_few_for_share, too_few_for_thresholds
from campaign.views.report.data import ReportData

NOTHING_STABLE = "No candidate that was decided on is relaxed and stable yet, so thresholds cannot be compared."


def thresholds_missing(data: ReportData) -> str | None:
    """Return why thresholds cannot be compared, or None if they can."""
    if data.thresholds is None:
        return NOTHING_STABLE
    return _sentence(too_few_for_thresholds(data.thresholds.sweep.n_relaxed, data.thresholds.sweep.sweep.n_stable))


def success_ratio_missing(data: ReportData) -> str | None:
    """Return why the campaign's success ratio is not meaningful, or None if it is."""
    estimate = data.metrics.estimate
    if estimate is None or not (known := estimate.counts.promoted_ended - estimate.counts.promoted_failed):
        return "No promoted candidate is relaxed yet: there is nothing to measure."
    return _sentence(too_few_for_share(known, "relaxed candidates that were promoted"))


def errors_missing(data: ReportData) -> str | None:
    """Return why the mean error of the predictions is not meaningful, or None if it is."""
    if data.parity is None:
        return "No candidate with a prediction is relaxed yet."
    return _sentence(too_few_for_share(data.parity.metrics.n, "relaxed candidates with a prediction"))


def coverage_missing(data: ReportData) -> str | None:
    """Return why the coverage of the uncertainties is not meaningful, or None if it is."""
    if data.calibration is None:
        return "No relaxed candidate has a prediction with an uncertainty."
    n_samples = data.calibration.curve.n_samples
    return _sentence(too_few((n_samples, FEWEST_FOR_COVERAGE, "relaxed candidates with an uncertainty")))


def saving_missing(data: ReportData) -> str | None:
    """Return why the saving is not meaningful (too few relaxation costs), or None if it is."""
    return _sentence(too_few_for_share(data.metrics.costs.n_relaxations, "relaxations with a known cost"))


def _sentence(words: str | None) -> str | None:
    return None if words is None else f"{words[0].upper()}{words[1:]}."
