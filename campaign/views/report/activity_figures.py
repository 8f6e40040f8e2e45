"""Interactive figures of discoveries over CPU-hours and of the attempts of the last hours."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from campaign.views.figures.discoveries import Discoveries
from campaign.views.figures.timeline import HOURS, Bar, Timeline
from campaign.views.report.plotly_figures import (
    BELOW,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    PageFigure,
    as_text,
    figure_json,
    graph_objects,
)

#: Outcomes of attempts: their names, and their colours.
_OUTCOMES = {
    "completed": ("completed", GREEN),
    "running": ("running", BLUE),
    "science": ("failed (science)", ORANGE),
    "machine": ("failed (machine)", PURPLE),
    "lost": ("lost", "#c23b3b"),
    "stopped": ("stopped", GREY),
}


def discoveries_figure(found: Discoveries | None) -> PageFigure:
    """Return the figure of stable materials over CPU-hours."""
    blank = PageFigure(
        id="discoveries",
        title="Discoveries over CPU-hours",
        reading="Each step up is a stable crystal; where the line is flat, nothing new is found.",
    )
    if found is None:
        return replace(blank, missing="Nothing has been computed yet.")
    times = ["" if time is None else f"{time:%Y-%m-%d %H:%M} UTC" for time in found.times]
    times[-1] = "now"
    trace = graph_objects().Scatter(
        x=[round(hours, 6) for hours in found.cpu_hours],
        y=found.found,
        customdata=times,
        mode="lines",
        line={"shape": "hv", "color": GREEN, "width": 2},
        hovertemplate="%{y} stable after %{x:.4g} CPU-hours, %{customdata}<extra></extra>",
    )
    y_axis: dict[str, Any] = {"title": "stable crystals", "rangemode": "tozero"}
    if found.found[-1] < 10:
        y_axis |= {"dtick": 1, "range": [0, max(found.found[-1], 1) + 0.5]}
    json = figure_json(
        [trace], xaxis={"title": "CPU-hours", "rangemode": "tozero"}, yaxis=y_axis, showlegend=False, uirevision="keep"
    )
    return replace(blank, json=json, height=320)


def timeline_figure(found: Timeline | None) -> PageFigure:
    """Return the figure of the attempts of the last hours."""
    blank = PageFigure(
        id="timeline",
        title="The last hours",
        reading="Each bar is an attempt at a calculation or a step; bars in different rows ran at the same time.",
    )
    if found is None:
        return replace(blank, missing="Nothing has been started yet.")
    traces = [_bars([bar for bar in found.bars if bar.outcome == outcome], outcome) for outcome in _OUTCOMES]
    notes = [f"The {HOURS:g} hours before {found.end:%Y-%m-%d %H:%M} UTC."]
    if len(found.bars) < found.n_attempts:
        notes.append(f"The last {len(found.bars):,} of {found.n_attempts:,} attempts.")
    json = figure_json(
        [trace for trace in traces if trace is not None],
        xaxis={"type": "date", "range": [found.start.isoformat(), found.end.isoformat()]},
        yaxis={"categoryorder": "array", "categoryarray": as_text(found.rows[::-1]), "showgrid": False},
        barmode="overlay",
        bargap=0.25,
        legend=BELOW,
        uirevision="keep",
    )
    return replace(blank, json=json, notes=notes, height=max(320, 120 + 18 * len(found.rows)))


def _bars(bars: Sequence[Bar], outcome: str) -> Any:
    if not bars:
        return None
    name, colour = _OUTCOMES[outcome]
    said = [", ".join(part for part in (bar.label, bar.cause, bar.host) if part) for bar in bars]
    return graph_objects().Bar(
        base=[bar.start.isoformat() for bar in bars],
        # a bar of zero length would be invisible
        x=[max((bar.end - bar.start).total_seconds() * 1000.0, 1.0) for bar in bars],
        y=as_text([bar.row for bar in bars]),
        text=as_text(said),
        customdata=[f"{(bar.end - bar.start).total_seconds():.0f} s" for bar in bars],
        orientation="h",
        textposition="none",
        name=f"{name} ({len(bars)})",
        marker={"color": colour, "line": {"width": 0}},
        hovertemplate=f"%{{y}}: %{{text}}<br>{name}, %{{customdata}}<extra></extra>",
    )
