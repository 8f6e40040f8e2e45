"""The policy that weighs the probability of being stable against the cost of finding out, and explores."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.policies.allowance import RemainingBudget
from campaign.policies.base import Prediction
from campaign.policies.decide import decide
from campaign.policies.expected_yield import ExpectedYield
from campaign.policies.probability import Probability
from campaign.spec.policy_text import PolicyTextError, parse_policy

energy = st.floats(-1.0, 1.0)
predictions = st.lists(
    st.builds(
        dict,
        e_form=energy,
        e_hull=energy,
        uncertainty=st.none() | st.floats(0.01, 0.5),
        relax_cpu_s=st.floats(1.0, 1e5),
    ),
    min_size=1,
    max_size=30,
).map(lambda rows: [Prediction(id=f"c{place}", **row) for place, row in enumerate(rows)])


def one(name="c", e_form=-0.1, **more):
    return Prediction(id=name, e_form=e_form, e_hull=e_form, **({"uncertainty": 0.2, "relax_cpu_s": 3600.0} | more))


def order(policy, candidates):
    return [found.id for found in sorted(candidates, key=lambda each: (policy.priority(each), each.id))]


@given(candidates=predictions, factor=st.sampled_from([0.25, 0.5, 2.0, 1024.0]), explore=st.sampled_from([0.0, 0.5]))
def test_a_common_factor_of_all_costs_changes_no_order(candidates, factor, explore):
    policy = ExpectedYield(explore=explore)
    dearer = [replace(found, relax_cpu_s=factor * found.relax_cpu_s) for found in candidates]
    assert order(policy, dearer) == order(policy, candidates)


@given(candidates=predictions)
def test_without_exploration_the_order_is_that_of_probability_over_cost(candidates):
    by_id = {found.id: found for found in candidates}
    ranked = [by_id[name] for name in order(ExpectedYield(), candidates)]
    found = [Probability().probability(each) for each in ranked]
    value = [-1.0 if p is None else p / each.relax_cpu_s for p, each in zip(found, ranked, strict=True)]
    for first, second in pairwise(value):
        assert first >= second or math.isclose(first, second, rel_tol=1e-12, abs_tol=1e-300)


@given(candidates=predictions, explore=st.floats(0.0, 1.0), seed=st.integers(0, 3), order_seed=st.randoms())
def test_decisions_depend_on_id_and_seed_alone_whatever_the_order(candidates, explore, seed, order_seed):
    policy = ExpectedYield(explore=explore, seed=seed, min_yield=0.1)
    mixed = list(candidates)
    order_seed.shuffle(mixed)
    allowance = RemainingBudget(cpu_s=1e5)
    first = {found.candidate: found for found in decide(policy, candidates, allowance=allowance)}
    assert {found.candidate: found for found in decide(policy, mixed, allowance=allowance)} == first


def test_a_cheap_candidate_comes_before_a_likelier_one_that_costs_more_than_it_is_likelier():
    likely, cheap = one("likely", -0.3, relax_cpu_s=7200.0), one("cheap", -0.1, relax_cpu_s=3600.0)
    assert Probability().priority(likely) < Probability().priority(cheap)
    assert order(ExpectedYield(), [likely, cheap]) == ["cheap", "likely"]


def test_nothing_is_promoted_below_the_least_yield_and_the_reason_has_the_numbers():
    dear = one(relax_cpu_s=36000.0)  # P(stable) = 0.691 in 10 CPU-hours
    promising, reason = ExpectedYield(min_yield=0.1).verdict(dear)
    assert not promising
    assert reason == (
        "0.0691 < 0.1 stable per CPU-hour: P(stable) = 0.691 in 10 CPU-hours, from E_f(ML) = -0.100, "
        "E_hull(ML) = -0.100, deviation 0.200"
    )
    assert ExpectedYield(min_yield=0.05).verdict(dear).promising
    assert "no uncertainty" in ExpectedYield().verdict(one(uncertainty=None)).reason
    assert ExpectedYield(uncertainty=0.2).verdict(one(uncertainty=None)).promising


def test_the_explored_share_counts_as_stable_as_often_as_it_is_expected_to_be():
    policy, half = ExpectedYield(explore=0.5, min_yield=0.9), one().uncertainty
    candidates = [one(f"c{place}", 0.1, uncertainty=half) for place in range(4000)]  # P(stable) = 0.309
    explored = {found.id for found in candidates if policy.explored(found)}
    assert len(explored) / len(candidates) == pytest.approx(0.5 * 0.3085, abs=0.02)
    promoted = {found.candidate for found in decide(policy, candidates) if found.promoted}
    assert promoted == explored
    assert "explored" in policy.verdict(next(each for each in candidates if each.id in explored)).reason
    other = {found.id for found in candidates if policy.reseeded(2).explored(found)}
    assert policy.reseeded(1) == policy
    assert other != explored
    assert len(other & explored) / len(candidates) == pytest.approx((0.5 * 0.3085) ** 2, abs=0.02)


@given(candidates=predictions, explore=st.floats(0.0, 1.0))
def test_exploring_promotes_no_fewer(candidates, explore):
    plain = {found.candidate for found in decide(ExpectedYield(min_yield=0.2), candidates) if found.promoted}
    more = {
        found.candidate for found in decide(ExpectedYield(min_yield=0.2, explore=explore), candidates) if found.promoted
    }
    assert plain <= more


def test_its_hours_limit_the_relaxations_and_a_candidate_that_is_paid_for_keeps_its_place():
    assert ExpectedYield().relaxation_cpu_hours() is None
    assert parse_policy("expected_yield:cpu_hours=12").relaxation_cpu_hours() == 12.0
    first, paid, last = one("first", -0.3), one("paid", -0.2, is_paid=True), one("last", -0.1)
    decisions = decide(ExpectedYield(), [last, paid, first], allowance=RemainingBudget(cpu_s=3600.0))
    assert [(found.outcome, found.rank, found.relax_cpu_s) for found in decisions] == [
        ("held", 3, 3600.0),
        ("promoted", 2, 0.0),
        ("promoted", 1, 3600.0),
    ]
    with pytest.raises(PolicyTextError, match="min_yield"):
        parse_policy("expected_yield:min_yield=-1")
    with pytest.raises(PolicyTextError, match="explore"):
        parse_policy("expected_yield:explore=1.5")


def test_a_cost_of_nothing_is_an_endless_yield():
    assert ExpectedYield().stable_per_cpu_hour(one(relax_cpu_s=0.0)) == math.inf
    never = one(e_form=19.0, uncertainty=0.01, relax_cpu_s=0.0)
    assert ExpectedYield().stable_per_cpu_hour(never) == 0.0
