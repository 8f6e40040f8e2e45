"""Predicted and calculated formation energies (figure 3), and calibration of the uncertainties."""

from dataclasses import dataclass

import numpy as np

from campaign.views.figures.documents import CandidateColumns, Flags, Floats, with_margin
from esnet.bundle.uncertainty import CalibrationCurve, calibration_curve
from esnet.evaluation.metrics import Metrics, regression_metrics

MOST_POINTS = 3000
"""Number of points above which a figure is a 2-D histogram, since a page draws more too slowly."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Candidates that are predicted and relaxed; arrays of shape (n,).

    Attributes
    ----------
    calculated, predicted
        Formation energies by DFT and by the model, eV/atom.
    stable
        By DFT.
    labels
        Names of the candidates.
    metrics
        MAE, RMSE, bias and R2 of the predictions.
    """

    calculated: Floats
    predicted: Floats
    stable: Flags
    labels: list[str]
    metrics: Metrics

    @property
    def limits(self) -> list[float]:
        """Range of both axes, eV/atom."""
        return with_margin(np.concatenate([self.calculated, self.predicted]))


def parity(columns: CandidateColumns) -> Parity | None:
    """Return predictions and results of the candidates that have both, or None if there are none."""
    both = np.isfinite(columns.e_form_ml) & np.isfinite(columns.e_form_dft)
    metrics = regression_metrics(columns.e_form_dft[both], columns.e_form_ml[both])
    if metrics is None:
        return None
    return Parity(
        calculated=columns.e_form_dft[both],
        predicted=columns.e_form_ml[both],
        stable=columns.stable[both],
        labels=[columns.labels[place] for place in np.flatnonzero(both)],
        metrics=metrics,
    )


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Errors compared with the predicted uncertainties.

    Attributes
    ----------
    curve
        Expected and observed coverage.
    scores
        Errors divided by their standard deviation, shape (n,); ideally a normal distribution of width 1.
    """

    curve: CalibrationCurve
    scores: Floats


def calibration(columns: CandidateColumns) -> Calibration | None:
    """Return errors and uncertainties of relaxed candidates, or None if none has an uncertainty."""
    residuals = columns.e_form_ml - columns.e_form_dft
    known = np.isfinite(residuals) & (columns.uncertainty > 0.0)
    if not known.any():
        return None
    curve = calibration_curve(residuals[known], columns.uncertainty[known])
    if curve is None:
        return None
    return Calibration(curve=curve, scores=residuals[known] / columns.uncertainty[known])
