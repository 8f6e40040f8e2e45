"""What all interactive figures share: colours that show on light and dark, compact arrays, names that are only text."""

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
        Plotly's figure as JSON text; None where there is nothing to draw, or where the browser draws it from data.
    missing
        Why there is nothing to draw.
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
    """Plotly's figure as JSON; arrays become compact binary ones. Colours of text and grid are the page's."""
    go = graph_objects()
    margin = {"l": 10, "r": 10, "t": 30, "b": 10}
    figure = go.Figure(data=list(traces), layout={"margin": margin, "template": go.layout.Template(), **layout})
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return str(figure.to_json())


def graph_objects() -> Any:
    """Plotly's figure classes.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    """
    return require("plotly.graph_objects", extra="report")


def guide_line(x: ArrayLike, y: ArrayLike, *, dash: str | None = None, **options: Any) -> Any:
    """A thin grey line to read a figure by; it says nothing when it is pointed at."""
    line = {"color": GREY, "width": 1, "dash": dash}
    return graph_objects().Scatter(x=x, y=y, line=line, hoverinfo="skip", **{"mode": "lines", **options})


def heatmap(x: ArrayLike, y: ArrayLike, z: ArrayLike, *, title: str, hover: str) -> Any:
    """Colours over two axes; `z` has the shape (len(y), len(x))."""
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
    """As single precision: half the page, and more digits than a screen shows."""
    return np.asarray(values, dtype=np.float32)


def as_text(names: Sequence[str]) -> list[str]:
    """Names for Plotly, which reads a few HTML tags in its texts: here they are only text."""
    return [html.escape(name, quote=False) for name in names]


def padded_range(values: Any) -> list[float]:
    """Range of an axis for evenly spaced values, half a step more at both ends: a mark on the edge is seen."""
    step = float(values[1] - values[0]) if len(values) > 1 else 0.0
    return [float(values[0]) - step / 2, float(values[-1]) + step / 2]


BELOW = {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0}
"""A legend that does not take width from the figure on a phone."""
