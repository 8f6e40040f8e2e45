"""Predictions corrected by what was relaxed: the arithmetic, on samples whose true offsets are known."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.recalibration.fit import Fit, Sample
from campaign.recalibration.trial import LEAST_SAMPLES, fit_correction

ELEMENTS = ("Al", "Cu", "Ag", "Pd", "Mg", "Zn", "Sn", "Ca")
SEEDS = st.integers(0, 10_000)
QUICKLY = settings(max_examples=10, deadline=None)


def alloys(number, *, seed, spread, noise=0.05, deviation=None, elements=ELEMENTS, offsets=None):
    """Binary alloys whose predictions lack offsets of their elements."""
    rng = np.random.default_rng(seed)
    offsets = offsets or dict(zip(ELEMENTS, rng.normal(0.0, spread, len(ELEMENTS)), strict=True))
    samples = []
    for place in range(number):
        pair = rng.choice(len(elements), 2, replace=False)
        share = float(rng.choice([0.25, 0.5, 0.75]))
        fractions = {elements[pair[0]]: share, elements[pair[1]]: 1.0 - share}
        predicted = float(rng.normal(-0.1, 0.3))
        error = sum(part * offsets[symbol] for symbol, part in fractions.items()) + float(rng.normal(0.0, noise))
        sample = Sample(
            id=f"{place:04d}",
            fractions=fractions,
            predicted=predicted,
            calculated=predicted + error,
            uncertainty=deviation,
        )
        samples.append(sample)
    return samples, offsets


def mean_error(samples, fit=None):
    errors = []
    for sample in samples:
        energy = sample.predicted
        if fit is not None:
            energy = fit.correct(sample.fractions, energy, sample.uncertainty).energy
        errors.append(abs(sample.calculated - energy))
    return float(np.mean(errors))


@QUICKLY
@given(SEEDS)
def test_offsets_are_found_out_of_noise(seed):
    samples, offsets = alloys(160, seed=seed, spread=0.3, noise=0.05)
    fit = fit_correction(samples)
    assert fit.offsets is not None
    found = dict(zip(fit.offsets.elements, fit.offsets.mean, strict=True))
    doubt = dict(zip(fit.offsets.elements, np.sqrt(np.diag(fit.offsets.covariance)), strict=True))
    # half an offset's noise is 0.05 / sqrt(40): five standard deviations, and not more than a few hundredths
    assert all(abs(found[symbol] - offsets[symbol]) < max(5 * doubt[symbol], 0.02) for symbol in ELEMENTS)
    assert max(doubt.values()) < 0.05
    others, _ = alloys(300, seed=seed + 1, spread=0.3, noise=0.05, offsets=offsets)
    assert mean_error(others, fit) < 0.6 * mean_error(others)


@QUICKLY
@given(seed=SEEDS, number=st.integers(LEAST_SAMPLES, 60), spread=st.sampled_from([0.0, 0.02, 0.3]))
def test_held_out_relaxations_are_never_predicted_worse(seed, number, spread):
    samples, _ = alloys(number, seed=seed, spread=spread)
    fit = fit_correction(samples, seed=seed)
    assert sum(fold["n"] for fold in fit.folds) == number
    tried = {name: sum(fold["n"] * fold[name] for fold in fit.folds) / number for name in ("mae_without", "mae_with")}
    assert fit.before.mae == pytest.approx(tried["mae_without"])
    used = "mae_without" if fit.offsets is None else "mae_with"
    assert fit.after.mae == pytest.approx(tried[used])
    assert tried[used] <= tried["mae_without"]
    if fit.offsets is None:
        assert "no gain beyond chance" in fit.reason
        assert fit.correct({"Al": 0.5, "Cu": 0.5}, -0.3, None).energy == -0.3


def test_a_gain_that_may_be_chance_is_no_gain():
    """Without offsets to be found a fit is seldom used, and does not make the others worse by more than a trace."""
    used, worse = 0, []
    for seed in range(40):
        samples, offsets = alloys(20, seed=seed, spread=0.0, noise=0.1)
        others, _ = alloys(200, seed=seed + 1000, spread=0.0, noise=0.1, offsets=offsets)
        fit = fit_correction(samples, seed=seed)
        used += fit.offsets is not None
        worse.append(mean_error(others, fit) / mean_error(others) - 1.0)
    assert used <= 8
    assert np.mean(worse) < 0.01


@QUICKLY
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_the_samples_changes_nothing(seed, random):
    samples, _ = alloys(30, seed=seed, spread=0.2, deviation=0.1)
    shuffled = list(samples)
    random.shuffle(shuffled)
    assert fit_correction(shuffled, seed=3).to_dict() == fit_correction(samples, seed=3).to_dict()


def test_an_element_that_was_never_relaxed_has_no_offset_and_more_doubt():
    samples, _ = alloys(80, seed=1, spread=0.3, deviation=0.05)
    fit = fit_correction(samples)
    unseen, seen = fit.correct({"Al": 0.5, "Au": 0.5}, 0.0, 0.05), fit.correct({"Al": 0.5, "Cu": 0.5}, 0.0, 0.05)
    place = fit.offsets.elements.index("Al")
    assert unseen.energy == pytest.approx(0.5 * fit.offsets.mean[place])
    assert unseen.uncertainty > 1.5 * seen.uncertainty
    assert fit.correct({"Pt": 0.5, "Au": 0.5}, -0.2, 0.05).energy == -0.2


@pytest.mark.parametrize("deviation", [None, 0.02, 0.5])
def test_two_of_three_others_are_within_the_corrected_deviation(deviation):
    samples, offsets = alloys(200, seed=4, spread=0.2, noise=0.1, deviation=deviation)
    others, _ = alloys(500, seed=5, spread=0.2, noise=0.1, deviation=deviation, offsets=offsets)
    fit = fit_correction(samples)
    assert fit.scale is not None
    found = [fit.correct(sample.fractions, sample.predicted, sample.uncertainty) for sample in others]
    pairs = zip(found, others, strict=True)
    within = np.mean([abs(each.energy - sample.calculated) <= each.uncertainty for each, sample in pairs])
    assert 0.55 < within < 0.8
    assert fit.after.within == pytest.approx(0.68, abs=0.06)


def test_a_scorer_that_cannot_tell_for_some_gets_no_deviation_there():
    samples, _ = alloys(60, seed=4, spread=0.2, deviation=0.02)
    assert fit_correction(samples).correct({"Al": 0.5, "Cu": 0.5}, -0.1, None).uncertainty is None


def test_one_that_collapsed_does_not_decide_the_offsets_of_its_elements():
    samples, offsets = alloys(60, seed=6, spread=0.2)
    collapsed = Sample(id="z", fractions={"Al": 0.5, "Cu": 0.5}, predicted=-28.0, calculated=0.0)
    fit = fit_correction([*samples, collapsed])
    others, _ = alloys(300, seed=7, spread=0.2, offsets=offsets)
    assert mean_error(others, fit) < 1.2 * mean_error(others, fit_correction(samples)) < 0.7 * mean_error(others)


def test_too_few_relaxations_change_nothing_and_say_so():
    samples, _ = alloys(LEAST_SAMPLES - 1, seed=1, spread=0.5)
    fit = fit_correction(samples)
    assert not fit.is_on
    assert "9 relaxed candidates" in fit.reason
    assert fit.correct({"Al": 1.0}, -0.3, 0.1) == (-0.3, 0.1)


def test_the_audit_sample_stands_for_all_that_were_not_promoted():
    """Of two kinds with opposite errors the heavier decides."""
    light = [Sample(id=f"a{k:02d}", fractions={"Al": 1.0}, predicted=0.0, calculated=-0.2) for k in range(20)]
    heavy = [Sample(id=f"b{k:02d}", fractions={"Al": 1.0}, predicted=0.0, calculated=0.3, weight=10) for k in range(10)]
    assert fit_correction([*light, *heavy]).correct({"Al": 1.0}, 0.0, None).energy > 0.15
    same = fit_correction(
        [*light, *(Sample(id=s.id, fractions={"Al": 1.0}, predicted=0.0, calculated=0.3) for s in heavy)]
    )
    assert same.correct({"Al": 1.0}, 0.0, None).energy < 0.05


def test_chemical_systems_are_held_out_as_a_whole():
    pairs = [("Al", "Cu"), ("Al", "Ag"), ("Cu", "Ag"), ("Pd", "Cu"), ("Pd", "Ag"), ("Mg", "Al")]
    samples = [
        Sample(id=f"{a}{b}{k}", fractions={a: 0.5, b: 0.5}, predicted=0.0, calculated=0.1 * k)
        for a, b in pairs
        for k in range(4)
    ]
    fit = fit_correction(samples)
    assert (fit.n, fit.n_groups) == (24, 6)
    assert {fold["n"] % 4 for fold in fit.folds} == {0}
    one_system = [Sample(id=str(k), fractions={"Al": 0.5, "Cu": 0.5}, predicted=0.0, calculated=0.3) for k in range(20)]
    assert fit_correction(one_system).n_groups == 20


@QUICKLY
@given(SEEDS, st.sampled_from([5, 30]))
def test_a_stored_fit_corrects_the_same(seed, number):
    samples, _ = alloys(number, seed=seed, spread=0.2, deviation=0.1)
    fit = fit_correction(samples)
    again = Fit.from_dict(json.loads(json.dumps(fit.to_dict())))
    for sample in samples:
        given = (sample.fractions, sample.predicted, sample.uncertainty)
        assert again.correct(*given) == fit.correct(*given)
