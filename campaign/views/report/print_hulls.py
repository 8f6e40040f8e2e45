"""Print figures of the hulls of two and three elements."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from campaign.views.figures.hulls import CampaignHulls, HullPoint, SystemHull
from campaign.views.report.print_style import BLUE, COLUMN, GREEN, GREY, ORANGE, plain_text, print_axes
from esnet.files.errors import require

_MOST_HULLS = 12
_MOST_NAMED = 6
_LARGEST_DISTANCE = 0.5  # eV/atom: larger distances have the last colour
_NAMES = {"predicted": "predicted, E_f(ML)", "relaxed": "relaxed, not stable", "stable": "relaxed, stable"}
_MARKERS = {"predicted": "o", "relaxed": "o", "stable": "*"}
_HEIGHT = math.sqrt(3.0) / 2.0


def print_hulls(hulls: CampaignHulls | None) -> Iterator[tuple[str, Any]]:
    """Yield the names and matplotlib figures of the best systems of two and three elements."""
    drawn = [hull for hull in (hulls.systems if hulls else []) if len(hull.system) in (2, 3)]
    for hull in drawn[:_MOST_HULLS]:
        yield f"hull-{'-'.join(hull.system)}", _binary(hull) if len(hull.system) == 2 else _ternary(hull)


def _of_kind(hull: SystemHull) -> Iterator[tuple[str, list[HullPoint]]]:
    for kind in _NAMES:
        if chosen := [point for point in hull.candidates if point.kind == kind]:
            yield kind, chosen


def _once(points: Sequence[HullPoint], taken: Sequence[HullPoint] = ()) -> list[HullPoint]:
    """Return the first point of each composition that is not in `taken`."""
    seen = {_rounded(point) for point in taken}
    found = []
    for point in points:
        if _rounded(point) not in seen:
            seen.add(_rounded(point))
            found.append(point)
    return found


def _rounded(point: HullPoint) -> tuple[float, ...]:
    return tuple(round(part, 4) for part in point.fractions)


def _named(hull: SystemHull) -> tuple[list[HullPoint], list[HullPoint]]:
    """Return the labelled points: known phases on the hull and stable candidates."""
    corners = _once([phase for phase in hull.phases if phase.is_on_hull])
    stable = [point for point in hull.candidates if point.kind == "stable"]
    return corners, _once(stable, corners)[:_MOST_NAMED]


def _binary(hull: SystemHull) -> Any:
    figure, (axis,) = print_axes(COLUMN * 1.3, COLUMN)
    for pair in hull.tie_lines:
        ends = [hull.phases[place] for place in pair]
        axis.plot([end.fractions[1] for end in ends], [end.e_form for end in ends], color=GREY, lw=0.9)
    axis.plot(
        [phase.fractions[1] for phase in hull.phases],
        [phase.e_form for phase in hull.phases],
        **{"ls": "", "marker": "s", "color": GREY, "ms": 4, "label": "known phases"},
    )
    styles: dict[str, dict[str, Any]] = {"predicted": {"mfc": "none", "mec": BLUE}, "relaxed": {"color": ORANGE}}
    styles["stable"] = {"color": GREEN, "ms": 8}
    for kind, chosen in _of_kind(hull):
        style = {"ms": 5, "marker": _MARKERS[kind], **styles[kind]}
        x, y = [point.fractions[1] for point in chosen], [point.e_form for point in chosen]
        axis.plot(x, y, ls="", label=_NAMES[kind], **style)
    for points, colour, up in zip(_named(hull), ("black", GREEN), (4, -9), strict=True):
        for point in points:
            _label(axis, point.formula, (point.fractions[1], point.e_form), (0, up), colour)
    axis.set(
        xlim=(-0.06, 1.06),
        xlabel=f"atomic fraction of {hull.system[1]} in {hull.system[0]}",
        ylabel="formation energy (eV/atom)",
    )
    axis.margins(y=0.12)
    axis.legend()
    return figure


def _ternary(hull: SystemHull) -> Any:
    figure, (axis,) = print_axes(COLUMN * 1.5, COLUMN * 1.25)
    corners = [(0.5, _HEIGHT), (0.0, 0.0), (1.0, 0.0)]
    axis.plot(*zip(*corners, corners[0], strict=True), color=GREY, lw=0.9)
    for pair in hull.tie_lines:
        ends = [_place(hull.phases[place]) for place in pair]
        axis.plot(*zip(*ends, strict=True), color=GREY, lw=0.6)
    _ternary_candidates(figure, axis, hull)
    for is_stable, label, marker in ((False, "known, not stable", "x"), (True, "known, stable", "s")):
        if places := [_place(phase) for phase in hull.phases if phase.is_on_hull == is_stable]:
            x, y = zip(*places, strict=True)
            axis.plot(x, y, ls="", marker=marker, color=GREY, ms=3, label=label, zorder=4)
    known, found = _named(hull)
    for phase in known:
        if max(phase.fractions) < 1.0:
            _label(axis, phase.formula, _place(phase), (0, 4), "black")
    for point in found:
        _label(axis, point.formula, _place(point), (0, -10), GREEN)
    for symbol, corner, offset in zip(hull.system, corners, ((0, 5), (-6, -10), (6, -10)), strict=True):
        _label(axis, symbol, corner, offset, "black", weight="bold")
    axis.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.1, _HEIGHT + 0.08))
    axis.axis("off")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _ternary_candidates(figure: Any, axis: Any, hull: SystemHull) -> None:
    best = _once(hull.candidates)
    if not best:
        return
    distances = [point.e_above_hull for point in best]
    low = min(0.0, *distances)
    high = max(low + 0.1, min(_LARGEST_DISTANCE, max(distances)))
    normalise = require("matplotlib.colors", extra="report").Normalize(low, high)
    scale = require("matplotlib.cm", extra="report").ScalarMappable(normalise, "viridis_r")
    for kind in _NAMES:
        chosen = [point for point in best if point.kind == kind]
        if not chosen:
            continue
        colours = scale.to_rgba([point.e_above_hull for point in chosen])
        # predicted energies: an open mark with the colour on its edge
        style: dict[str, Any] = {"facecolors": colours, "edgecolors": "black", "lw": 0.4}
        if kind == "predicted":
            style = {"facecolors": "none", "edgecolors": colours, "lw": 1.2}
        style |= {"s": 70 if kind == "stable" else 30, "marker": _MARKERS[kind], "label": _NAMES[kind], "zorder": 3}
        axis.scatter(*zip(*map(_place, chosen), strict=True), **style)
    figure.colorbar(
        scale,
        ax=axis,
        label="above the hull (eV/atom)",
        shrink=0.7,
        extend="max" if max(distances) > high else "neither",
    )


def _place(point: HullPoint) -> tuple[float, float]:
    """Return x and y with the first element at the top, the second at the left, the third at the right."""
    top, _, right = point.fractions
    return right + top / 2.0, top * _HEIGHT


def _label(axis: Any, text: str, place: tuple[float, float], offset: tuple[int, int], colour: str, **font: Any) -> None:
    axis.annotate(
        plain_text(text),
        place,
        xytext=offset,
        textcoords="offset points",
        ha="center",
        color=colour,
        fontsize=6.5,
        **font,
    )
