"""Interactive figures of the cost: per stage, C_eff and saving over the thresholds."""

from dataclasses import replace
from typing import Literal

import numpy as np

from campaign.views.figures.documents import Floats
from campaign.views.figures.thresholds import FEWEST_LET_THROUGH, ThresholdFigures
from campaign.views.report.data import ReportData
from campaign.views.report.enough import NOTHING_STABLE, saving_missing, thresholds_missing
from campaign.views.report.plotly_figures import (
    BELOW,
    BLUE,
    ORANGE,
    PageFigure,
    compact,
    figure_json,
    graph_objects,
    guide_line,
    padded_range,
)


def cost_figure(data: ReportData) -> PageFigure:
    """Return the figure of CPU-hours per stage."""
    blank = PageFigure(
        id="cost-by-stage",
        title="CPU-hours by stage",
        reading="CPU time used so far by each kind of work, including failed attempts, references and training "
        "structures.",
    )
    stages = data.costs.stages
    if not stages:
        return replace(blank, missing="Nothing has been computed yet.")
    stages = stages[::-1]
    trace = graph_objects().Bar(
        y=[stage.title for stage in stages],
        x=[stage.cpu_hours for stage in stages],
        customdata=[stage.attempts for stage in stages],
        orientation="h",
        marker={"color": BLUE},
        textangle=0,
        textposition="outside",
        cliponaxis=False,
        text=[f"{stage.cpu_hours:.3g}" for stage in stages],
        hovertemplate="%{y}: %{x:.4g} CPU-hours in %{customdata} attempts<extra></extra>",
    )
    axis = {"title": "CPU-hours", "range": [0, 1.12 * max(stage.cpu_hours for stage in stages) or 1.0]}
    json = figure_json([trace], xaxis=axis, showlegend=False)
    return replace(blank, json=json, height=110 + 42 * len(stages), is_wide=True)


def effective_cost_figure(data: ReportData) -> PageFigure:
    """Return the figure of the effective cost C_eff over the thresholds (figure A8)."""
    blank = PageFigure(
        id="c-eff",
        title="Cost of a discovery over the thresholds",
        reading="C_eff = (C_opt PPCR + C_pre) / discoverability: the lower, the cheaper each stable material; one "
        "threshold varies, the other is kept.",
        notes=[
            f"Over the relaxed candidates only, with measured costs; gaps where fewer than {FEWEST_LET_THROUGH} of "
            "them pass."
        ],
    )
    if (missing := thresholds_missing(data)) is not None:
        return replace(blank, missing=missing, notes=())
    return _over_thresholds(blank, data.thresholds, "c_eff", title="C_eff (CPU-s)", digits=".0f")


def saving_figure(data: ReportData) -> PageFigure:
    """Return the figure of the saving in CPU time over the thresholds."""
    blank = PageFigure(
        id="saving",
        title="Saving over the thresholds",
        reading="Fraction of the CPU time saved compared with relaxing every candidate, including the IS-DOS; below "
        "0, screening costs more than it saves.",
        notes=["Over all candidates decided on, with measured mean costs; without the audit."],
    )
    if data.thresholds is not None and (missing := saving_missing(data)) is not None:
        return replace(blank, missing=missing, notes=())
    return _over_thresholds(blank, data.thresholds, "saving", title="saving", digits=".1%")


def _over_thresholds(
    blank: PageFigure, found: ThresholdFigures | None, what: Literal["c_eff", "saving"], *, title: str, digits: str
) -> PageFigure:
    if found is None:
        return replace(blank, missing=NOTHING_STABLE, notes=())
    values: tuple[Floats, Floats] = getattr(found, what)
    if not any(np.isfinite(part).any() for part in values):
        unknown = found.sweep.sweep.costs is None
        return replace(blank, missing="No costs are known yet." if unknown else found.too_few, notes=())
    go = graph_objects()
    forms, hulls = found.sweep.sweep.max_formation_energy, found.sweep.sweep.max_hull_energy
    traces = []
    labels = (f"E_f(ML) moves, E_hull(ML) ≤ {found.chosen[1]:g}", f"E_hull(ML) moves, E_f(ML) ≤ {found.chosen[0]:g}")
    for number, (x, y, label, colour) in enumerate(zip((forms, hulls), values, labels, (BLUE, ORANGE), strict=True)):
        axis = "2" if number else ""
        traces.append(
            go.Scatter(
                x=compact(x),
                # infinite if nothing is found, drawn as a gap
                y=compact(np.where(np.isfinite(y), y, np.nan)),
                name=label,
                line={"color": colour},
                xaxis=f"x{axis}",
                yaxis=f"y{axis}",
                hovertemplate=f"%{{x:.2f}} eV/atom: %{{y:{digits}}}<extra></extra>",
            )
        )
        options = {"xaxis": f"x{axis}", "yaxis": "y4" if number else "y3", "showlegend": False}
        traces.append(guide_line([found.chosen[number]] * 2, [0, 1], dash="dash", **options))
    hidden = {"visible": False, "range": [0, 1]}
    # as many digits as the ticks need, since rounded labels repeat on a narrow axis
    tick = {"tickformat": "~%"} if "%" in digits else {}
    json = figure_json(
        traces,
        xaxis={"title": "E_f(ML) (eV/atom)", "domain": [0, 0.47], "range": padded_range(forms)},
        xaxis2={"title": "E_hull(ML) (eV/atom)", "domain": [0.53, 1], "anchor": "y2", "range": padded_range(hulls)},
        yaxis={"title": title, **tick},
        yaxis2={"anchor": "x2", "matches": "y", "showticklabels": False},
        yaxis3={**hidden, "overlaying": "y"},
        yaxis4={**hidden, "overlaying": "y2", "anchor": "x2"},
        legend=BELOW,
    )
    return replace(blank, json=json)
