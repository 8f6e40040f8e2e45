"""Success ratio, discoverability, costs and savings from what was promoted and what is stable."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.metrics.metrics import PUBLISHED_COSTS, Costs, metrics_of_counts, screening_metrics

decisions = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)


def test_the_published_campaign_saves_what_it_claims_and_less_with_its_dos_counted():
    found = metrics_of_counts(n_candidates=15318, n_promoted=2742, tp=926, fp=2742 - 926, costs=PUBLISHED_COSTS)
    assert found.saving_relaxations_only == pytest.approx(0.82, abs=0.005)
    assert found.saving == pytest.approx(0.786, abs=0.0005)
    assert found.success_ratio == pytest.approx(926 / 2742)
    assert found.ppcr == pytest.approx(2742 / 15318)
    # nobody relaxed the others: what was missed is unknown, not nought
    unknown = ("fn", "tn", "discoverability", "f1", "prevalence", "daf", "c_eff")
    assert all(math.isnan(getattr(found, name)) for name in unknown)
    assert all(found.to_dict()[name] is None for name in unknown)


def test_every_metric_of_a_small_case_by_hand():
    promoted = [True, True, True, False, False, False, False, False]
    stable = [True, True, False, True, False, False, False, False]
    found = screening_metrics(promoted, stable, costs=Costs(c_pre=10.0, c_opt=100.0), audited=[False] * 7 + [True])
    assert (found.tp, found.fp, found.fn, found.tn) == (2, 1, 1, 4)
    assert found.success_ratio == pytest.approx(2 / 3)
    assert found.discoverability == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.prevalence == pytest.approx(3 / 8)
    assert found.daf == pytest.approx((2 / 3) / (3 / 8))
    assert found.ppcr == pytest.approx(3 / 8)
    assert found.c_eff == pytest.approx((100 * 3 / 8 + 10) / (2 / 3))
    assert found.cpu_s_per_stable == pytest.approx((3 * 100 + 8 * 10) / 2)
    assert found.saving == pytest.approx(1 - (4 * 100 + 8 * 10) / 800)  # the audited one costs a relaxation too
    assert found.saving_relaxations_only == pytest.approx(5 / 8)


@given(decisions)
def test_undefined_ratios_are_neither_nought_nor_an_exception(rows):
    promoted, stable = [row[0] for row in rows], [row[1] for row in rows]
    found = screening_metrics(promoted, stable, costs=PUBLISHED_COSTS)
    assert math.isnan(found.success_ratio) == (not any(promoted))
    assert math.isnan(found.discoverability) == (not any(stable))
    assert math.isnan(found.f1) == (not any(promoted) and not any(stable))
    assert math.isnan(found.prevalence) == math.isnan(found.ppcr) == (not rows)
    assert math.isnan(found.daf) == (not any(promoted) or not any(stable))
    assert found.tp + found.fp + found.fn + found.tn == found.n_candidates == len(rows)
    json.dumps(found.to_dict(), allow_nan=False)
    if found.tp:
        assert found.cpu_s_per_stable == pytest.approx(found.c_eff / found.prevalence)
        assert found.f1 == pytest.approx(
            2 * found.success_ratio * found.discoverability / (found.success_ratio + found.discoverability)
        )


@pytest.mark.parametrize("missing", [None, math.nan, np.nan])
def test_a_missing_prediction_is_not_taken_as_promoted(missing):
    found = screening_metrics([True, missing, False], [True, True, False])
    assert (found.tp, found.fp, found.fn, found.tn) == (1, 0, 1, 1)


def test_a_missing_truth_is_refused_and_not_taken_as_unstable():
    with pytest.raises(ValueError, match="stable: 1 of 3 values are missing, the first at 2"):
        screening_metrics([True, False, False], [True, False, None])


def test_energies_handed_over_as_decisions_are_refused():
    with pytest.raises(ValueError, match=r"promoted: expected true or false, found -0\.3"):
        screening_metrics([-0.3, 0.1], [True, False])


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_candidates": 5, "n_promoted": 6, "tp": 1, "fp": 1},
        {"n_candidates": 5, "n_promoted": 2, "tp": 2, "fp": 1},
        {"n_candidates": 5, "n_promoted": 2, "tp": 1, "fp": 1, "fn": 4},
        {"n_candidates": 5, "n_promoted": 2, "tp": 1, "fp": 1, "n_audited": 4},
    ],
)
def test_counts_that_do_not_fit_together_are_refused(wrong):
    with pytest.raises(ValueError, match=r"fit together|false negatives"):
        metrics_of_counts(**wrong)
