"""Figures of one task, IS2RE or RS2RE: errors, baseline, errors by element and prototype, calibration."""

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
    """Errors of IS2RE or RS2RE, i.e. of the samples of one kind.

    Attributes
    ----------
    task
        ``IS2RE`` or ``RS2RE``.
    rows
        Rows of `Evaluation` that belong to it.
    metrics
        Of the model.
    baseline
        Of predicting the mean formation energy of the training part for every material; for a model of a potential's
        residuals, of adding their mean to the potential's formation energies.
    potential
        That potential, or None.
    by_element, by_prototype
        Of the model, over the samples with an element and of a prototype, the most frequent first.
    curve
        Expected against observed coverage; None where the model gives no uncertainties.
    correlation
        Spearman's rank correlation of the absolute error with ``uncertainty`` and with ``novelty``; None: undefined.
    novel, known
        Errors over the samples that are flagged as novel, and over the others; None: there are none.
    worst
        Rows with the largest errors, the largest first.
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
        """Return the figures without the rows as JSON types; energies in eV/atom."""
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
    """Return the figures of one task.

    The ``assessment`` is the bundle's output for the samples at ``indices``, all that are evaluated, and ``baseline``
    their formation energies as in `TaskEvaluation`; ``rows`` are those of them that belong to the task.

    Raises
    ------
    EvaluationError
        If there are none.
    """
    of_task, said = indices[rows], assessment.take(rows)
    true, predicted = dataset.energies[of_task], said.e_form
    errors = predicted - true
    metrics = regression_metrics(true, predicted)
    simple = regression_metrics(true, baseline[rows])
    if metrics is None or simple is None:
        raise EvaluationError(f"no samples of {task}")
    flags = said.novel
    # a stable order, so that equal errors are listed the same each time
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
