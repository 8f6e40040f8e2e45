"""What an audit says of the stable materials that were not promoted."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.metrics.audit import AuditCounts, estimate_discoverability, positives_interval


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize(("population", "sample"), [(12, 5), (40, 10), (150, 15), (30, 29)])
def test_the_interval_covers_every_possible_truth_as_often_as_it_says(population, sample, confidence):
    """Summed over all outcomes, not simulated: the coverage itself is computed."""
    from scipy.stats import hypergeom

    intervals = [
        positives_interval(population=population, sample=sample, positive=k, confidence=confidence)
        for k in range(sample + 1)
    ]
    for total in range(population + 1):
        covered = [k for k, (low, high) in enumerate(intervals) if low <= total <= high]
        assert hypergeom.pmf(covered, population, total, sample).sum() >= confidence - 1e-12


@given(st.integers(1, 400), st.data())
def test_each_end_of_the_interval_is_the_last_total_that_is_not_excluded(population, data):
    from scipy.stats import hypergeom

    sample = data.draw(st.integers(0, population))
    positive = data.draw(st.integers(0, sample))
    low, high = positives_interval(population=population, sample=sample, positive=positive)
    totals = np.arange(population + 1)
    enough = hypergeom.sf(positive - 1, population, totals, sample) > 0.025
    few_enough = hypergeom.cdf(positive, population, totals, sample) > 0.025
    assert [low, high] == [totals[enough].min(), totals[few_enough].max()]
    assert positive <= low <= high <= population - (sample - positive)


def test_a_large_population_gives_the_interval_of_clopper_and_pearson():
    from scipy.stats import binomtest

    low, high = positives_interval(population=10_000_000, sample=200, positive=7)
    exact = binomtest(7, 200).proportion_ci(method="exact")
    assert (low / 1e7, high / 1e7) == pytest.approx((exact.low, exact.high), rel=1e-3)


@pytest.mark.parametrize(("population", "sample", "positive"), [(5, 6, 0), (5, 3, 4), (5, 3, -1)])
def test_numbers_that_no_sample_has_are_refused(population, sample, positive):
    with pytest.raises(ValueError, match="expected 0 <= positive <= sample <= population"):
        positives_interval(population=population, sample=sample, positive=positive)


def test_without_an_audit_nothing_but_the_bounds_is_claimed():
    found = estimate_discoverability(AuditCounts(stable=30, promoted_ended=100, not_promoted=970))
    assert math.isnan(found.discoverability)
    assert found.interval == pytest.approx((30 / 1000, 1.0))
    assert found.to_dict()["discoverability"] is None
    assert not found.is_exact


def test_with_everything_audited_the_discoverability_is_exact():
    counts = AuditCounts(stable=30, promoted_ended=100, not_promoted=900, audited=900, audit_stable=10)
    found = estimate_discoverability(counts)
    assert found.is_exact
    assert found.missed_interval == (10, 10)
    assert found.interval == (found.discoverability, found.discoverability) == (0.75, 0.75)


def test_everything_promoted_leaves_nothing_to_miss():
    found = estimate_discoverability(AuditCounts(stable=30, promoted_ended=100, not_promoted=0))
    assert (found.discoverability, found.interval, found.is_exact) == (1.0, (1.0, 1.0), True)


def test_nothing_found_is_a_discoverability_of_nought_only_if_something_was_missed():
    nothing = {"stable": 0, "promoted_ended": 50, "not_promoted": 1000}
    missed = estimate_discoverability(AuditCounts(**nothing, audited=100, audit_stable=4))
    assert (missed.discoverability, missed.interval) == (0.0, (0.0, 0.0))
    unknown = estimate_discoverability(AuditCounts(**nothing, audited=100))
    assert math.isnan(unknown.discoverability)  # perhaps there is no stable material at all
    assert unknown.interval == (0.0, 1.0)
    none = estimate_discoverability(AuditCounts(**nothing, audited=1000))
    assert none.to_dict()["interval"] == [None, None]


def test_the_estimate_scales_the_sample_up_and_lies_in_its_interval():
    counts = AuditCounts(stable=926, promoted_ended=2742, not_promoted=12576, audited=600, audit_stable=10)
    found = estimate_discoverability(counts)
    assert found.missed == pytest.approx(209.6)
    assert found.discoverability == pytest.approx(926 / (926 + 209.6))
    assert found.interval[0] < found.discoverability < found.interval[1]
    assert found.interval == found.interval_as_ended
    assert estimate_discoverability(counts, confidence=0.5).interval[0] > found.interval[0]
    json.dumps(found.to_dict(), allow_nan=False)


@given(st.data())
@settings(max_examples=150)
def test_whatever_the_open_relaxations_turn_out_to_be_the_interval_holds_what_it_will_then_be(data):
    counts = data.draw(open_counts())
    now = estimate_discoverability(counts)
    stable, audit_stable = (data.draw(st.integers(0, n)) for n in (counts.promoted_open, counts.audit_open))
    later = estimate_discoverability(
        AuditCounts(
            stable=counts.stable + stable,
            promoted_ended=counts.promoted_ended + counts.promoted_open,
            not_promoted=counts.not_promoted,
            audited=counts.audited + counts.audit_open,
            audit_stable=counts.audit_stable + audit_stable,
        )
    )
    if math.isnan(later.interval[0]):
        return
    assert now.interval[0] <= later.interval[0]
    assert later.interval[1] <= now.interval[1]


@st.composite
def open_counts(draw):
    stable, unstable, promoted_open, audit_stable, audit_unstable, audit_open, rest = (
        draw(st.integers(0, 12)) for _ in range(7)
    )
    return AuditCounts(
        stable=stable,
        promoted_ended=stable + unstable,
        promoted_open=promoted_open,
        not_promoted=audit_stable + audit_unstable + audit_open + rest,
        audited=audit_stable + audit_unstable,
        audit_stable=audit_stable,
        audit_open=audit_open,
    )


def test_a_failed_relaxation_is_an_ended_one_that_found_nothing():
    counts = {"stable": 30, "promoted_ended": 100, "not_promoted": 970, "audited": 100, "audit_stable": 2}
    plain = estimate_discoverability(AuditCounts(**counts))
    failed = estimate_discoverability(AuditCounts(**counts, promoted_failed=5, audit_failed=7))
    assert failed.interval == plain.interval
    assert failed.counts.audit_failed == 7
    with pytest.raises(ValueError, match="do not fit together"):
        AuditCounts(**counts, audit_failed=99)
