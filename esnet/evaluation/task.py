"""Results for one task, IS2RE or RS2RE: errors, baseline, errors by element and prototype, calibration."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.bundle.assessor import Assessment
from esnet.bundle.uncertainty import CalibrationCurve, calibration_curve
from esnet.dataset.dataset import Dataset
from esnet.evaluation.metrics import Metrics, metrics_by_element, metrics_by_name, rank_correlation, regression_metrics
from esnet.evaluation.selection import EvaluationError

N_WORST = 10

_COVERAGES = (0.5, 0.68, 0.9, 0.95)


@dataclass(frozen=True, kw_only=True)
class TaskEvaluation:
    """Errors for IS2RE or RS2RE, i.e. over the samples of one kind.

    Attributes
    ----------
    task
        ``IS2RE`` or ``RS2RE``.
    rows
        Rows of the `Evaluation` that belong to the task.
    metrics
        Errors of the model.
    baseline
        Errors of predicting the mean formation energy of the training part for every material; for a model of a
        potential's residuals, of adding the mean residual to the potential's formation energies.
    potential
        Name of that potential, or None.
    by_element, by_prototype
        Errors of the model over the samples with each element and of each prototype, most frequent first.
    curve
        Expected against observed coverage; None if the model gives no uncertainties.
    correlation
        Spearman's rank correlation of the absolute error with ``uncertainty`` and with ``novelty``; None if undefined.
    novel, known
        Errors over the samples flagged as novel, and over the others; None if there are no such samples.
    worst
        Rows with the largest errors, in descending order.
    """

    task: str
    rows: NDArray[np.intp]
    metrics: Metrics
    baseline: Metrics
    potential: str | None
    by_element: dict[str, Metrics]
    by_prototype: dict[str, Metrics]
    curve: CalibrationCurve | None
    correlation: dict[str, float | None]
    novel: Metrics | None
    known: Metrics | None
    worst: NDArray[np.intp]

    def to_dict(self) -> dict[str, Any]:
        """Return the results without the rows in JSON types; energies in eV/atom."""
        return {
            **self.metrics.to_dict(),
            f"baseline_{'training_mean' if self.potential is None else 'potential_with_mean_offset'}": (
                self.baseline.to_dict()
            ),
            "uncertainty": None if self.curve is None else _curve_to_dict(self.curve),
            "rank_correlation_with_absolute_error": self.correlation,
            "novel": None if self.novel is None else self.novel.to_dict(),
            "not_novel": None if self.known is None else self.known.to_dict(),
            "by_element": {name: metrics.to_dict() for name, metrics in self.by_element.items()},
            "by_prototype": {name: metrics.to_dict() for name, metrics in self.by_prototype.items()},
        }


def evaluate_task(
    dataset: Dataset,
    indices: NDArray[np.intp],
    assessment: Assessment,
    task: str,
    rows: NDArray[np.intp],
    *,
    baseline: NDArray[np.float64],
    potential: str | None,
) -> TaskEvaluation:
    """Return the results for one task.

    ``assessment`` is the output of the bundle for all evaluated samples, which are at ``indices`` in the data set, and
    ``baseline`` holds the formation energies that the baseline predicts for them (see `TaskEvaluation`). ``rows`` are
    the positions among them of the samples that belong to the task.

    Raises
    ------
    EvaluationError
        If no sample belongs to the task.
    """
    of_task, said = indices[rows], assessment.take(rows)
    true, predicted = dataset.energies[of_task], said.e_form
    errors = predicted - true
    metrics = regression_metrics(true, predicted)
    simple = regression_metrics(true, baseline[rows])
    if metrics is None or simple is None:
        raise EvaluationError(f"no samples of {task}")
    flags = said.novel
    # a stable sort, so that the order of equal errors is reproducible
    worst = np.argsort(-np.abs(errors), kind="stable")[:N_WORST]
    return TaskEvaluation(
        task=task,
        rows=rows,
        metrics=metrics,
        baseline=simple,
        potential=potential,
        by_element=metrics_by_element(true, predicted, dataset.compositions[of_task]),
        by_prototype=metrics_by_name(true, predicted, [dataset.prototypes[place] for place in of_task]),
        curve=calibration_curve(errors, said.uncertainty),
        correlation={
            "uncertainty": rank_correlation(np.abs(errors), said.uncertainty),
            "novelty": rank_correlation(np.abs(errors), said.novelty),
        },
        novel=None if flags is None else regression_metrics(true[flags], predicted[flags]),
        known=None if flags is None else regression_metrics(true[~flags], predicted[~flags]),
        worst=rows[worst],
    )


def _curve_to_dict(curve: CalibrationCurve) -> dict[str, Any]:
    return {
        "n": curve.n_samples,
        "miscalibration_area": curve.area,
        "sharpness": curve.sharpness,
        "coverage": {f"{probability:g}": curve.coverage(probability) for probability in _COVERAGES},
        "expected": curve.expected.tolist(),
        "observed": curve.observed.tolist(),
    }
