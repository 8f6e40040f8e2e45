"""Replays: limits that no policy passes, budgets that hold, and the same code and numbers every time."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.policies.best_first import BestFirst
from campaign.policies.expected_yield import ExpectedYield
from campaign.policies.probability import Probability
from campaign.policies.thresholds import Thresholds
from campaign.replay.candidate import KnownCandidate
from campaign.replay.result import band, spread
from campaign.replay.simulate import replay as replay_policy
from campaign.replay.simulate import replay_limit
from campaign.spec.sections.budget import BudgetSection
from campaign.spec.sections.stable import StableSection

POLICIES = [
    Thresholds(),
    Thresholds(audit=0.3),
    Probability(p=0.3, uncertainty=0.27),
    BestFirst(cpu_hours=3.0),
    BestFirst(cpu_hours=1.5, audit=0.2),
    ExpectedYield(uncertainty=0.2, audit=0.2),
]


def population(number, *, seed=0, error=0.2, cost_spread=0.5, **changes):
    """Candidates with a hull at a random depth, and predictions that are off by `error` eV/atom."""
    rng = np.random.default_rng(seed)
    true, hull = rng.normal(0.2, 0.4, number), -np.abs(rng.normal(0.0, 0.2, number))
    predicted = true + rng.normal(0.0, error, number)
    sites = rng.integers(1, 20, number)
    costs = 300.0 * (sites / 10) * np.exp(rng.normal(0.0, cost_spread, number))
    return [
        KnownCandidate(
            id=f"c{place:05d}",
            e_form_ml=float(predicted[place]),
            e_hull_ml=float(predicted[place] - hull[place]),
            e_form=float(true[place]),
            e_hull=float(true[place] - hull[place]),
            n_sites=int(sites[place]),
            n_electrons=int(5 * sites[place]),
            dos_cpu_s=float(costs[place] / 30),
            relax_cpu_s=float(costs[place]),
            **changes,
        )
        for place in range(number)
    ]


known_energy = st.floats(-1.0, 1.0)
candidates = st.lists(
    st.builds(
        dict,
        e_form_ml=known_energy | st.just(math.nan),
        e_hull_ml=known_energy,
        uncertainty=st.none() | st.floats(0.01, 0.5),
        e_form=known_energy,
        e_hull=known_energy,
        n_sites=st.integers(1, 30),
        n_electrons=st.integers(1, 200),
        dos_cpu_s=st.just(0.0) | st.floats(0.1, 60.0),
        relax_cpu_s=st.floats(1.0, 5000.0),
        relaxation_failed=st.booleans(),
    ),
    min_size=1,
    max_size=25,
).map(lambda rows: [KnownCandidate(id=f"c{number:02d}", **row) for number, row in enumerate(rows)])
budgets = st.builds(
    BudgetSection,
    cpu_hours=st.none() | st.floats(0.0, 10.0),
    relaxation_cpu_hours=st.none() | st.floats(0.0, 10.0),
    relaxations=st.none() | st.integers(0, 20),
    stop_after_stable=st.none() | st.integers(1, 5),
    stop_after_no_discovery=st.none() | st.integers(1, 10),
    relax_cpu_s=st.floats(10.0, 5000.0),
    dos_cpu_s=st.floats(1.0, 60.0),
)


@given(
    known=candidates,
    budget=budgets,
    policy=st.sampled_from(POLICIES),
    batch_size=st.integers(1, 15),
    seed=st.integers(1, 5),
)
@settings(max_examples=200, deadline=None)
def test_whatever_the_settings_limits_hold_and_no_policy_passes_the_oracle(known, budget, policy, batch_size, seed):
    found = replay_policy(policy, known, budget=budget, batch_size=batch_size, seed=seed)
    # every candidate has exactly one end
    assert found.relaxations + found.rejected + found.held + found.without_dos == len(known)
    # the curve
    assert len(found.cpu_hours) == len(found.stable) == found.relaxations + 1
    assert (np.diff(found.cpu_hours) > 0).all()
    assert set(np.diff(found.stable)) <= {0, 1}
    assert found.stable[0] == 0
    assert found.total_stable == found.stable_promoted + found.stable_audited <= found.n_stable
    # limits
    largest = max(candidate.relax_cpu_s for candidate in known) / 3600
    dos = max(candidate.dos_cpu_s for candidate in known) / 3600 * min(batch_size, len(known))
    if budget.cpu_hours is not None:
        assert found.total_cpu_hours <= budget.cpu_hours + max(largest, dos) + 1e-9
    if policy.relaxation_cpu_hours() is not None and budget.relaxation_cpu_hours is None:
        spent = found.total_cpu_hours - found.dos_cpu_hours
        assert spent <= policy.relaxation_cpu_hours() + largest + 1e-9
    if budget.relaxations is not None:
        assert found.relaxations <= budget.relaxations
        assert found.audited <= policy.audit * budget.relaxations + 1e-9
    if budget.relaxation_cpu_hours is not None:
        assert found.total_cpu_hours - found.dos_cpu_hours <= budget.relaxation_cpu_hours + largest + 1e-9
    if budget.stop_after_stable is not None:
        assert found.total_stable <= budget.stop_after_stable
    if budget.stop_after_no_discovery is not None:
        discoveries = [0, *np.flatnonzero(np.diff(found.stable)) + 1, found.relaxations]
        # those that failed are not counted
        assert np.diff(discoveries).max() <= budget.stop_after_no_discovery + found.failed
    # the limits of what any policy can do
    oracle = replay_limit("oracle", known, budget=budget)
    assert (oracle.stable_at(found.cpu_hours) >= found.stable).all()
    assert oracle.total_stable >= found.total_stable


@given(known=candidates, policy=st.sampled_from(POLICIES), data=st.data())
@settings(max_examples=30, deadline=None)
def test_the_same_seed_gives_the_same_replay_however_the_candidates_are_given(known, policy, data):
    budget = BudgetSection(cpu_hours=2.0)
    first = replay_policy(policy, known, budget=budget, batch_size=7, seed=3)
    shuffled = data.draw(st.permutations(known))
    again = replay_policy(policy, shuffled, budget=budget, batch_size=7, seed=3)
    assert first.totals() == again.totals()
    assert np.array_equal(first.cpu_hours, again.cpu_hours)
    assert np.array_equal(first.stable, again.stable)


def test_another_seed_brings_the_candidates_in_another_order():
    known = population(200)
    curves = {tuple(replay_policy(Thresholds(), known, batch_size=20, seed=seed).stable) for seed in range(1, 6)}
    assert len(curves) == 5


@pytest.mark.parametrize("hours", [0.5, 1.0, 2.0, 5.0])
def test_with_costs_that_are_known_a_budget_is_never_exceeded(hours):
    flat = [replace(found, n_sites=4, n_electrons=20, relax_cpu_s=100.0, dos_cpu_s=3.0) for found in population(300)]
    budget = BudgetSection(cpu_hours=hours, relax_cpu_s=100.0, dos_cpu_s=3.0)
    for policy in POLICIES:
        assert replay_policy(policy, flat, budget=budget, batch_size=32).total_cpu_hours <= hours


def test_random_finds_what_chance_says():
    known = population(2000)
    n_stable = sum(found.is_stable(StableSection()) for found in known)
    relaxed = 500
    budget = BudgetSection(relaxations=relaxed)
    found = [replay_limit("random", known, budget=budget, seed=seed).total_stable for seed in range(1, 21)]
    expected = relaxed * n_stable / len(known)
    # standard deviation of the hypergeometric distribution, and of the mean of 20 draws from it
    share = n_stable / len(known)
    deviation = math.sqrt(relaxed * share * (1 - share) * (len(known) - relaxed) / (len(known) - 1))
    assert abs(np.mean(found) - expected) < 4 * deviation / math.sqrt(len(found))
    assert all(abs(count - expected) < 5 * deviation for count in found)


def test_the_limits_pay_for_no_dos_and_find_everything_in_the_end():
    known = population(100)
    for reference in (replay_limit("random", known), replay_limit("oracle", known)):
        assert reference.cpu_hours[0] == 0.0
        assert reference.total_stable == reference.n_stable
        assert reference.relaxations == 100
    oracle = replay_limit("oracle", known)
    assert list(oracle.stable[: oracle.n_stable + 1]) == list(range(oracle.n_stable + 1))


def test_thresholds_without_a_budget_give_the_figures_of_the_confusion_matrix():
    known = population(500)
    policy = Thresholds()
    promoted = [found for found in known if found.e_form_ml <= -0.02 and found.e_hull_ml <= 0.13]
    hits = [found for found in promoted if found.e_form <= 0.0 and found.e_hull <= 0.1]
    result = replay_policy(policy, known, batch_size=64)
    assert (result.promoted, result.stable_promoted) == (len(promoted), len(hits))
    assert result.success_ratio == pytest.approx(len(hits) / len(promoted))
    assert result.discoverability == pytest.approx(len(hits) / result.n_stable)
    cost = sum(found.dos_cpu_s for found in known) + sum(found.relax_cpu_s for found in promoted)
    assert result.total_cpu_hours == pytest.approx(cost / 3600)
    assert result.saving == pytest.approx(1 - cost / sum(found.relax_cpu_s for found in known))


def test_a_budget_is_not_spent_on_those_that_happened_to_come_first():
    """Flat costs, and hours for a tenth: what is relaxed must be near the best tenth of all, not of the first batch."""
    flat = [replace(found, n_sites=4, n_electrons=20, relax_cpu_s=360.0) for found in population(1000)]
    result = replay_policy(BestFirst(cpu_hours=10.0), flat, budget=BudgetSection(relax_cpu_s=360.0), batch_size=50)
    best = sorted(flat, key=lambda found: (found.e_hull_ml, found.e_form_ml))[:100]
    assert result.relaxations == 100
    assert result.total_stable >= 0.9 * sum(found.is_stable(StableSection()) for found in best)


@pytest.mark.parametrize("limit", [{"relaxation_cpu_hours": 10.0}, {"cpu_hours": 10.0}, {"relaxations": 100}])
def test_no_limit_is_spent_on_those_that_came_first_by_a_policy_that_takes_the_best_of_all(limit):
    flat = [replace(found, n_sites=4, n_electrons=20, relax_cpu_s=360.0, dos_cpu_s=0.0) for found in population(1000)]
    budget = BudgetSection(relax_cpu_s=360.0, **limit)
    result = replay_policy(ExpectedYield(uncertainty=0.2), flat, budget=budget, batch_size=50)
    best = sorted(flat, key=lambda found: max(found.e_hull_ml - 0.1, found.e_form_ml))[:100]
    assert result.relaxations == 100
    assert result.total_stable >= 0.9 * sum(found.is_stable(StableSection()) for found in best)


def test_what_is_held_goes_on_at_the_end_with_what_was_expected_to_be_spent():
    """The first are expected to cost ten times what they do: hours are left when all have been looked at."""
    flat = [replace(found, n_sites=4, n_electrons=20, relax_cpu_s=100.0) for found in population(60)]
    budget = BudgetSection(relax_cpu_s=1000.0)
    result = replay_policy(BestFirst(cpu_hours=0.5), flat, budget=budget, batch_size=60)
    assert result.relaxations == 18
    assert result.held == 42


def test_the_audit_sample_finds_what_the_policy_misses_and_is_counted_apart():
    known = population(2000, error=0.4)
    plain = replay_policy(Thresholds(), known)
    audited = replay_policy(Thresholds(audit=0.2), known)
    assert plain.audited == plain.stable_audited == 0
    assert audited.promoted == plain.promoted
    assert audited.success_ratio == plain.success_ratio
    assert audited.audited == pytest.approx(0.2 * plain.rejected, rel=0.2)
    assert audited.stable_audited > 0
    assert audited.total_stable == plain.total_stable + audited.stable_audited


def test_a_relaxation_that_fails_costs_and_finds_nothing():
    known = population(300)
    failing = [replace(found, relaxation_failed=True) for found in known]
    well, badly = replay_policy(Thresholds(), known), replay_policy(Thresholds(), failing)
    assert badly.total_cpu_hours == well.total_cpu_hours
    assert badly.failed == badly.relaxations == well.relaxations
    assert badly.total_stable == badly.n_stable == 0
    assert (badly.success_ratio, badly.discoverability, badly.cpu_hours_per_stable) == (None, None, None)


def test_a_relaxation_that_fails_is_no_part_of_the_success_ratio_and_of_a_stop_rule_as_in_a_campaign():
    known = population(300)
    well = replay_policy(Thresholds(), known)
    assert 0 < well.stable_promoted < well.promoted
    failing = [replace(found, relaxation_failed=not found.is_stable(StableSection())) for found in known]
    badly = replay_policy(Thresholds(), failing, budget=BudgetSection(stop_after_no_discovery=1))
    assert badly.promoted == well.promoted  # nothing stopped it
    assert badly.failed_promoted == well.promoted - well.stable_promoted
    assert badly.success_ratio == 1.0


def test_candidates_without_a_prediction_are_never_promoted():
    known = [replace(found, e_form_ml=math.nan, e_hull_ml=math.nan) for found in population(50)]
    for policy in (Thresholds(max_formation_energy=10.0, max_hull_energy=10.0), BestFirst(cpu_hours=1000.0)):
        result = replay_policy(policy, known)
        assert (result.promoted, result.rejected) == (0, 50)


def test_stop_rules_end_it_and_are_named():
    known = population(400)
    enough = replay_policy(Thresholds(), known, budget=BudgetSection(stop_after_stable=5), batch_size=50)
    assert enough.total_stable == 5
    assert enough.stopped == "5 stable materials found; the limit is 5"
    vain = [replace(found, e_form=1.0) for found in known]
    stopped = replay_policy(Thresholds(), vain, budget=BudgetSection(stop_after_no_discovery=7), batch_size=50)
    assert stopped.relaxations == 7
    assert stopped.stopped == "the last 7 relaxations found nothing stable"
    assert replay_policy(Thresholds(), known).stopped is None


def test_hours_that_do_not_suffice_for_the_dos_are_not_exceeded_by_it():
    known = [replace(found, dos_cpu_s=36.0, relax_cpu_s=360.0) for found in population(100)]
    result = replay_policy(Thresholds(), known, budget=BudgetSection(cpu_hours=0.5, dos_cpu_s=36.0), batch_size=10)
    assert (result.without_dos, result.relaxations) == (50, 0)
    assert result.total_cpu_hours == pytest.approx(0.5)


def test_a_name_given_twice_is_refused():
    known = population(3)
    with pytest.raises(ValueError, match="3 candidates with 2 different ids"):
        replay_policy(Thresholds(), [known[0], known[1], known[1]])


def test_several_seeds_become_a_mean_with_its_range():
    known = population(300)
    several = [replay_policy(Thresholds(audit=0.1), known, batch_size=30, seed=seed) for seed in range(1, 6)]
    figures = [found.total_cpu_hours for found in several]
    assert spread(several, lambda found: found.total_cpu_hours) == (np.mean(figures), min(figures), max(figures))
    assert spread(several, lambda found: None) is None
    together = band(several)
    assert (together.least <= together.mean).all()
    assert (together.mean <= together.most).all()
    assert (np.diff(together.mean) >= 0).all()
    assert together.mean[-1] == pytest.approx(np.mean([found.total_stable for found in several]))
