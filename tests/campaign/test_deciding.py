"""Decisions on many candidates at once: order, budget, audit sample."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.policies.allowance import RemainingBudget
from campaign.policies.base import Prediction
from campaign.policies.best_first import BestFirst
from campaign.policies.decide import audit_draw, decide
from campaign.policies.thresholds import Thresholds

energy = st.floats(-2.0, 2.0) | st.just(math.nan)
several = st.lists(st.tuples(energy, energy, st.floats(1.0, 500.0)), max_size=30).map(
    lambda rows: [Prediction(id=f"c{n}", e_form=f, e_hull=h, relax_cpu_s=cost) for n, (f, h, cost) in enumerate(rows)]
)
allowances = st.builds(
    RemainingBudget, cpu_s=st.none() | st.floats(0.0, 3000.0), relaxations=st.none() | st.integers(0, 20)
)


def row(number, *, cost=100.0, e_hull=0.0):
    return [
        Prediction(id=f"c{n}", e_form=e_hull + n / 1000, e_hull=e_hull + n / 1000, relax_cpu_s=cost)
        for n in range(number)
    ]


@given(predictions=several, allowance=allowances, audit=st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=200)
def test_every_candidate_gets_one_decision_and_no_budget_is_exceeded(predictions, allowance, audit):
    before = replace(allowance)
    decisions = decide(Thresholds(audit=audit), predictions, allowance=allowance)
    assert [decision.candidate for decision in decisions] == [prediction.id for prediction in predictions]
    assert allowance == before
    taken = [decision for decision in decisions if decision.relaxed]
    assert allowance.relaxations is None or len(taken) <= allowance.relaxations
    assert allowance.cpu_s is None or sum(decision.relax_cpu_s for decision in taken) <= allowance.cpu_s + 1e-6
    for prediction, decision in zip(predictions, decisions, strict=True):
        promising = prediction.e_form <= -0.02 and prediction.e_hull <= 0.13
        assert (decision.outcome == "rejected") == (not promising)
        assert not (decision.promoted and decision.audit)
    ranks = sorted(decision.rank for decision in decisions if decision.rank is not None)
    assert ranks == list(range(1, 1 + sum(prediction.is_known for prediction in predictions)))


@given(predictions=several, allowance=allowances, data=st.data())
def test_the_order_in_which_candidates_are_given_changes_nothing(predictions, allowance, data):
    policy = Thresholds(audit=0.5)
    decisions = {found.candidate: found for found in decide(policy, predictions, allowance=allowance, seed=3)}
    shuffled = data.draw(st.permutations(predictions))
    again = {found.candidate: found for found in decide(policy, shuffled, allowance=allowance, seed=3)}
    for name, found in decisions.items():
        assert again[name].outcome == found.outcome
        assert again[name].audit == found.audit


def test_the_best_are_promoted_until_the_budget_is_spent_and_the_rest_is_held():
    decisions = decide(BestFirst(cpu_hours=1.0), row(10), allowance=RemainingBudget(cpu_s=350.0))
    assert [decision.outcome for decision in decisions] == ["promoted"] * 3 + ["held"] * 7
    assert [decision.budget_after for decision in decisions[:4]] == [250.0, 150.0, 50.0, None]
    assert "left in the budget" in decisions[3].reason


def test_a_cheaper_one_does_not_overtake_a_better_one():
    predictions = [*row(2, cost=100.0), replace(row(3)[2], relax_cpu_s=1.0)]
    decisions = decide(BestFirst(cpu_hours=1.0), predictions, allowance=RemainingBudget(cpu_s=150.0))
    assert [decision.outcome for decision in decisions] == ["promoted", "held", "held"]


def test_the_audit_sample_has_its_share_of_the_budget_and_no_more():
    policy = BestFirst(cpu_hours=1.0, audit=0.2)
    decisions = decide(policy, row(200), allowance=RemainingBudget(cpu_s=5000.0), seed=1)
    promoted = [decision for decision in decisions if decision.promoted]
    audited = [decision for decision in decisions if decision.audit]
    assert (len(promoted), len(audited)) == (40, 10)
    assert all(decision.outcome == "held" for decision in audited)
    # those that the draw puts first, so that the sample stays a random one
    held = [decision.candidate for decision in decisions if decision.outcome == "held"]
    assert {decision.candidate for decision in audited} == set(sorted(held, key=lambda name: audit_draw(name, 1))[:10])


def test_an_audit_of_what_is_rejected_does_not_eat_the_budget_of_the_promising():
    predictions = [*row(10, e_hull=-1.0), *(replace(p, id=f"r{p.id}") for p in row(200, e_hull=1.0))]
    decisions = decide(Thresholds(audit=0.5), predictions, allowance=RemainingBudget(relaxations=12), seed=1)
    assert sum(decision.promoted for decision in decisions) == 6
    assert sum(decision.audit for decision in decisions) == 6


def test_audited_candidates_are_a_random_sample_of_the_rejected_and_stay_rejected():
    decisions = decide(Thresholds(audit=0.25), row(4000, e_hull=1.0), seed=7)
    audited = [decision for decision in decisions if decision.audit]
    assert {decision.outcome for decision in decisions} == {"rejected"}
    assert 850 < len(audited) < 1150
    # as many among the better half as among the worse one
    assert abs(sum(decision.rank <= 2000 for decision in audited) - len(audited) / 2) < 80
    assert "drawn for the audit" in audited[0].reason


def test_the_draw_does_not_depend_on_what_else_is_decided():
    alone = decide(Thresholds(audit=0.25), row(50, e_hull=1.0)[17:18], seed=7)
    among = decide(Thresholds(audit=0.25), row(50, e_hull=1.0), seed=7)
    assert alone[0].audit == among[17].audit


def test_after_a_stop_rule_nothing_is_relaxed_and_the_reason_says_why():
    decisions = decide(
        Thresholds(audit=0.5), row(20, e_hull=-1.0), allowance=RemainingBudget(closed="10 stable are found")
    )
    assert not any(decision.relaxed for decision in decisions)
    assert {decision.outcome for decision in decisions} == {"held"}
    assert decisions[0].reason.endswith("not audited: 10 stable are found") or "10 stable" in decisions[0].reason


@pytest.mark.parametrize("missing", [(math.nan, math.nan), (math.nan, 0.0), (-1.0, math.nan)])
def test_a_candidate_without_prediction_is_never_promoted(missing):
    prediction = Prediction(id="c", e_form=missing[0], e_hull=missing[1])
    (decision,) = decide(Thresholds(max_formation_energy=10.0, max_hull_energy=10.0), [prediction])
    assert decision.outcome == "rejected"
    assert decision.rank is None
    assert "missing" in decision.reason
