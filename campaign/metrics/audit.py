"""Estimate, from a live campaign's audit, of the stable materials that the policy missed.

All promoted candidates are relaxed, so those found (TP) are counted. Of the N not promoted a random sample of n is
relaxed too, k of which are stable: from this the missed ones (FN) are estimated, with an interval that is exact for a
finite population.
"""

import math
from bisect import bisect_left
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from scipy.stats import hypergeom

from campaign.metrics.metrics import discoverability, finite_or_none, ratio


@dataclass(frozen=True, kw_only=True)
class AuditCounts:
    """Counts of the promoted candidates and the audit sample.

    A permanently failed relaxation has no E_f(DFT), so it counts as ended and not stable. One that is still open is
    counted as neither.

    Attributes
    ----------
    stable
        Promoted and found stable (TP).
    promoted_ended
        Promoted, relaxation ended, including failures.
    promoted_failed
        Failures among these.
    promoted_open
        Promoted, relaxation not ended.
    not_promoted
        Decided on and not promoted (N), including the audit sample.
    audited
        Audited ones among these whose relaxation has ended, including failures (n).
    audit_stable
        Stable ones among the audited (k).
    audit_failed
        Failures among the audited.
    audit_open
        Drawn for the audit, not ended: still to come, or not allowed by the budget.
    known_stable, known_unstable
        Neither promoted nor drawn, but known: stable ones, and others. They were chosen by a person, so they say
        nothing about unknown ones, and only bound their number.
    """

    stable: int
    promoted_ended: int
    promoted_failed: int = 0
    promoted_open: int = 0
    not_promoted: int
    audited: int = 0
    audit_stable: int = 0
    audit_failed: int = 0
    audit_open: int = 0
    known_stable: int = 0
    known_unstable: int = 0

    def __post_init__(self) -> None:
        fits = (
            min(asdict(self).values()) >= 0
            and self.stable + self.promoted_failed <= self.promoted_ended
            and self.audit_stable + self.audit_failed <= self.audited
            and self.audited + self.audit_open + self.known <= self.not_promoted
        )
        if not fits:
            raise ValueError(f"counts of an audit that do not fit together: {self}")

    @property
    def known(self) -> int:
        """Number of candidates neither promoted nor drawn with a known relaxation."""
        return self.known_stable + self.known_unstable

    def within_known(self, missed: float) -> float:
        """Clip a number of stable materials that were not promoted to the bounds known for certain."""
        unstable = self.audited - self.audit_stable + self.known_unstable
        return min(max(missed, self.audit_stable + self.known_stable), self.not_promoted - unstable)


