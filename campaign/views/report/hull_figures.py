"""Data of the hulls of chemical systems and of the periodic table, which the browser draws."""

from collections.abc import Iterable
from typing import Any

from campaign.views.figures.elements import FEWEST_RELAXED
from campaign.views.figures.hulls import MOST_CANDIDATES, MOST_PHASES, HullPoint
from campaign.views.report.data import ReportData
from campaign.views.report.plotly_figures import PageFigure


def hull_figures(data: ReportData) -> list[PageFigure]:
    """Return the figures of the hulls and of the periodic table."""
    return [_hull_figure(data), _elements_figure(data)]


def _hull_figure(data: ReportData) -> PageFigure:
    missing = "No candidate of two or more elements has an energy yet, or the reference set is not complete."
    return PageFigure(
        id="hull",
        title="Chemical systems with the candidates on them",
        reading="Lines connect the stable known phases: a candidate below the hull is more stable than all known "
        "phases, one just above it may still exist. For three and four elements, the colour shows the distance to the "
        "hull. Hover over a marker for its values.",
        missing=missing if data.hulls is None else None,
        notes=_hull_notes(data),
        height=460,
        has_choice=True,
        is_wide=True,
    )


def _hull_notes(data: ReportData) -> list[str]:
    if data.hulls is None:
        return []
    notes = []
    shown, every = len(data.hulls.systems), data.hulls.n_systems
    if shown < every:
        notes.append(f"The {shown} of {every} chemical systems with the most stable candidates.")
    if any(len(hull.candidates) < hull.n_candidates for hull in data.hulls.systems):
        notes.append(f"At most {MOST_CANDIDATES} candidates of a system, the most stable ones.")
    if any(len(hull.phases) < hull.n_phases for hull in data.hulls.systems):
        notes.append(f"At most {MOST_PHASES} known phases of a system: those on the hull, then the nearest above it.")
    return notes


def _elements_figure(data: ReportData) -> PageFigure:
    return PageFigure(
        id="elements",
        title="Success by element",
        reading="Fraction of the relaxed candidates with an element that are stable. Grey: fewer than "
        f"{FEWEST_RELAXED} relaxed so far. Hover over an element for its counts.",
        missing="The campaign has no candidates." if data.elements is None else None,
        notes=["Relaxed candidates are mostly promoted ones, so this is not a representative sample of all candidates."]
        if data.campaign.spec.purpose == "screening" and data.elements is not None
        else [],
        height=420,
        is_wide=True,
    )


def hulls_json(data: ReportData) -> list[dict[str, Any]]:
    """Return the data from which the browser draws the hulls; energies in eV/atom."""
    return [
        {
            "system": list(hull.system),
            "phases": _points(hull.phases),
            "ties": [list(pair) for pair in hull.tie_lines],
            "candidates": _points(hull.candidates),
            "n": hull.n_candidates,
        }
        for hull in (data.hulls.systems if data.hulls else [])
    ]


def _points(points: Iterable[HullPoint]) -> list[dict[str, Any]]:
    return [
        {
            **{"id": point.id, "name": point.name, "formula": point.formula, "kind": point.kind},
            **{"x": [round(part, 6) for part in point.fractions], "e": point.e_form, "d": point.e_above_hull},
            "parts": point.decomposition,
        }
        for point in points
    ]


def elements_json(data: ReportData) -> dict[str, Any]:
    """Return the data from which the browser draws the periodic table."""
    shown = [
        [one.symbol, one.row, one.column, one.n_candidates, one.n_relaxed, one.n_stable] for one in data.elements or ()
    ]
    return {"fewest": FEWEST_RELAXED, "shown": shown}
