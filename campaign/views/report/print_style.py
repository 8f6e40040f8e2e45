"""Shared style of the print figures: sizes, colours, axes, names as plain text."""

from typing import Any

from esnet.files.errors import require

COLUMN, PAGE = 3.4, 7.0
"""Widths of one and two journal columns, inches."""
# Okabe and Ito's palette, which colour-blind readers tell apart
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7f7f7f"


def print_axes(width: float, height: float, *, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """Return a figure and its axes, row by row, without touching the window system or the state of pyplot."""
    figure_module = require("matplotlib.figure", extra="report")
    figure = figure_module.Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options).ravel()


def plain_text(name: str) -> str:
    """Return a name escaped for matplotlib, in which dollar signs would start a formula."""
    return name.replace("$", r"\$")
