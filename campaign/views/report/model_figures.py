"""Interactive figures of the model and of the DOS: parity, calibration, map, similarity."""

import math
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np

from campaign.views.figures.documents import with_margin
from campaign.views.figures.dos_map import MOST_POINTS as MOST_ON_MAP
from campaign.views.figures.dos_map import DosMap
from campaign.views.figures.parity import MOST_POINTS, Parity
from campaign.views.report.data import ReportData
from campaign.views.report.enough import coverage_missing, errors_missing
from campaign.views.report.plotly_figures import (
    BELOW,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SCALE,
    PageFigure,
    as_text,
    compact,
    figure_json,
    graph_objects,
    guide_line,
    heatmap,
)


def parity_figure(data: ReportData) -> PageFigure:
    """Return the parity plot of predictions and DFT (figure 3)."""
    blank = PageFigure(
        id="parity",
        title="Predicted against calculated formation energy",
        reading="Predictions on the diagonal are exact; above it, the model finds a crystal less stable than it is.",
    )
    found, missing = data.parity, errors_missing(data)
    if found is None:
        return replace(blank, missing=missing)
    limits = found.limits
    # single points are always shown, but not a mean over a few of them
    notes = [_format_parity(found) if missing is None else f"Mean errors: {missing[0].lower()}{missing[1:]}"]
    traces = [guide_line(limits, limits, showlegend=False)]
    if len(found.labels) > MOST_POINTS:
        traces.append(_parity_density(found))
        notes.append(f"{len(found.labels)} candidates: shown as a density, on a logarithmic scale.")
    else:
        traces += _parity_points(found)
    axes = {"xaxis": {"title": "E_f(DFT) (eV/atom)", "range": limits}}
    axes["yaxis"] = {"title": "E_f(ML) (eV/atom)", "range": limits}
    return replace(blank, json=figure_json(traces, **axes, legend=BELOW), notes=notes, height=520)


def _format_parity(found: Parity) -> str:
    """Format the errors in one line."""
    errors = found.metrics
    r2 = "undefined" if errors.r2 is None else f"{errors.r2:.3f}"
    return (
        f"MAE {errors.mae:.3f} eV/atom, RMSE {errors.rmse:.3f} eV/atom, bias {errors.bias:+.3f} eV/atom, R² {r2}, "
        f"over {errors.n} relaxed candidates; mostly promoted ones, so not a representative sample of all."
    )


def _parity_points(found: Parity) -> list[Any]:
    go = graph_objects()
    traces = []
    for name, chosen, colour in (("not stable", ~found.stable, ORANGE), ("stable", found.stable, GREEN)):
        indices = np.flatnonzero(chosen)
        traces.append(
            go.Scatter(
                x=compact(found.calculated[indices]),
                y=compact(found.predicted[indices]),
                text=as_text([found.labels[place] for place in indices]),
                name=f"{name} ({len(indices)})",
                mode="markers",
                marker={"color": colour, "size": 7, "opacity": 0.75},
                hovertemplate="%{text}<br>DFT %{x:.3f}, ML %{y:.3f} eV/atom<extra></extra>",
            )
        )
    return traces


