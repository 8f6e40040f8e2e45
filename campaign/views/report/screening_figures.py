"""Interactive figures of the decisions: the funnel, metrics, thresholds."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from campaign.config.wording import format_count
from campaign.metrics.audit import DiscoverabilityEstimate
from campaign.metrics.metrics import Metrics
from campaign.views.figures.thresholds import FEWEST_LET_THROUGH, ThresholdFigures, f1_isoline
from campaign.views.metrics.text import sweep_note
from campaign.views.report.data import ReportData
from campaign.views.report.enough import success_ratio_missing, thresholds_missing
from campaign.views.report.plotly_figures import (
    BELOW,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    PageFigure,
    compact,
    figure_json,
    graph_objects,
    guide_line,
    heatmap,
    padded_range,
)


def precision_recall_figure(data: ReportData) -> PageFigure:
    """Return the figure of precision and recall (figure 4a)."""
    blank = PageFigure(
        id="precision-recall",
        title="Precision and recall over the thresholds",
        reading="Looser thresholds move to the right: more stable materials found, more relaxations wasted; the upper "
        "right corner is perfect.",
    )
    found, missing = data.thresholds, thresholds_missing(data)
    if found is None or missing is not None:
        return replace(blank, missing=missing)
    go = graph_objects()
    traces = [*_isolines()]
    for curve, colour, dash in zip(found.curves, (BLUE, ORANGE) * 2, ("solid",) * 2 + ("dot",) * 2, strict=True):
        traces.append(
            go.Scatter(
                x=compact(curve.recall),
                y=compact(curve.precision),
                customdata=compact(curve.threshold),
                name=curve.label,
                mode="lines+markers" if len(curve.threshold) < 60 else "lines",
                marker={"size": 4},
                line={"color": colour, "dash": dash, "width": 2 if dash == "solid" else 1.2},
                hovertemplate="at %{customdata:.3f} eV/atom: recall %{x:.3f}, precision %{y:.3f}<extra></extra>",
            )
        )
    traces += _chosen_points(data, found)
    axis = {"range": [0, 1.04], "dtick": 0.2}
    json = figure_json(
        traces,
        xaxis={"title": "discoverability (recall)", **axis},
        yaxis={"title": "success ratio (precision)", **axis},
        legend=BELOW,
    )
    return replace(blank, json=json, notes=[sweep_note(found.sweep)], height=560, is_wide=True)


def _isolines() -> Iterator[Any]:
    font = {"color": GREY, "size": 10}
    for f1 in (0.2, 0.4, 0.6, 0.8):
        recall, precision = map(compact, f1_isoline(f1))
        label = {"text": [*[""] * (len(recall) - 1), f"F1 {f1:g}"], "textposition": "top left", "textfont": font}
        yield guide_line(recall, precision, dash="dash", mode="lines+text", showlegend=False, **label)


def _chosen_points(data: ReportData, found: ThresholdFigures) -> list[Any]:
    go = graph_objects()
    points = []
    if not math.isnan(found.at_chosen.success_ratio):
        points.append(_point(found.at_chosen, "this campaign's decisions, among the relaxed", "x", PURPLE))
    whole = data.metrics.metrics
    if whole is not None and math.isfinite(whole.discoverability) and math.isfinite(whole.success_ratio):
        point = _point(whole, "this campaign, with the audit", "star", GREEN)
        if data.metrics.estimate is not None:
            low, high = data.metrics.estimate.interval
            point.error_x = go.scatter.ErrorX(
                type="data",
                symmetric=False,
                array=[max(high - whole.discoverability, 0.0)],
                arrayminus=[max(whole.discoverability - low, 0.0)],
                color=GREEN,
            )
        points.append(point)
    return points


def _point(metrics: Metrics, name: str, symbol: str, colour: str) -> Any:
    return graph_objects().Scatter(
        x=[metrics.discoverability],
        y=[metrics.success_ratio],
        name=name,
        mode="markers",
        marker={"symbol": symbol, "size": 14, "color": colour},
        hovertemplate=f"{name}<br>recall %{{x:.3f}}, precision %{{y:.3f}}<extra></extra>",
    )


def three_metrics_figure(data: ReportData) -> PageFigure:
    """Return the figure of the three metrics (figure 4b)."""
    blank = PageFigure(
        id="three-metrics",
        title="Success ratio, discoverability and F1",
        reading="Success ratio: fraction of the promoted candidates that are stable; discoverability: fraction of the "
        "stable ones that were promoted; F1: their harmonic mean. 1 is perfect.",
    )
    bars = three_metrics(data)
    if not bars:
        return replace(blank, missing=success_ratio_missing(data))
    go = graph_objects()
    traces = []
    for (label, metrics, interval), colour in zip(bars, (GREEN, BLUE, ORANGE), strict=False):
        values = [metrics.success_ratio, metrics.discoverability, metrics.f1]
        shown = [value if math.isfinite(value) else None for value in values]
        error = None
        if interval is not None and shown[1] is not None:
            above, below = max(interval[1] - values[1], 0.0), max(values[1] - interval[0], 0.0)
            error = {"type": "data", "symmetric": False, "array": [None, above, None], "color": GREY}
            error["arrayminus"] = [None, below, None]
        traces.append(
            go.Bar(
                x=["success ratio", "discoverability", "F1"],
                y=shown,
                name=label,
                marker={"color": colour},
                error_y=error,
                text=["unknown" if value is None else f"{value:.3f}" for value in shown],
                textposition="inside",
                insidetextanchor="start",
                insidetextfont={"color": "#ffffff"},
                hovertemplate="%{x}: %{y:.3f}<extra></extra>",
            )
        )
    notes = ["The error bar of the discoverability is its interval from the audit."] if bars[0][2] is not None else []
    if data.metrics.estimate is not None and math.isnan(data.metrics.estimate.discoverability):
        notes = [_why_unknown(data.metrics.estimate, has_audit=data.metrics.has_audit)]
    json = figure_json(traces, barmode="group", yaxis={"range": [0, 1.04]}, legend=BELOW)
    return replace(blank, json=json, notes=notes)


def _why_unknown(estimate: DiscoverabilityEstimate, *, has_audit: bool) -> str:
    """Return the reason why the discoverability has no value."""
    if waiting := estimate.counts.audit_open:
        return (
            f"Not relaxed yet: {format_count(waiting, 'candidate')} of the audit. Until then the number of missed "
            "materials is unknown, and with it the campaign's discoverability and F1."
        )
    if estimate.counts.audited:
        return "No stable material is known yet, so the campaign's discoverability and F1 have no value."
    if has_audit:
        return (
            "The audit has not drawn any rejected candidate so far: the number of missed materials is unknown, and "
            "with it the campaign's discoverability and F1."
        )
    return (
        "There is no audit, so the number of missed materials is unknown, and with it the campaign's "
        "discoverability and F1."
    )


def three_metrics(data: ReportData) -> list[tuple[str, Metrics, tuple[float, float] | None]]:
    """Return label, metrics and discoverability interval of the campaign, its decisions among the relaxed, and the
    best.
    """
    bars: list[tuple[str, Metrics, tuple[float, float] | None]] = []
    whole = data.metrics.metrics
    if success_ratio_missing(data) is not None:
        return []
    if whole is not None and math.isfinite(whole.success_ratio):
        estimate = data.metrics.estimate
        interval = None if estimate is None or math.isnan(estimate.discoverability) else estimate.interval
        bars.append(("this campaign (all decided on)", whole, interval))
    if data.thresholds is not None and thresholds_missing(data) is None:
        bars.append(("this campaign, among the relaxed", data.thresholds.at_chosen, None))
        if (best := data.thresholds.sweep.best_by_f1) is not None:
            at = f"{best.max_formation_energy:g}, {best.max_hull_energy:g} eV/atom"
            bars.append((f"best thresholds among the relaxed ({at})", best.metrics, None))
    return bars


def f1_figure(data: ReportData) -> PageFigure:
    """Return the figure of the F1 score (figure A7)."""
    blank = PageFigure(
        id="f1-surface",
        title="F1 over both thresholds",
        reading="Brighter is better: the colour shows the F1 that a pair of thresholds would have had among the "
        "relaxed candidates.",
    )
    found, missing = data.thresholds, thresholds_missing(data)
    if found is None or missing is not None:
        return replace(blank, missing=missing)
    if not np.isfinite(found.f1).any():
        return replace(blank, missing=found.too_few)
    go = graph_objects()
    sweep = found.sweep.sweep
    hover = "E_f(ML) ≤ %{y:.2f}, E_hull(ML) ≤ %{x:.2f} eV/atom: F1 %{z:.3f}"
    traces = [heatmap(sweep.max_hull_energy, sweep.max_formation_energy, found.f1, title="F1", hover=hover)]
    best = found.sweep.best_by_f1
    marks = [("best by F1" if found.chosen_is_best else "chosen", *found.chosen, "x")]
    if best is not None and not found.chosen_is_best:
        marks.append(("best by F1", best.max_formation_energy, best.max_hull_energy, "circle"))
    for name, y, x, symbol in marks:
        marker = {"symbol": symbol, "size": 12, "color": "#ffffff", "line": {"color": "#000000", "width": 1.5}}
        traces.append(go.Scatter(x=[x], y=[y], mode="markers", name=name, marker=marker))
    json = figure_json(
        traces,
        xaxis={"title": "threshold of E_hull(ML) (eV/atom)", "range": padded_range(sweep.max_hull_energy)},
        yaxis={"title": "threshold of E_f(ML) (eV/atom)", "range": padded_range(sweep.max_formation_energy)},
        legend=BELOW,
    )
    notes = [f"Blank where fewer than {FEWEST_LET_THROUGH} relaxed candidates pass."]
    return replace(blank, json=json, height=460, notes=notes)


def funnel_figure(data: ReportData) -> PageFigure:
    """Return the funnel: the number of candidates left after each step of the screening (figure 5a)."""
    trace = graph_objects().Funnel(
        y=list(data.funnel),
        x=list(data.funnel.values()),
        marker={"color": BLUE},
        connector={"fillcolor": "rgba(138,138,138,0.25)"},
        # an empty bar has no room for its number
        textposition="auto",
        texttemplate="%{value:,}",
        hovertemplate="%{y}: %{x:,} (%{percentInitial:.1%} of all)<extra></extra>",
    )
    return PageFigure(
        id="funnel",
        title="Funnel of the screening",
        reading="Each bar shows the candidates left after a step; the last one shows the stable ones found.",
        json=figure_json([trace], showlegend=False, yaxis={"title": None}),
        height=60 + 48 * len(data.funnel),
        is_wide=True,
    )
