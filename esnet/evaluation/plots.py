"""Plots of an evaluation: parity, calibration, and error against novelty (PNG and SVG)."""

from pathlib import Path
from typing import Any

import numpy as np

from esnet.bundle.assessor import NOVEL
from esnet.evaluation.run import Evaluation
from esnet.evaluation.task import TaskEvaluation
from esnet.files.errors import require
from esnet.files.figures import save_figure

# from the palette of Okabe and Ito, which colour-blind readers can distinguish
_COLOURS = {"IS2RE": "#0072B2", "RS2RE": "#D55E00"}
_FLAGGED = "#000000"
_RUNNING_PARTS = 10


def plot_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Draw the figures of an evaluation, and return the files written.

    Parameters
    ----------
    evaluation
        The evaluation to plot.
    folder
        Folder for ``parity``, ``calibration`` (if there are uncertainties) and ``error_against_novelty`` (if there are
        novelties), each as ``.png`` and ``.svg``.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figures = {"parity": _parity(evaluation)}
    if any(task.curve is not None for task in evaluation.tasks.values()):
        figures["calibration"] = _calibration(evaluation)
    if np.isfinite(evaluation.assessment.novelty).any():
        figures["error_against_novelty"] = _error_against_novelty(evaluation)
    return [file for name, figure in figures.items() for file in save_figure(figure, folder / name)]


def _panels(evaluation: Evaluation) -> tuple[Any, list[tuple[TaskEvaluation, Any]]]:
    """Return a figure with one square panel per task, without touching the window system or the state of pyplot."""
    figure_module = require("matplotlib.figure", extra="esnet")

    tasks = list(evaluation.tasks.values())
    figure = figure_module.Figure(figsize=(4.8 * len(tasks), 4.6), layout="constrained")
    axes = figure.subplots(1, len(tasks), squeeze=False)[0]
    return figure, list(zip(tasks, axes, strict=True))


def _parity(evaluation: Evaluation) -> Any:
    figure, panels = _panels(evaluation)
    everything = np.concatenate([evaluation.energies, evaluation.assessment.e_form])
    margin = 0.05 * (np.ptp(everything) or 1.0)
    limits = (everything.min() - margin, everything.max() + margin)
    for task, axis in panels:
        true, predicted = evaluation.energies[task.rows], evaluation.assessment.e_form[task.rows]
        # rasterised, since viewers cannot open an SVG with thousands of points
        axis.scatter(true, predicted, s=12, alpha=0.5, color=_COLOURS[task.task], linewidths=0, rasterized=True)
        axis.plot(limits, limits, color="grey", linewidth=1)
        r2 = "undefined" if task.metrics.r2 is None else f"{task.metrics.r2:.3f}"
        axis.set(
            xlim=limits,
            ylim=limits,
            aspect="equal",
            title=f"{task.task}: {task.metrics.n} samples",
            xlabel="true formation energy (eV/atom)",
            ylabel="predicted formation energy (eV/atom)",
        )
        figures = f"MAE {task.metrics.mae:.3f} eV/atom\nRMSE {task.metrics.rmse:.3f} eV/atom\nR² {r2}"
        axis.text(0.04, 0.96, figures, transform=axis.transAxes, va="top")
    return figure


def _calibration(evaluation: Evaluation) -> Any:
    figure_module = require("matplotlib.figure", extra="esnet")

    figure = figure_module.Figure(figsize=(4.8, 4.6), layout="constrained")
    axis = figure.subplots()
    axis.plot((0, 1), (0, 1), color="grey", linewidth=1)
    for task in evaluation.tasks.values():
        if task.curve is None:
            continue
        label = f"{task.task}: {task.curve.n_samples} samples, area {task.curve.area:.3f}"
        axis.plot(task.curve.expected, task.curve.observed, color=_COLOURS[task.task], label=label)
    axis.set(
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        title="below the diagonal: overconfident",
        xlabel="expected fraction inside the interval",
        ylabel="observed fraction inside the interval",
    )
    axis.legend(loc="upper left")
    return figure


def _error_against_novelty(evaluation: Evaluation) -> Any:
    figure, panels = _panels(evaluation)
    said = evaluation.assessment
    for task, axis in panels:
        novelty, errors = said.novelty[task.rows], np.abs(evaluation.errors[task.rows])
        unseen = np.zeros(len(novelty), dtype=bool) if said.unseen is None else said.unseen[task.rows]
        for chosen, colour, label in (
            (~unseen, _COLOURS[task.task], "all elements seen in training"),
            (unseen, _FLAGGED, "an element never seen"),
        ):
            if chosen.any():
                axis.scatter(
                    novelty[chosen],
                    errors[chosen],
                    s=12,
                    alpha=0.5,
                    color=colour,
                    linewidths=0,
                    label=label,
                    rasterized=True,
                )
        _draw_running_mean(axis, novelty, errors)
        axis.axvline(NOVEL, color="grey", linewidth=1, linestyle="--")
        axis.set(
            title=f"{task.task}: novel to the right of the dashed line",
            xlabel="novelty (95 % of the training set is at 1 or below)",
            ylabel="absolute error (eV/atom)",
        )
        axis.set_xlim(0, max(1.1, 1.05 * float(np.nanmax(novelty))))
        axis.set_ylim(bottom=0)
        axis.legend(loc="upper left")
    return figure


def _draw_running_mean(axis: Any, novelty: np.ndarray, errors: np.ndarray) -> None:
    """Draw the mean error in bins of equal size by increasing novelty."""
    if len(novelty) < 3 * _RUNNING_PARTS:
        return
    parts = np.array_split(np.argsort(novelty, kind="stable"), _RUNNING_PARTS)
    axis.plot(
        [novelty[part].mean() for part in parts],
        [errors[part].mean() for part in parts],
        color="grey",
        marker="o",
        label=f"mean of each {100 // _RUNNING_PARTS} %",
    )
