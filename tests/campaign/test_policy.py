"""What each policy says of one candidate, and which policies a campaign file may name."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from installed_plugin import install
from scipy.stats import norm

from campaign.policies.base import Policy, Prediction, Verdict
from campaign.policies.best_first import BestFirst
from campaign.policies.decide import decide
from campaign.policies.probability import Probability
from campaign.policies.registry import UnknownPolicyError, make_policy
from campaign.policies.thresholds import Thresholds

energy = st.floats(-2.0, 2.0)


def prediction(e_form, e_hull, **more):
    return Prediction(id="c", e_form=e_form, e_hull=e_hull, **more)


@given(e_form=energy, e_hull=energy)
def test_thresholds_promote_only_where_both_energies_are_low_enough(e_form, e_hull):
    verdict = Thresholds(max_formation_energy=-0.02, max_hull_energy=0.13).verdict(prediction(e_form, e_hull))
    assert verdict.promising == (e_form <= -0.02 and e_hull <= 0.13)


def test_the_reason_names_both_thresholds_with_their_values():
    verdict = Thresholds().verdict(prediction(-0.5, 0.2))
    assert verdict.reason == "E_f(ML) = -0.500 <= -0.02 eV/atom; E_hull(ML) = 0.200 > 0.13 eV/atom"


@given(e_form=energy, e_hull=energy, deviation=st.floats(0.01, 1.0))
def test_the_probability_is_that_of_both_conditions_at_once(e_form, e_hull, deviation):
    policy = Probability(max_formation_energy=0.0, max_hull_energy=0.1)
    hull = e_form - e_hull  # formation energy of the hull: what is not random
    expected = norm.cdf(min(0.0, 0.1 + hull), loc=e_form, scale=deviation)
    assert policy.probability(prediction(e_form, e_hull, uncertainty=deviation)) == pytest.approx(expected, abs=1e-9)


def test_without_an_uncertainty_a_candidate_is_rejected_and_the_reason_says_so():
    verdict = Probability(p=0.01).verdict(prediction(-1.0, -1.0))
    assert not verdict.promising
    assert "no uncertainty" in verdict.reason
    assert Probability(p=0.01, uncertainty=0.2).verdict(prediction(-1.0, -1.0)).promising


def test_the_most_probable_comes_first_even_if_its_energy_is_higher():
    policy = Probability()
    sure, unsure = prediction(-0.2, -0.2, uncertainty=0.02), prediction(-0.3, -0.3, uncertainty=0.5)
    assert policy.priority(sure) < policy.priority(unsure)


def test_a_budget_policy_needs_its_hours():
    assert BestFirst(cpu_hours=2.0).relaxation_cpu_hours() == 2.0
    with pytest.raises(ValueError, match="cpu_hours"):
        make_policy({"kind": "best_first"})


@pytest.mark.parametrize(
    ("novel", "promising"), [("ignore", True), ("reject", False), ("promote", True), ("audit", False)]
)
def test_what_is_unlike_the_training_set_is_judged_as_the_user_says(novel, promising):
    policy = Thresholds(novel=novel, audit=0.1)
    for known in (False, None):
        assert policy.judge(prediction(-0.5, 0.0, novel=known)) == policy.verdict(prediction(-0.5, 0.0))
    found = policy.judge(prediction(-0.5, 0.0, novel=True))
    assert found.promising == promising
    assert found.reason.startswith("unlike what the model was trained on") == (novel != "ignore")
    (decision,) = decide(policy, [prediction(-0.5, 0.0, novel=True)])
    assert decision.promoted == promising
    assert Thresholds(novel=novel, audit=0.1).judge(prediction(0.5, 0.6, novel=True)).promising == (novel == "promote")


def test_novel_ones_are_audited_only_where_there_is_an_audit():
    with pytest.raises(ValueError, match="novel: audit with audit: 0"):
        Thresholds(novel="audit")


def test_an_unknown_policy_is_refused_with_those_that_there_are():
    with pytest.raises(UnknownPolicyError, match="right: one of thresholds, best_first, probability"):
        make_policy({"kind": "guess"})


class Lowest(Policy):
    """A policy as another package would bring it."""

    kind: str = "lowest"
    limit: float

    def verdict(self, prediction: Prediction) -> Verdict:
        return Verdict(prediction.e_form <= self.limit, f"E_f(ML) = {prediction.e_form:.3f} against {self.limit:g}")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a distribution with two entry points: a policy, and something that is none."""
    points = "lowest = test_policy:Lowest\nbroken = math:pi\nthresholds = test_policy:Lowest\n"
    install(monkeypatch, tmp_path, f"[esnet_campaign.policies]\n{points}")


@pytest.mark.usefixtures("installed")
def test_a_policy_of_another_package_is_found_by_its_entry_point():
    policy = make_policy({"kind": "lowest", "limit": -0.1})
    assert policy.verdict(prediction(-0.2, math.inf)).promising
    assert policy.to_dict() == {"kind": "lowest", "audit": 0.0, "novel": "ignore", "limit": -0.1}


@pytest.mark.usefixtures("installed")
def test_another_package_can_neither_replace_a_shipped_policy_nor_bring_something_else():
    assert isinstance(make_policy({"kind": "thresholds"}), Thresholds)
    with pytest.raises(UnknownPolicyError, match="not a Policy"):
        make_policy({"kind": "broken"})
