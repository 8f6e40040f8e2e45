"""Shared parts of the interactive figures: colours for light and dark backgrounds, compact arrays, escaped names."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.files.errors import require

# after Okabe and Ito's palette, which colour-blind readers tell apart, lightened for dark backgrounds
BLUE, ORANGE, GREEN, PURPLE, GREY = "#2f8fd0", "#e0701a", "#1ba784", "#b56fa5", "#8a8a8a"
SCALE = "Viridis"


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """A figure of the page.

    Attributes
    ----------
    id
        Name in the page and in file names.
    reading
        One sentence on how to read it.
    json
        Plotly's figure as JSON text; None if there is nothing to draw, or if the browser draws it from data.
    missing
        Reason for having nothing to draw.
    height
        Pixels.
    has_choice
        Whether the reader chooses what is shown from a menu.
    is_wide
        Whether it takes the whole width of a large screen; others stand two in a row.
    """

    id: str
    title: str
    reading: str
    json: str | None = None
    missing: str | None = None
    notes: Sequence[str] = ()
    height: int = 420
    has_choice: bool = False
    is_wide: bool = False


def figure_json(traces: Sequence[Any], **layout: Any) -> str:
    """Return Plotly's figure as JSON with compact binary arrays; the page sets the colours of text and grid."""
    go = graph_objects()
    margin = {"l": 10, "r": 10, "t": 30, "b": 10}
    figure = go.Figure(data=list(traces), layout={"margin": margin, "template": go.layout.Template(), **layout})
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return str(figure.to_json())


def graph_objects() -> Any:
    """Return Plotly's module of figure classes.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    """
    return require("plotly.graph_objects", extra="report")


def guide_line(x: ArrayLike, y: ArrayLike, *, dash: str | None = None, **options: Any) -> Any:
    """Return a thin grey guide line without hover text."""
    line = {"color": GREY, "width": 1, "dash": dash}
    return graph_objects().Scatter(x=x, y=y, line=line, hoverinfo="skip", **{"mode": "lines", **options})


def heatmap(x: ArrayLike, y: ArrayLike, z: ArrayLike, *, title: str, hover: str) -> Any:
    """Return a heat map over two axes; `z` has shape (len(y), len(x))."""
    bar = {"title": title, "thickness": 12}
    return graph_objects().Heatmap(
        x=compact(x),
        y=compact(y),
        z=compact(z),
        colorscale=SCALE,
        colorbar=bar,
        hovertemplate=f"{hover}<extra></extra>",
    )


def compact(values: ArrayLike) -> NDArray[np.float32]:
    """Return values in single precision, which halves the page and exceeds the resolution of a screen."""
    return np.asarray(values, dtype=np.float32)


def as_text(names: Sequence[str]) -> list[str]:
    """Return names escaped for Plotly, which interprets a few HTML tags in its texts."""
    return [html.escape(name, quote=False) for name in names]


def padded_range(values: Any) -> list[float]:
    """Return the axis range of evenly spaced values, extended by half a step so that marks at the edges are visible."""
    step = float(values[1] - values[0]) if len(values) > 1 else 0.0
    return [float(values[0]) - step / 2, float(values[-1]) + step / 2]


BELOW = {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0}
"""Legend that does not narrow the figure on a phone."""