@dataclass(frozen=True, kw_only=True)
class DiscoverabilityEstimate:
    """Discoverability, TP / (TP + FN), estimated from an audit.

    Attributes
    ----------
    counts
        Counts that it is based on.
    confidence
        Nominal confidence of the intervals, their minimum coverage.
    expected_stable
        TP, assuming that open promoted ones are stable as often as ended ones; NaN if none has ended.
    missed
        Estimated number of stable materials that were not promoted (FN), N k / n; NaN without an audit.
    missed_interval
        Its interval, whole numbers. Open audits may turn out either way.
    discoverability
        Point estimate, `expected_stable` / (`expected_stable` + `missed`); NaN without an audit, or if nothing stable
        is known.
    interval
        Its interval. Open relaxations may turn out either way, so it is valid at any time; if possibly no stable
        material exists (0/0), its upper end is 1. NaN at both ends if certainly none exists.
    interval_as_ended
        The interval if open ones turn out like ended ones: narrower while some are open, but only as good as that
        assumption (cells that take long may differ from others). NaN until a promoted one has ended.
    """

    counts: AuditCounts
    confidence: float
    expected_stable: float
    missed: float
    missed_interval: tuple[int, int]
    discoverability: float
    interval: tuple[float, float]
    interval_as_ended: tuple[float, float]

    @property
    def is_exact(self) -> bool:
        """Whether the truth of every candidate not promoted is known, so that nothing is estimated."""
        return self.counts.audited + self.counts.known == self.counts.not_promoted and not self.counts.promoted_open

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types, with None for undefined or unknown numbers."""
        plain = asdict(self)
        for key in ("expected_stable", "missed", "discoverability"):
            plain[key] = finite_or_none(plain[key])
        for key in ("interval", "interval_as_ended"):
            plain[key] = [finite_or_none(value) for value in plain[key]]
        return {**plain, "missed_interval": list(self.missed_interval), "is_exact": self.is_exact}


def positives_interval(*, population: int, sample: int, positive: int, confidence: float = 0.95) -> tuple[int, int]:
    """Return an interval for the number of positives in a finite population, from a simple random sample.

    Parameters
    ----------
    population, sample
        N, and n of them drawn without replacement.
    positive
        Number of positives in the sample, k.
    confidence
        Nominal confidence.

    Returns
    -------
    tuple of int
        Smallest and largest K for which both P(X >= k) and P(X <= k) exceed (1 - confidence) / 2, X hypergeometric.
        It covers the true K with at least the nominal probability, for any K.

    Raises
    ------
    ValueError
        If the numbers are inconsistent.

    Notes
    -----
    The interval of C. J. Clopper and E. S. Pearson, Biometrika 26, 404 (1934), two one-sided tests inverted, with the
    hypergeometric in place of the binomial distribution: J. P. Buonaccorsi, Am. Stat. 41, 215 (1987). W. Wang, J. Am.
    Stat. Assoc. 110, 1491 (2015) shows that each end is the best one-sided limit, and that normal approximations may
    cover far less than they say.
    """
    if not 0 <= positive <= sample <= population:
        raise ValueError(f"expected 0 <= positive <= sample <= population, found {positive}, {sample}, {population}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence: expected a number between 0 and 1, found {confidence}")

    tail = (1.0 - confidence) / 2.0
    least, most = positive, population - (sample - positive)

    def enough(total: int) -> bool:
        """Whether k positives or more are likely enough with `total` in the population; true from some total on."""
        return bool(hypergeom.sf(positive - 1, population, total, sample) > tail)

    def too_many(total: int) -> bool:
        """Whether k positives or fewer are too unlikely; true from some total on."""
        return bool(hypergeom.cdf(positive, population, total, sample) <= tail)

    # k out of n is likely enough in a population like the sample, so neither search can fail
    lowest = least + bisect_left(range(least, most), True, key=enough)
    return lowest, least + bisect_left(range(least, most + 1), True, key=too_many) - 1


def estimate_discoverability(counts: AuditCounts, *, confidence: float = 0.95) -> DiscoverabilityEstimate:
    """Estimate discoverability from an audit, a random sample of all candidates not promoted.

    Notes
    -----
    TP is known and TP / (TP + FN) falls as FN grows, so an interval for FN (`positives_interval`) is one for the
    discoverability with the same coverage. Open audits widen it to the values for none or all of them being stable;
    open promoted ones likewise. Without an audit it is [TP / (TP + N), 1]; with everything audited it is a point.
    """
    interval = partial(positives_interval, population=counts.not_promoted, confidence=confidence)
    drawn = counts.audited + counts.audit_open
    lowest, _ = interval(sample=drawn, positive=counts.audit_stable)
    _, highest = interval(sample=drawn, positive=counts.audit_stable + counts.audit_open)
    # excluding impossible totals loses no coverage
    lowest, highest = (int(counts.within_known(end)) for end in (lowest, highest))
    ended = tuple(
        int(counts.within_known(end)) for end in interval(sample=counts.audited, positive=counts.audit_stable)
    )
    expected = float(counts.stable)
    if counts.promoted_open:
        expected += counts.promoted_open * float(ratio(counts.stable, counts.promoted_ended))
    missed = 0.0
    if counts.not_promoted:
        share = float(ratio(counts.audit_stable, counts.audited))
        # without a sample nothing is estimated unless all of them are known
        unknown = math.isnan(share) and counts.known < counts.not_promoted
        missed = math.nan if unknown else counts.within_known(0.0 if math.isnan(share) else counts.not_promoted * share)
    return DiscoverabilityEstimate(
        counts=counts,
        confidence=confidence,
        expected_stable=expected,
        missed=missed,
        missed_interval=(lowest, highest),
        discoverability=float(discoverability(expected, missed)),
        interval=_interval(counts.stable, counts.stable + counts.promoted_open, lowest, highest),
        interval_as_ended=_interval(expected, expected, *ended),
    )


def _interval(fewest: float, most: float, missed_least: int, missed_most: int) -> tuple[float, float]:
    """Return the ends of TP / (TP + FN) for TP from `fewest` to `most` and FN from `missed_least` to `missed_most`."""
    if most + missed_most == 0:
        return math.nan, math.nan
    low = float(discoverability(fewest, missed_most)) if fewest + missed_most else 0.0
    # without any stable material discoverability is undefined, so nothing above is excluded
    high = float(discoverability(most, missed_least)) if most + missed_least else 1.0
    return low, high
