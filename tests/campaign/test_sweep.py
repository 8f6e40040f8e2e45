"""Sweeps over both thresholds give what deciding with each pair would have given."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from campaign.metrics.metrics import PUBLISHED_COSTS, Costs, screening_metrics
from campaign.metrics.precision_recall import precision_recall
from campaign.metrics.sweep import sweep_thresholds

# many predictions lie exactly on a threshold, some are missing
energies = st.sampled_from([-0.25, -0.02, 0.0, 0.13, 0.25, 1.0]) | st.floats(-2.0, 2.0) | st.just(math.nan)
rows = st.lists(st.tuples(energies, energies, st.booleans()), max_size=40)
grids = st.lists(st.sampled_from([-0.25, -0.02, 0.0, 0.13, 0.25, 1.0]), min_size=1, unique=True).map(sorted)


@given(rows, grids, grids)
@settings(max_examples=150)
def test_every_pair_of_thresholds_gives_what_deciding_with_it_gives(candidates, form_grid, hull_grid):
    e_form, e_hull, stable = (np.array([row[n] for row in candidates]) for n in range(3))
    stable = stable.astype(bool)
    swept = sweep_thresholds(
        e_form, e_hull, stable, costs=PUBLISHED_COSTS, max_formation_energy=form_grid, max_hull_energy=hull_grid
    )
    for i, form in enumerate(form_grid):
        for j, hull in enumerate(hull_grid):
            promoted = (e_form <= form) & (e_hull <= hull)
            one = screening_metrics(promoted, stable, costs=PUBLISHED_COSTS)
            assert swept.metrics_at(i, j).to_dict() == one.to_dict()
            for name in ("tp", "fp", "fn", "success_ratio", "discoverability", "f1", "ppcr", "saving"):
                assert getattr(swept, name)[i, j] == pytest.approx(getattr(one, name), nan_ok=True)
            assert swept.c_eff[i, j] == pytest.approx(one.c_eff, nan_ok=True)
            assert swept.cpu_s[i, j] == pytest.approx(promoted.sum() * 3107.0 + len(candidates) * 108.506)
    json.dumps(swept.to_dict(), allow_nan=False)


@pytest.fixture
def population():
    """Like the paper's: 15,318 candidates, a twentieth of them stable, a model that errs by 0.27 eV/atom."""
    generator = np.random.default_rng(5)
    e_form = generator.normal(0.2, 0.35, 15318)
    e_hull = np.abs(generator.normal(0.0, 0.5, 15318)) - 0.05
    error = generator.normal(0.0, 0.27, 15318)
    return e_form + error, e_hull + error, (e_form <= 0.0) & (e_hull <= 0.1)


def test_the_paper_s_thresholds_are_on_the_default_grid_and_count_those_at_them():
    swept = sweep_thresholds([-0.02, -0.019], [0.13, 0.13], [True, True])
    assert (len(swept.max_formation_energy), len(swept.max_hull_energy)) == (51, 101)
    i = swept.max_formation_energy.tolist().index(-0.02)
    j = swept.max_hull_energy.tolist().index(0.13)
    assert swept.tp[i, j] == 1
    assert swept.tp[i + 1, j] == 2
    assert swept.tp[i, j - 1] == 0


def test_the_optimum_is_the_best_of_all_pairs(population):
    swept = sweep_thresholds(*population, costs=PUBLISHED_COSTS)
    best = swept.optimum("f1")
    assert best.metrics.f1 == np.nanmax(swept.f1)
    cheapest = swept.optimum("c_eff")
    assert cheapest.metrics.c_eff == np.nanmin(swept.c_eff)
    chosen = (population[0] <= best.max_formation_energy) & (population[1] <= best.max_hull_energy)
    assert screening_metrics(chosen, population[2], costs=PUBLISHED_COSTS) == best.metrics


@pytest.mark.parametrize("cpu_hours", [600.0, 1500.0, 4000.0, 1e6])
def test_the_optimum_by_budget_finds_most_and_stays_within_it(population, cpu_hours):
    swept = sweep_thresholds(*population, costs=PUBLISHED_COSTS)
    best = swept.optimum("budget", cpu_hours=cpu_hours)
    affordable = swept.cpu_s <= cpu_hours * 3600
    if best is None:
        assert not affordable.any()
        return
    assert best.cpu_s <= cpu_hours * 3600
    assert best.metrics.tp == swept.tp[affordable].max()
    assert best.metrics.n_promoted == swept.promoted[affordable & (swept.tp == best.metrics.tp)].min()


def test_a_budget_that_does_not_pay_for_the_dos_has_no_optimum(population):
    swept = sweep_thresholds(*population, costs=PUBLISHED_COSTS)
    assert swept.optimum("budget", cpu_hours=400.0) is None  # 15,318 IS-DOS cost 462


def test_measured_costs_of_single_relaxations_decide_what_a_budget_buys():
    swept = sweep_thresholds(
        [-0.1, -0.1],
        [0.0, 0.5],
        [True, True],
        costs=Costs(c_pre=0.0, c_opt=1.0),
        relax_cpu_s=[3600.0, 7200.0],
        max_formation_energy=[0.0],
        max_hull_energy=[0.0, 0.5],
    )
    assert swept.optimum("budget", cpu_hours=2.9).max_hull_energy == 0.0
    assert swept.optimum("budget", cpu_hours=3.0).max_hull_energy == 0.5


def test_nothing_stable_and_unknown_costs_have_no_optimum_and_wrong_questions_are_refused():
    swept = sweep_thresholds([0.0], [0.0], [False])
    assert swept.optimum("c_eff") is None
    assert sweep_thresholds([], [], []).optimum("f1") is None
    with pytest.raises(ValueError, match="needs cpu_hours"):
        swept.optimum("budget")
    with pytest.raises(ValueError, match="max_hull_energy: thresholds must rise"):
        sweep_thresholds([0.0], [0.0], [True], max_hull_energy=[0.1, 0.1])
    with pytest.raises(ValueError, match="stable: 1 of 1 values are missing"):
        sweep_thresholds([0.0], [0.0], [None])


predictions = arrays.arrays(np.float64, 20, elements=energies)


@given(predictions, arrays.arrays(np.bool_, 20), arrays.arrays(np.bool_, 20))
def test_a_precision_recall_curve_is_what_each_of_its_thresholds_gives(predicted, stable, allowed):
    curve = precision_recall(predicted, stable, allowed=allowed)
    usable = predicted[allowed & ~np.isnan(predicted)]
    assert curve.threshold.tolist() == sorted(set(usable.tolist()))
    for place, threshold in enumerate(curve.threshold):
        one = screening_metrics((predicted <= threshold) & allowed, stable)
        assert curve.promoted[place] == one.n_promoted
        assert curve.precision[place] == pytest.approx(one.success_ratio)
        assert curve.recall[place] == pytest.approx(one.discoverability, nan_ok=True)
    json.dumps(curve.to_dict(), allow_nan=False)
