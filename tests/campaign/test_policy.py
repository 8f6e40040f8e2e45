"""Decisions of the thresholds policy."""

import math

from hypothesis import given
from hypothesis import strategies as st

from campaign.decisions.policy import Prediction, Thresholds

energy = st.floats(-2.0, 2.0) | st.just(math.nan)


@given(pairs=st.lists(st.tuples(energy, energy), max_size=30))
def test_every_candidate_gets_one_decision_and_only_stable_predictions_are_promoted(pairs):
    predictions = [Prediction(candidate=f"c{n}", e_form=f, e_hull=h) for n, (f, h) in enumerate(pairs)]
    policy = Thresholds(max_formation_energy=-0.02, max_hull_energy=0.13)
    decisions = policy.decide(predictions)
    assert [decision.candidate for decision in decisions] == [prediction.candidate for prediction in predictions]
    for prediction, decision in zip(predictions, decisions, strict=True):
        assert decision.promoted == (prediction.e_form <= -0.02 and prediction.e_hull <= 0.13)
    ranks = sorted(decision.rank for decision in decisions if decision.rank is not None)
    assert ranks == sorted(set(ranks))


def test_a_candidate_without_prediction_is_never_promoted():
    missing = Prediction(candidate="c", e_form=math.nan, e_hull=math.nan)
    (decision,) = Thresholds(max_formation_energy=10.0, max_hull_energy=10.0).decide([missing])
    assert not decision.promoted
    assert decision.rank is None
    assert "missing" in decision.reason


def test_the_reason_names_both_thresholds_with_their_values():
    (decision,) = Thresholds().decide([Prediction(candidate="c", e_form=-0.5, e_hull=0.2)])
    assert decision.reason == "E_f(ML) = -0.500 <= -0.02 eV/atom; E_hull(ML) = 0.200 > 0.13 eV/atom"
