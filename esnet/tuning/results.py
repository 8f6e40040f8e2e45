"""Write the results of a tuning run: a table, a plot of the surface and a summary."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from esnet.files.atomic import write_whole
from esnet.files.errors import require
from esnet.files.figures import save_figure
from esnet.tuning.space import Choice, FloatRange, IntRange, Space
from esnet.tuning.study import Trial, best_trial

TABLE = "results.csv"
SUMMARY = "results.json"
SURFACE = "surface"

_STYLES: dict[str, dict[str, Any]] = {
    "finished": {"marker": "o", "s": 60, "edgecolors": "black"},
    "stopped": {"marker": "v", "s": 60, "edgecolors": "black"},
    "failed": {"marker": "x", "s": 60, "color": "tab:red"},
}
_MARGIN = 0.06
_BEST_STYLE = {"marker": "*", "s": 340, "facecolors": "none", "edgecolors": "tab:red", "linewidths": 1.5}


def write_table(folder: Path, trials: Sequence[Trial], *, names: Sequence[str], metric: str) -> Path:
    """Write one line per trial as CSV and return the file."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["trial", "status", *names, "epochs", metric, "recoveries", "started", "ended", "message"])
    for trial in trials:
        values = [trial.parameters.get(name) for name in names]
        writer.writerow(
            [
                trial.name,
                trial.status,
                *values,
                trial.epoch,
                trial.last(metric),
                trial.recoveries,
                trial.started,
                trial.ended,
                trial.message,
            ]
        )
    write_whole(folder / TABLE, text.getvalue())
    return folder / TABLE


def write_summary(folder: Path, trials: Sequence[Trial], *, best: Trial, metric: str) -> Path:
    """Write the best trial and the number of trials per outcome as JSON, and return the file."""
    content = {
        "best": {"trial": best.name, "parameters": best.parameters, metric: best.last(metric), "epochs": best.epoch},
        "trials": dict(Counter(trial.status for trial in trials)),
    }
    write_whole(folder / SUMMARY, json.dumps(content, indent=1) + "\n")
    return folder / SUMMARY


def write_plots(folder: Path, trials: Sequence[Trial], *, space: Space, metric: str, label: str) -> list[Path]:
    """Plot the value over the first two numeric parameters as PNG and SVG, and return the files.

    Trials that were stopped early are shown with their last value, as triangles; failed ones as crosses. If there are
    enough points and they are not collinear, the surface between them is filled by linear interpolation.

    Parameters
    ----------
    folder
        Folder to write to.
    trials
        Trials that have ended.
    space
        The search space; nothing is plotted if fewer than two of its parameters are numeric.
    metric, label
        Value that colours the points, and the label of its axis.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    axes = [name for name, domain in space.items() if not isinstance(domain, Choice)][:2]
    if len(axes) < 2:
        return []
    return save_figure(_surface(trials, axes, space, metric, label), folder / SURFACE)


def _surface(trials: Sequence[Trial], axes: Sequence[str], space: Space, metric: str, label: str) -> Any:
    figure_module = require("matplotlib.figure", extra="esnet")
    figure = figure_module.Figure(figsize=(6.4, 4.8), layout="constrained")
    axis = figure.subplots()
    _draw_trials(figure, axis, trials, axes, metric, label)
    for name, set_label, set_scale, set_limits in zip(
        axes,
        (axis.set_xlabel, axis.set_ylabel),
        (axis.set_xscale, axis.set_yscale),
        (axis.set_xlim, axis.set_ylim),
        strict=True,
    ):
        set_label(name.replace("_", " "))
        domain = space[name]
        if isinstance(domain, Choice):
            continue
        set_scale("log" if domain.log else "linear")
        set_limits(*_limits(domain))
    if trials:
        figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return figure


def _limits(domain: FloatRange | IntRange) -> tuple[float, float]:
    """Return the limits of an axis, slightly beyond the range so that no marker is cut off."""
    if domain.log:
        factor = (domain.high / domain.low) ** _MARGIN
        return domain.low / factor, domain.high * factor
    margin = (domain.high - domain.low) * _MARGIN
    return domain.low - margin, domain.high + margin


def _draw_trials(figure: Any, axis: Any, trials: Sequence[Trial], axes: Sequence[str], metric: str, label: str) -> None:
    values = {trial.name: trial.last(metric) for trial in trials}
    valued = [trial for trial in trials if values[trial.name] is not None and trial.status != "failed"]
    known = [float(values[trial.name] or 0.0) for trial in valued]
    shades = {"vmin": min(known), "vmax": max(known)} if known else {}
    points = [[float(trial.parameters[name]) for name in axes] for trial in valued]
    _fill(axis, points, known, shades)
    drawn = None
    for status, style in _STYLES.items():
        chosen = [trial for trial in (trials if status == "failed" else valued) if trial.status == status]
        if not chosen:
            continue
        colours = {} if status == "failed" else {"c": [values[trial.name] for trial in chosen], **shades}
        drawn_points = axis.scatter(
            *([trial.parameters[name] for trial in chosen] for name in axes),
            label=f"{status} ({len(chosen)})",
            zorder=3,
            **style,
            **colours,
        )
        drawn = drawn_points if colours else drawn
    finished = [trial for trial in valued if trial.status == "finished"]
    if finished:
        best = best_trial(finished, metric)
        place = [best.parameters[name] for name in axes]
        axis.scatter(*place, label=f"best: {best.name}, {values[best.name]:.3f}", zorder=4, **_BEST_STYLE)
    if drawn is not None:
        figure.colorbar(drawn, ax=axis, label=label)


def _fill(axis: Any, points: Sequence[Sequence[float]], values: Sequence[float], shades: dict[str, Any]) -> None:
    """Fill the surface between the points, if they span one."""
    tri = require("matplotlib.tri", extra="esnet")
    known = dict(zip(map(tuple, points), values, strict=True))
    if len(known) < 4 or len(set(known.values())) < 2:
        return
    indices = np.array(list(known))
    spread = np.ptp(indices, axis=0)
    if not spread.all():
        return
    try:
        # in units of the ranges, since learning rates are 10,000 times smaller than batch sizes
        triangles = tri.Triangulation(*(indices / spread).T).triangles
    except RuntimeError:  # collinear points
        return
    surface = tri.Triangulation(*indices.T, triangles)
    axis.tricontourf(surface, list(known.values()), levels=20, alpha=0.5, zorder=1, **shades)
