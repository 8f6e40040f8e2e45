"""The figures of a campaign at print quality, by matplotlib: the same numbers as on the page.

Exporting the page's own figures (Plotly, kaleido) would need a Chromium, which login nodes lack.
"""

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import numpy as np

from campaign.views.figures.documents import Floats, with_margin
from campaign.views.figures.dos_map import DosMap
from campaign.views.figures.dos_pairs import DosPairs
from campaign.views.figures.parity import MOST_POINTS, Calibration, Parity
from campaign.views.figures.thresholds import ThresholdFigures, f1_isoline
from campaign.views.report.data import ReportData
from campaign.views.report.enough import coverage_missing, errors_missing, saving_missing, thresholds_missing
from campaign.views.report.print_hulls import print_hulls
from campaign.views.report.print_style import BLUE, COLUMN, GREEN, GREY, ORANGE, PAGE, PURPLE, plain_text, print_axes
from campaign.views.report.screening_figures import three_metrics
from esnet.files.errors import require
from esnet.representation.dos import ENERGY_GRID

PRINT_DPI = 300
_STYLE = {"font.size": 8, "axes.linewidth": 0.6, "legend.fontsize": 6.5, "legend.frameon": False}


def print_figures(data: ReportData) -> Iterator[tuple[str, Any]]:
    """Yield the name and the matplotlib figure of every figure that has data.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    matplotlib = require("matplotlib", extra="report")
    with matplotlib.rc_context(_STYLE):
        yield "funnel", _funnel(data)
        if data.thresholds is not None and thresholds_missing(data) is None:
            yield "precision-recall", _precision_recall(data, data.thresholds)
            if np.isfinite(data.thresholds.f1).any():
                yield "f1-surface", _f1_surface(data.thresholds)
            if any(np.isfinite(part).any() for part in data.thresholds.c_eff):
                yield "c-eff", _over_thresholds(data.thresholds, data.thresholds.c_eff, "C_eff (CPU-s)")
            if saving_missing(data) is None and np.isfinite(data.thresholds.saving[0]).any():
                yield "saving", _over_thresholds(data.thresholds, data.thresholds.saving, "saving (share of CPU-s)")
        if three_metrics(data):
            yield "three-metrics", _three_metrics(data)
        if data.parity is not None:
            yield "parity", _parity(data.parity, with_errors=errors_missing(data) is None)
        if data.calibration is not None and coverage_missing(data) is None:
            yield "calibration", _calibration(data.calibration)
        if isinstance(data.dos_map, DosMap):
            yield "dos-map", _map(data.dos_map)
        if data.dos_pairs is not None:
            yield "dos-pair", _pair(data.dos_pairs)
            if data.dos_pairs.similarity is not None:
                yield "dos-similarity", _similarity(data.dos_pairs)
        if data.costs.stages:
            yield "cost-by-stage", _costs(data)
        yield from print_hulls(data.hulls)


def _funnel(data: ReportData) -> Any:
    steps, counts = list(data.funnel), list(data.funnel.values())
    figure, (axis,) = print_axes(COLUMN * 1.4, 0.5 + 0.32 * len(steps))
    axis.barh(range(len(steps)), counts, left=[-count / 2 for count in counts], color=BLUE, height=0.72)
    for place, count in enumerate(counts):
        axis.text(0, place, f"{count:,}", ha="center", va="center", bbox={"facecolor": "white", "lw": 0, "pad": 1})
    axis.set(yticks=range(len(steps)), yticklabels=steps, xticks=[])
    axis.invert_yaxis()
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return figure


def _precision_recall(data: ReportData, found: ThresholdFigures) -> Any:
    figure, (axis,) = print_axes(COLUMN * 1.3, COLUMN * 1.3)
    for f1 in (0.2, 0.4, 0.6, 0.8):
        axis.plot(*f1_isoline(f1), color=GREY, ls="--", lw=0.6)
    for curve, colour, style in zip(found.curves, (BLUE, ORANGE) * 2, ("-", "-", ":", ":"), strict=True):
        axis.plot(curve.recall, curve.precision, color=colour, ls=style, lw=1.2, label=curve.label)
    at = found.at_chosen
    axis.plot([at.discoverability], [at.success_ratio], "X", color=PURPLE, ms=7, label="chosen, among the relaxed")
    whole = data.metrics.metrics
    if whole is not None and math.isfinite(whole.discoverability):
        axis.plot([whole.discoverability], [whole.success_ratio], "*", color=GREEN, ms=9, label="with the audit")
    axis.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="discoverability (recall)", ylabel="success ratio (precision)")
    axis.legend(loc="lower left")
    return figure


def _three_metrics(data: ReportData) -> Any:
    figure, (axis,) = print_axes(COLUMN * 1.3, COLUMN)
    bars = three_metrics(data)
    width = 0.8 / len(bars)
    for number, ((label, metrics, interval), colour) in enumerate(zip(bars, (GREEN, BLUE, ORANGE), strict=False)):
        indices = np.arange(3) + (number - (len(bars) - 1) / 2) * width
        values = np.array([metrics.success_ratio, metrics.discoverability, metrics.f1])
        axis.bar(indices, np.nan_to_num(values), width * 0.94, color=colour, label=label)
        if interval is not None:
            error = [[max(values[1] - interval[0], 0.0)], [max(interval[1] - values[1], 0.0)]]
            axis.errorbar(indices[1:2], values[1:2], yerr=error, color="black", lw=0.8, capsize=2)
    axis.set(xticks=range(3), xticklabels=["success ratio", "discoverability", "F1"], ylim=(0, 1.03))
    figure.legend(loc="outside lower center", ncols=1)
    return figure


def _f1_surface(found: ThresholdFigures) -> Any:
    figure, (axis,) = print_axes(COLUMN * 1.3, COLUMN)
    sweep = found.sweep.sweep
    mesh = axis.pcolormesh(
        sweep.max_hull_energy, sweep.max_formation_energy, found.f1, cmap="viridis", shading="nearest", rasterized=True
    )
    figure.colorbar(mesh, label="F1")
    axis.plot([found.chosen[1]], [found.chosen[0]], "X", color="white", mec="black", ms=7)
    axis.set(xlabel="threshold of E_hull(ML) (eV/atom)", ylabel="threshold of E_f(ML) (eV/atom)")
    return figure


def _over_thresholds(found: ThresholdFigures, values: tuple[Floats, Floats], label: str) -> Any:
    figure, axes = print_axes(PAGE * 0.8, COLUMN * 0.8, columns=2, sharey=True)
    sweep = found.sweep.sweep
    grids = ((sweep.max_formation_energy, "E_f(ML)"), (sweep.max_hull_energy, "E_hull(ML)"))
    for axis, (grid, title), y, chosen, colour in zip(axes, grids, values, found.chosen, (BLUE, ORANGE), strict=True):
        axis.plot(grid, np.where(np.isfinite(y), y, np.nan), color=colour, lw=1.2)
        axis.axvline(chosen, color=GREY, ls="--", lw=0.8)
        axis.set(xlabel=f"threshold of {title} (eV/atom)")
    axes[0].set_ylabel(label)
    return figure


def _parity(found: Parity, *, with_errors: bool) -> Any:
    figure, (axis,) = print_axes(COLUMN, COLUMN)
    limits = found.limits
    if len(found.labels) > MOST_POINTS:
        axis.hexbin(found.calculated, found.predicted, gridsize=80, bins="log", cmap="viridis", rasterized=True)
    else:
        for chosen, colour, label in ((~found.stable, ORANGE, "not stable"), (found.stable, GREEN, "stable")):
            axis.scatter(
                found.calculated[chosen], found.predicted[chosen], s=9, color=colour, lw=0, alpha=0.8, label=label
            )
        axis.legend(loc="lower right")
    axis.plot(limits, limits, color=GREY, lw=0.8)
    errors = found.metrics
    text = f"MAE {errors.mae:.3f} eV/atom\nRMSE {errors.rmse:.3f} eV/atom\n" if with_errors else ""
    text += f"n = {errors.n}"
    axis.text(0.04, 0.96, text, transform=axis.transAxes, va="top")
    axis.set(xlim=limits, ylim=limits, aspect="equal", xlabel="E_f(DFT) (eV/atom)", ylabel="E_f(ML) (eV/atom)")
    return figure


def _calibration(found: Calibration) -> Any:
    figure, (left, right) = print_axes(PAGE * 0.8, COLUMN * 0.8, columns=2)
    left.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    left.plot(found.curve.expected, found.curve.observed, color=BLUE, lw=1.2)
    left.set(xlabel="nominal coverage", ylabel="observed coverage", xlim=(0, 1), ylim=(0, 1.02))
    right.hist(np.clip(found.scores, -4, 4), bins=np.linspace(-4, 4, 33), density=True, color=BLUE, alpha=0.6)
    grid = np.linspace(-4, 4, 81)
    right.plot(grid, [NormalDist().pdf(value) for value in grid], color=GREY, lw=0.8)
    right.set(xlabel="error / sigma", ylabel="density")
    return figure


def _map(found: DosMap) -> Any:
    rows = math.ceil(len(found.panels) / 2)
    figure, axes = print_axes(PAGE * 0.85, 0.5 + 2.6 * rows, rows=rows, columns=2)
    limits = [float(found.e_form_ml.min()), float(found.e_form_ml.max())]
    points = None
    for axis, (title, kept) in zip(axes, found.panels, strict=False):
        x, y, colours = found.x[kept], found.y[kept], found.e_form_ml[kept]
        points = axis.scatter(x, y, c=colours, s=5, lw=0, vmin=limits[0], vmax=limits[1], rasterized=True)
        axis.set(title=f"{title}: {int(kept.sum())}", xticks=[], yticks=[])
        axis.set(xlim=with_margin(found.x), ylim=with_margin(found.y))
    for axis in axes[len(found.panels) :]:
        axis.set_visible(False)
    figure.colorbar(points, ax=axes, label="E_f(ML) (eV/atom)", shrink=0.7)
    return figure


def _pair(found: DosPairs) -> Any:
    figure, (axis,) = print_axes(COLUMN * 1.3, COLUMN * 0.9)
    pair = found.shown[0]
    lines = (("IS", pair.initial, pair.efermi_initial, PURPLE), ("RS", pair.relaxed, pair.efermi_relaxed, GREEN))
    for label, densities, level, colour in lines:
        axis.plot(ENERGY_GRID, densities, color=colour, lw=0.9, label=label)
        if level is not None:
            axis.axvline(level, color=colour, ls="--", lw=0.8)
    zero = "energy above the Fermi level (eV)" if found.fermi_is_zero else "energy (eV)"
    axis.set(xlabel=zero, ylabel=f"DOS ({found.unit})")
    axis.set_title(plain_text(pair.label))
    axis.legend()
    return figure


def _similarity(found: DosPairs) -> Any:
    figure, (axis,) = print_axes(COLUMN * 1.3, COLUMN * 0.9)
    rows = [row for row in found.similarity.table() if row["channel"] == "all"] if found.similarity else []
    for shift, key, label, colour in (
        (-0.2, "same", "IS and RS of one", ORANGE),
        (0.2, "random", "two at random", GREEN),
    ):
        values = [row[key]["mae_normalised"] or 0.0 for row in rows]
        errors = [row[key]["deviation_normalised"] or 0.0 for row in rows]
        axis.bar(
            np.arange(len(rows)) + shift, values, 0.38, yerr=errors, color=colour, label=label, error_kw={"lw": 0.7}
        )
    axis.set(xticks=range(len(rows)), ylabel="MAE (fraction of the range)")
    axis.set_xticklabels([row["property"] for row in rows], rotation=30, ha="right")
    axis.legend()
    return figure


def _costs(data: ReportData) -> Any:
    stages = data.costs.stages
    figure, (axis,) = print_axes(COLUMN * 1.3, 0.7 + 0.32 * len(stages))
    hours = [stage.cpu_hours for stage in stages]
    bars = axis.barh([stage.title for stage in stages], hours, color=BLUE)
    axis.bar_label(bars, labels=[f"{value:.3g}" for value in hours], padding=2)
    axis.invert_yaxis()
    axis.set(xlabel="CPU-hours", xlim=(0, 1.15 * max([*hours, 1e-9])))
    return figure
