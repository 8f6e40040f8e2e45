"""The figures of an evaluation must be what their names say, for any number of samples."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from esnet.evaluation.metrics import metrics_by_element, metrics_by_name, rank_correlation, regression_metrics
from esnet.representation.composition import composition_vector

ENERGIES = st.floats(-13, 5)


@st.composite
def pairs(draw, smallest: int = 1):
    number = draw(st.integers(smallest, 40))
    return tuple(draw(hnp.arrays(np.float64, number, elements=ENERGIES)) for _ in range(2))


@given(pairs())
def test_errors_obey_the_identities_between_them(pair):
    true, predicted = pair
    metrics = regression_metrics(true, predicted)
    assert metrics.n == len(true)
    assert abs(metrics.bias) <= metrics.mae + 1e-12
    assert metrics.mae <= metrics.rmse + 1e-12
    # the mean square is the squared bias and the variance of the errors
    assert metrics.rmse**2 == pytest.approx(metrics.bias**2 + np.var(predicted - true), abs=1e-9)
    mirrored = regression_metrics(predicted, true)
    assert (mirrored.mae, mirrored.rmse) == pytest.approx((metrics.mae, metrics.rmse))
    assert mirrored.bias == pytest.approx(-metrics.bias)
    moved = regression_metrics(true, predicted - metrics.bias)
    assert moved.bias == pytest.approx(0.0, abs=1e-9)
    assert moved.rmse <= metrics.rmse + 1e-9


@given(pairs(smallest=2))
def test_figures_are_those_of_scikit_learn(pair):
    learn = pytest.importorskip("sklearn.metrics")
    true, predicted = pair
    assume(np.ptp(true) > 1e-3)
    metrics = regression_metrics(true, predicted)
    assert metrics.mae == pytest.approx(learn.mean_absolute_error(true, predicted))
    assert metrics.rmse == pytest.approx(learn.root_mean_squared_error(true, predicted))
    assert metrics.r2 == pytest.approx(learn.r2_score(true, predicted))


@given(ENERGIES, st.integers(1, 30), ENERGIES)
def test_equal_targets_have_no_r2_and_one_sample_no_standard_error(energy, number, predicted):
    metrics = regression_metrics(np.full(number, energy), np.full(number, predicted))
    assert metrics.r2 is None
    assert (metrics.mae_standard_error is None) == (number == 1)
    assert metrics.mae == pytest.approx(abs(predicted - energy))


def test_no_samples_have_no_errors_and_bad_values_are_refused():
    assert regression_metrics([], []) is None
    with pytest.raises(ValueError, match="must be one value for each"):
        regression_metrics([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        regression_metrics([1.0], [np.nan])


def test_a_group_has_its_own_samples_only_and_unknown_prototypes_are_named():
    true, predicted = np.array([0.0, 0.0, 0.0]), np.array([1.0, 2.0, -4.0])
    compositions = np.stack(
        [composition_vector(dict.fromkeys(pair, 1)) for pair in (("Al", "Cu"), ("Al", "Ni"), ("Al",))]
    )
    by_element = metrics_by_element(true, predicted, compositions)
    assert {name: (found.n, found.mae) for name, found in by_element.items()} == {
        "Al": (3, pytest.approx(7 / 3)),
        "Cu": (1, 1.0),
        "Ni": (1, 2.0),
    }
    assert list(by_element) == ["Al", "Cu", "Ni"]
    by_prototype = metrics_by_name(true, predicted, ["B2", "", "B2"])
    assert {name: found.bias for name, found in by_prototype.items()} == {"B2": -1.5, "unknown": 2.0}


def test_a_rank_correlation_that_is_not_defined_is_none():
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 400]) == pytest.approx(1.0)
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 2, 3], [5, 5, 5]) is None
    assert rank_correlation([1, 2, 3], [np.nan] * 3) is None
    assert rank_correlation([1, 2, 3, 9], [3, 2, 1, np.nan]) == pytest.approx(-1.0)
