"""The formula that combines predictions, and the correlation that it takes."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.combination.correlation import ASSUMED_CORRELATION, LEAST_RELAXED, Correlation, estimate_correlation
from campaign.combination.weights import MOST_MEMBERS, combine


@st.composite
def predictions(draw, most=4):
    """Means, deviations and a correlation matrix that can be inverted."""
    number = draw(st.integers(1, most))
    means = draw(st.lists(st.floats(-5, 5), min_size=number, max_size=number))
    deviations = draw(st.lists(st.floats(0.01, 2.0), min_size=number, max_size=number))
    seed, shared = draw(st.integers(0, 10**6)), draw(st.floats(0.0, 2.0))
    rows = np.random.default_rng(seed).normal(size=(number, number + 2)) + shared
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    return means, deviations, 0.95 * rows @ rows.T + 0.05 * np.eye(number)


def variance(weights, deviations, matrix):
    scaled = np.asarray(weights) * np.asarray(deviations)
    return float(scaled @ np.asarray(matrix) @ scaled)


def mixtures(number, steps):
    """All weights of this many predictions that are multiples of 1 / steps."""
    if number == 1:
        yield (1.0,)
        return
    for counts in np.ndindex(*(steps + 1,) * (number - 1)):
        if sum(counts) <= steps:
            yield (*(count / steps for count in counts), 1.0 - sum(counts) / steps)


@given(predictions())
@settings(max_examples=60, deadline=None)
def test_no_other_weights_have_a_smaller_variance(found):
    means, deviations, matrix = found
    made = combine(means, deviations, matrix)
    assert sum(made.weights) == pytest.approx(1.0)
    assert min(made.weights) >= 0.0
    assert made.mean == pytest.approx(np.dot(made.weights, means), abs=1e-9)
    assert made.deviation**2 == pytest.approx(variance(made.weights, deviations, matrix), rel=1e-6)
    least = min(variance(weights, deviations, matrix) for weights in mixtures(len(means), 20))
    assert made.deviation**2 <= least * (1.0 + 1e-9)
    assert made.deviation <= min(deviations) * (1.0 + 1e-9)


@given(predictions())
@settings(max_examples=100, deadline=None)
def test_it_is_the_best_linear_unbiased_estimate_where_that_needs_no_negative_weight(found):
    means, deviations, matrix = found
    inverse = np.linalg.inv(matrix * np.outer(deviations, deviations))
    best = inverse.sum(axis=1) / inverse.sum()
    made = combine(means, deviations, matrix)
    if best.min() > 1e-6:
        assert made.weights == pytest.approx(best, abs=1e-6)
        assert made.deviation == pytest.approx(inverse.sum() ** -0.5, rel=1e-6)
    elif best.min() < -1e-6:
        assert min(made.weights) == 0.0


@given(predictions(), st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_predictions_changes_nothing(found, random):
    means, deviations, matrix = found
    order = list(range(len(means)))
    random.shuffle(order)
    made = combine(means, deviations, matrix)
    again = combine([means[i] for i in order], [deviations[i] for i in order], matrix[np.ix_(order, order)])
    assert again.mean == pytest.approx(made.mean, abs=1e-6)
    assert again.deviation == pytest.approx(made.deviation, rel=1e-9)
    assert again.weights == pytest.approx([made.weights[i] for i in order], abs=1e-6)


def test_two_that_say_the_same_count_once_and_one_that_is_certain_alone():
    for order in permutations([(0.1, 0.1), (0.3, 0.1)]):
        made = combine(*zip(*order, strict=True), 1.0)
        assert made.deviation == pytest.approx(0.1)
    assert combine([0.1, 5.0], [0.0, 0.3], 0.0).mean == pytest.approx(0.1)
    with pytest.raises(ValueError, match=f"found {MOST_MEMBERS + 1} predictions"):
        combine([0.0] * (MOST_MEMBERS + 1), [0.1] * (MOST_MEMBERS + 1), 0.0)


def drawn(number, rho, seed=3):
    generator = np.random.default_rng(seed)
    return generator.multivariate_normal([0.3, -0.2], [[1.0, rho], [rho, 1.0]], size=number)


def test_a_correlation_is_assumed_until_enough_is_relaxed():
    few = estimate_correlation(("a", "b"), drawn(LEAST_RELAXED - 1, 0.9))
    assert few.is_assumed
    assert few.matrix == ((1.0, ASSUMED_CORRELATION), (ASSUMED_CORRELATION, 1.0))
    assert few.describe() == "correlation of their errors 0.50, assumed: 19 relaxed of 20 needed"
    enough = estimate_correlation(("a", "b"), drawn(LEAST_RELAXED, 0.9))
    assert not enough.is_assumed
    assert enough.matrix[0][1] > 0.6
    assert "of 20 relaxed" in enough.describe()
    assert Correlation.from_dict(enough.to_dict()) == enough


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.3, 0.9])
def test_with_many_relaxations_it_is_that_of_the_errors_whatever_fails_badly(rho):
    errors = drawn(4000, rho)
    errors[:10] += [[500.0, -900.0]] * 10
    assert estimate_correlation(("a", "b"), errors).matrix[0][1] == pytest.approx(rho, abs=0.05)


@given(st.integers(2, MOST_MEMBERS), st.integers(LEAST_RELAXED, 40), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_it_can_be_used_for_weights_whatever_the_errors_are(number, relaxed, seed):
    errors = np.random.default_rng(seed).normal(size=(relaxed, number))
    errors[:, 1] = errors[:, 0]  # one that says what another says
    errors[:, -1] = 0.3 if seed % 2 else errors[:, -1]
    found = estimate_correlation([str(each) for each in range(number)], errors)
    assert np.linalg.eigvalsh(found.matrix).min() > 0.0
    order = np.random.default_rng(seed).permutation(relaxed)
    assert estimate_correlation(found.scorers, errors[order]).matrix == pytest.approx(np.array(found.matrix))
    made = combine([0.0] * number, [0.1] * number, found.matrix)
    assert made.deviation <= 0.1
