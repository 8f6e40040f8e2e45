"""The page's figures, from the same numbers as its tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from esnet.files.atomic import whole_file

FIGURES = {
    "errors": "MAE of IS2RE by model and split",
    "curves": "MAE of IS2RE over the number of compounds trained on",
    "similarity": "Differences between IS-DOS and RS-DOS, of one material and of random pairs",
}


def write_figures(said: Mapping[str, Any], folder: Path) -> None:
    """Write each figure that has numbers, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in (("errors", _errors), ("curves", _curves), ("similarity", _similarity)):
        figure = Figure(figsize=(7.5, 4.2), layout="constrained")
        draw(figure.subplots(), said)
        with whole_file(folder / f"leaderboard-{name}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def _errors(axes: Any, said: Mapping[str, Any]) -> None:
    titles: list[str] = []
    for offset, (by, colour) in enumerate((("random", "tab:blue"), ("chemsys", "tab:orange"))):
        rows = [row for row in said["table"][by] if row["IS2RE"]]
        titles = [row["title"] for row in rows]
        means = [row["IS2RE"]["mae"]["mean"] for row in rows]
        widths = [row["IS2RE"]["mae"]["half_width"] or 0.0 for row in rows]
        places = np.arange(len(rows)) + 0.4 * offset - 0.2
        axes.bar(places, means, 0.38, yerr=widths, color=colour, capsize=2, label=f"split by {by}")
    axes.set_xticks(range(len(titles)), titles, rotation=40, ha="right")
    axes.set_ylabel("MAE of IS2RE, eV/atom")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _curves(axes: Any, said: Mapping[str, Any]) -> None:
    for title, points in said["curves"].items():
        widths = [point["mae"]["half_width"] or 0.0 for point in points]
        sizes, means = [point["n_train"] for point in points], [point["mae"]["mean"] for point in points]
        axes.errorbar(sizes, means, yerr=widths, marker="o", capsize=2, label=title)
    axes.set_xlabel("compounds trained on")
    axes.set_ylabel("MAE of IS2RE, eV/atom")
    axes.set_xscale("log")
    if said["curves"]:
        axes.legend(frameon=False)


def _similarity(axes: Any, said: Mapping[str, Any]) -> None:
    rows = said["similarity"]
    for offset, (name, label) in enumerate((("same", "same material"), ("random", "random pair"))):
        axes.bar(np.arange(len(rows)) + 0.4 * offset - 0.2, [row[name] or 0.0 for row in rows], 0.38, label=label)
    axes.set_xticks(range(len(rows)), [row["property"] for row in rows])
    axes.set_ylabel("mean difference / range of the channel")
    if rows:
        axes.legend(frameon=False)