def _parity_density(found: Parity) -> Any:
    counts, x, y = np.histogram2d(found.calculated, found.predicted, bins=80)
    with np.errstate(divide="ignore"):
        shown = np.where(counts.T > 0, np.log10(counts.T), np.nan)
    hover = "DFT %{x:.2f}, ML %{y:.2f} eV/atom"
    return heatmap((x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2, shown, title="log10(n)", hover=hover)


def calibration_figure(data: ReportData) -> PageFigure:
    """Return the figure of the coverage of the uncertainties."""
    blank = PageFigure(
        id="calibration",
        title="Calibration of the uncertainty",
        reading="On the diagonal the predicted uncertainties are correct; below it, errors are larger than predicted.",
    )
    found, missing = data.calibration, coverage_missing(data)
    if found is None or missing is not None:
        return replace(blank, missing=missing)
    go = graph_objects()
    limits = np.linspace(-4.0, 4.0, 33)
    density, edges = np.histogram(np.clip(found.scores, -4.0, 4.0), bins=limits, density=True)
    grid = np.linspace(-4.0, 4.0, 81)
    normal = [NormalDist().pdf(value) for value in grid]
    traces = [
        guide_line([0, 1], [0, 1], name="honest"),
        go.Scatter(
            x=compact(found.curve.expected),
            y=compact(found.curve.observed),
            mode="lines",
            line={"color": BLUE, "width": 2},
            name="observed",
            hovertemplate="interval of %{x:.0%} contains %{y:.1%} of the errors<extra></extra>",
        ),
        go.Bar(
            x=compact((edges[1:] + edges[:-1]) / 2),
            y=compact(density),
            xaxis="x2",
            yaxis="y2",
            marker={"color": BLUE, "opacity": 0.6},
            name="error / sigma",
            hovertemplate="error %{x:.2f} sigma<extra></extra>",
        ),
        guide_line(compact(grid), compact(normal), xaxis="x2", yaxis="y2", name="normal distribution"),
    ]
    curve = found.curve
    note = (
        f"Over {curve.n_samples} relaxed candidates: intervals of 68 % contain {curve.coverage(0.68):.0%} of the "
        f"errors, those of 95 % contain {curve.coverage(0.95):.0%}; miscalibration area {curve.area:.3f} (0 is "
        f"perfect, 0.5 the worst); mean predicted standard deviation {curve.sharpness:.3f} eV/atom."
    )
    return replace(
        blank,
        json=figure_json(
            traces,
            xaxis={"title": "nominal coverage", "domain": [0, 0.44], "range": [0, 1], "tickformat": ".0%"},
            yaxis={"title": "observed coverage", "range": [0, 1.02], "tickformat": ".0%"},
            xaxis2={"title": "error / sigma", "domain": [0.56, 1], "anchor": "y2"},
            yaxis2={"title": "density", "anchor": "x2"},
            legend=BELOW,
            bargap=0.05,
        ),
        notes=[note],
        height=460,
    )


def map_figure(data: ReportData) -> PageFigure:
    """Return the map of the DOS (figure 5b-e)."""
    blank = PageFigure(
        id="dos-map",
        title="Map of the DOS, step by step",
        reading="Each point is a candidate, near those with a similar DOS (UMAP); the colour shows its predicted "
        "formation energy; each panel shows the candidates that passed one more step.",
    )
    found = data.dos_map
    if isinstance(found, str):
        return replace(blank, missing=found)
    notes = [f"UMAP with seed {found.seed}; the axes have no unit and no physical meaning."]
    if found.n_all > len(found.labels):
        notes.append(f"A random sample of {MOST_ON_MAP} of {found.n_all} candidates (seed {found.seed}).")
    rows = math.ceil(len(found.panels) / 2)
    return replace(blank, json=_map_json(found, rows), notes=notes, height=120 + 330 * rows, is_wide=True)


def _map_json(found: DosMap, rows: int) -> str:
    go = graph_objects()
    traces, layout = [], {}
    annotations = []
    x_range, y_range = (with_margin(values) for values in (found.x, found.y))
    for number, (title, kept) in enumerate(found.panels):
        axis = "" if not number else str(number + 1)
        row, column = divmod(number, 2)
        top = 1.0 - row / rows
        x_domain, y_domain = [0.51 * column, 0.51 * column + 0.49], [top - 1.0 / rows + 0.02, top - 0.075]
        indices = np.flatnonzero(kept)
        traces.append(
            go.Scatter(
                x=compact(found.x[indices]),
                y=compact(found.y[indices]),
                text=as_text([found.labels[place] for place in indices]),
                xaxis=f"x{axis}",
                yaxis=f"y{axis}",
                mode="markers",
                marker={"size": 5, "color": compact(found.e_form_ml[indices]), "coloraxis": "coloraxis"},
                hovertemplate="%{text}<br>E_f(ML) %{marker.color:.3f} eV/atom<extra></extra>",
            )
        )
        hidden = {"showticklabels": False, "zeroline": False, "showline": True, "mirror": True, "showgrid": False}
        layout[f"xaxis{axis}"] = {"domain": x_domain, "anchor": f"y{axis}", "range": x_range, **hidden}
        layout[f"yaxis{axis}"] = {"domain": y_domain, "anchor": f"x{axis}", "range": y_range, **hidden}
        place = {"x": x_domain[0], "y": y_domain[1], "xref": "paper", "yref": "paper"}
        anchor = {"xanchor": "left", "yanchor": "bottom", "showarrow": False}
        annotations.append({"text": f"{title}: {len(indices)}", **place, **anchor})
    bar = {"title": {"text": "E_f(ML) (eV/atom)", "side": "top"}, "orientation": "h", "thickness": 12, "y": -0.02}
    colours = {"colorscale": SCALE, "colorbar": {**bar, "yanchor": "top", "len": 0.9}}
    return figure_json(traces, showlegend=False, annotations=annotations, coloraxis=colours, **layout)


def similarity_figure(data: ReportData) -> PageFigure:
    """Return the figure of the DOS similarity (figure 1b)."""
    blank = PageFigure(
        id="dos-similarity",
        title="Similarity of IS-DOS and RS-DOS",
        reading="Short bars for the same material and long ones for random pairs mean that the DOS of the unrelaxed "
        "crystal represents that of the relaxed one.",
    )
    pairs = data.dos_pairs
    if pairs is None or pairs.similarity is None:
        return replace(
            blank,
            missing="Fewer than two candidates have both an IS-DOS and an RS-DOS. Campaigns compute both for a "
            "training set, and with screening.retrain_every.",
        )
    go = graph_objects()
    rows = [row for row in pairs.similarity.table() if row["channel"] == "all"]
    traces = []
    for key, name, colour in (("same", "IS and RS of the same material", ORANGE), ("random", "two at random", GREEN)):
        deviations = [row[key]["deviation_normalised"] or 0.0 for row in rows]
        traces.append(
            go.Bar(
                x=[row["property"] for row in rows],
                y=[row[key]["mae_normalised"] for row in rows],
                error_y={"type": "data", "array": deviations, "color": GREY},
                name=name,
                marker={"color": colour},
                hovertemplate="%{x}: %{y:.4f} of the range<extra></extra>",
            )
        )
    about_pairs = pairs.similarity.about
    note = (
        f"{about_pairs['pairs']} of {pairs.n_pairs} candidates with both (seed {about_pairs['seed']}); mean over the "
        "18 channels, bars: standard deviation over the channels."
    )
    axis = {"title": "MAE (fraction of the range)", "rangemode": "tozero"}
    return replace(
        blank, json=figure_json(traces, barmode="group", yaxis=axis, legend=BELOW), notes=[note, *about_pairs["notes"]]
    )
