"""Write the table, figure and JSON of a comparison of IS-DOS and RS-DOS."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from esnet.files.errors import require
from esnet.files.figures import save_figure
from esnet.representation.moments import CHANNEL_NAMES
from esnet.similarity.similarity import PROPERTIES, UNITS, Similarity

# colours of the paper's figure
_COLOURS = {"same": "tab:red", "random": "mediumturquoise"}
_LABELS = {"same": "initial and relaxed structure", "random": "two random structures"}


def write_similarity(found: Similarity, folder: Path) -> None:
    """Write similarity.md, .csv, .json, .png and .svg into a folder.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    _plot_similarity(found, folder)
    rows = found.table()
    (folder / "similarity.json").write_text(
        json.dumps(found.about | {"table": rows}, indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    (folder / "similarity.md").write_text(
        f"MAE between IS-DOS and RS-DOS of {found.about['dataset']['name']}, as fractions of each channel's range: "
        f"mean and standard deviation over the channels; {found.about['pairs']} pairs each\n\n{_markdown(found)}",
        encoding="utf-8",
    )
    with (folder / "similarity.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        names = ("mae", "deviation", "mae_normalised", "deviation_normalised", "pairs")
        writer.writerow(
            ["property", "unit", "channel", *(f"{label}_{name}" for label in ("same", "random") for name in names)]
        )
        for row in rows:
            cells = [row[label][name] for label in ("same", "random") for name in names]
            writer.writerow([row["property"], row["unit"], row["channel"], *cells])


def overall_cells(found: Similarity) -> list[tuple[str, str, str, str]]:
    """Return, as text, each property with its errors over same and random pairs, and their ratio, over all channels."""
    rows = [row for row in found.table() if row["channel"] == "all"]
    return [
        (
            row["property"],
            _cell(row["same"]),
            _cell(row["random"]),
            _ratio(row["same"]["mae_normalised"], row["random"]["mae_normalised"]),
        )
        for row in rows
    ]


def _markdown(found: Similarity) -> str:
    """Return the table over all channels."""
    lines = ["| property | initial and relaxed | two random | ratio |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(cells)} |" for cells in overall_cells(found)]
    return "\n".join(lines) + "\n"


def _plot_similarity(found: Similarity, folder: Path) -> None:
    """Draw Figure 1b, with one panel per property and two bars per channel, to similarity.png and .svg.

    The bars are means over the pairs in the unit of the property (for the number of states, as a fraction of the range
    of the channel, as in the paper), the error bars are standard deviations over the pairs.
    """
    require("matplotlib", extra="esnet")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3, sharex=True).flat
    for place, (name, panel) in enumerate(zip(PROPERTIES, panels, strict=True)):
        _panel(panel, found, place, name)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    save_figure(figure, folder / "similarity")


def _panel(panel: Any, found: Similarity, place: int, name: str) -> None:
    positions = np.arange(len(CHANNEL_NAMES))
    for shift, (label, errors) in ((-0.2, ("same", found.same)), (0.2, ("random", found.random))):
        means, deviations = found.normalised(errors) if name == "states" else (errors.mean, errors.deviation)
        panel.bar(
            positions + shift,
            np.nan_to_num(means[place]),
            0.4,
            yerr=_whiskers(means[place], deviations[place]),
            color=_COLOURS[label],
            label=_LABELS[label],
            error_kw={"linewidth": 0.6},
        )
    unit = "fraction of range" if name == "states" else UNITS[name]
    title = "number of states" if name == "states" else name
    panel.set_title(f"{title} ({unit})" if unit else title)
    panel.set_ylabel("MAE")
    panel.set_ylim(bottom=0)
    panel.set_xticks(positions, [channel.replace("_", " ") for channel in CHANNEL_NAMES], rotation=90)


def _whiskers(means: Any, deviations: Any) -> Any:
    """Return error bars that do not extend below 0, since absolute errors cannot."""
    mean, deviation = np.nan_to_num(means), np.nan_to_num(deviations)
    return np.stack([np.minimum(mean, deviation), deviation])


def _cell(found: dict[str, Any]) -> str:
    if found["mae_normalised"] is None:
        return "no data"
    return f"{found['mae_normalised']:.4f} ± {found['deviation_normalised']:.4f}"


def _ratio(same: float | None, random: float | None) -> str:
    return "" if same is None or not random else f"{same / random:.2f}"
