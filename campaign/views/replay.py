"""Results of replays as a table, files and curves."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from rich.table import Table

from campaign.replay.comparison import Comparison
from campaign.replay.result import Replay, Spread, band, spread
from campaign.replay.simulate import ORACLE, RANDOM
from esnet.files.atomic import sha256_of
from esnet.files.errors import require
from esnet.files.figures import save_figure
from esnet.files.output_folder import new_output_folder

SUMMARY, TOTALS, CURVES = "summary.json", "totals.csv", "curves.csv"
# of Okabe and Ito's palette, which colour-blind readers tell apart; the limits are grey and black
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LIMITS: Mapping[str, tuple[str, str]] = {RANDOM: ("#888888", "--"), ORACLE: ("#000000", ":")}


def replay_table(comparison: Comparison) -> Table:
    """Return a table with one row per policy and limit; several seeds are given as mean and range."""
    first = next(iter(comparison.policies.values()))[0]
    seeds = len(next(iter(comparison.policies.values())))
    title = f"{first.n_candidates} candidates, {first.n_stable} of them stable" + (
        f"; {seeds} seeds: mean, least to largest" if seeds > 1 else ""
    )
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    longest = max(len(label) for label in comparison.every())
    table.add_column("policy", overflow="fold", min_width=min(longest, 30))
    headings = ["CPU-h", "relaxed", "audit", "stable", "random\nthere", "oracle\nthere"]
    headings += ["success\nratio", "discover-\nability", "CPU-h per\nstable", "saving"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for label, replays in comparison.every().items():
        hours = spread(replays, attrgetter("total_cpu_hours"))
        counts = [spread(replays, attrgetter(name)) for name in ("relaxations", "audited", "total_stable")]
        counts += [comparison.limit_at_same_cost(label, limit) for limit in (RANDOM, ORACLE)]
        forms = {"success_ratio": ".3f", "discoverability": ".3f", "cpu_hours_per_stable": ".2f", "saving": ".1%"}
        table.add_row(
            label,
            _cell(hours, ".1f" if hours is None or hours.most < 1000.0 else ".0f"),
            *(_cell(count, ".0f") for count in counts),
            *(_cell(spread(replays, attrgetter(name)), form) for name, form in forms.items()),
        )
    return table


def scorers_table(comparison: Comparison) -> Table:
    """Return a table with one row per scorer and policy, and one per limit, for data with several scorers."""
    first = next(iter(comparison.policies.values()))
    seeds = f"; {len(first)} seeds: mean, least to largest" if len(first) > 1 else ""
    title = f"{first[0].n_candidates} candidates, {first[0].n_stable} of them stable{seeds}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("scorer", overflow="fold")
    table.add_column("policy", overflow="fold")
    for heading in ("stable\nfound", "CPU-h", "recall", "C_eff\nCPU-s", "C_eff /\noracle's"):
        table.add_column(heading, justify="right", no_wrap=True)
    for label, replays in comparison.every().items():
        named = comparison.described.get(label, {})
        hours = spread(replays, attrgetter("counted_cpu_hours"))
        table.add_row(
            str(named.get("scorer", "")),
            str(named.get("policy", label)),
            _cell(spread(replays, attrgetter("total_stable")), ".0f"),
            _cell(hours, _hours_form(hours)),
            _cell(spread(replays, attrgetter("recall")), ".3f"),
            _cell(spread(replays, attrgetter("c_eff_cpu_s")), ".0f"),
            _cell(comparison.c_eff_over_oracle(label), ".2f"),
        )
    return table


def _hours_form(hours: Spread | None) -> str:
    most = 0.0 if hours is None else hours.most
    return ".3f" if most < 1.0 else ".1f" if most < 1000.0 else ".0f"


def _cell(value: Spread | None, form: str) -> str:
    if value is None:
        return "-"
    mean, least, most = (format(number, form) for number in value)
    return mean if least == most else f"{mean}\n{least}–{most}"


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write a comparison atomically and return its folder.

    Parameters
    ----------
    folder
        The directory to make, with ``summary.json`` (totals of every seed, settings, notes, checksums of the others),
        ``totals.csv`` (a line for each policy and seed), ``curves.csv`` (CPU-hours and stable materials after every
        relaxation), ``curves.png`` and ``curves.svg``.

    Raises
    ------
    OutputExistsError
        If it is there.
    MissingExtraError
        If matplotlib is not installed.
    """
    with new_output_folder(folder) as temporary:
        rows = [found.totals() for replays in comparison.every().values() for found in replays]
        _write_csv(temporary / TOTALS, list(rows[0]), rows)
        columns = ["policy", "seed", "relaxations", "cpu_hours", "stable"]
        _write_csv(temporary / CURVES, columns, _curve_rows(comparison))
        _plot_curves(comparison, temporary / "curves")
        files = {file.name: sha256_of(file) for file in sorted(temporary.iterdir())}
        text = json.dumps({**comparison.to_dict(), "sha256": files}, indent=1, allow_nan=False)
        (temporary / SUMMARY).write_text(f"{text}\n", encoding="utf-8")
    return folder


def _curve_rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for label, replays in comparison.every().items():
        for found in replays:
            for relaxations, (hours, stable) in enumerate(zip(found.cpu_hours, found.stable, strict=True)):
                yield {
                    "policy": label,
                    "seed": found.seed,
                    "relaxations": relaxations,
                    "cpu_hours": round(float(hours), 6),
                    "stable": int(stable),
                }


def _write_csv(
    file: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]] | Iterator[dict[str, Any]]
) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _plot_curves(comparison: Comparison, stem: Path) -> None:
    """Draw stable materials over CPU-hours, IS-DOS included; several seeds as mean and range."""
    # a separate figure leaves the window system and the state of pyplot untouched
    figure = require("matplotlib.figure", extra="esnet").Figure(figsize=(7.2, 4.6), layout="constrained")
    axis = figure.subplots()
    for place, (label, replays) in enumerate(comparison.policies.items()):
        _draw(axis, label, replays, _COLOURS[place % len(_COLOURS)], "-")
    for label, replays in comparison.limits.items():
        _draw(axis, label, replays, *_LIMITS[label])
    first = next(iter(comparison.policies.values()))[0]
    axis.set(
        title=f"{first.n_candidates} candidates, {first.n_stable} stable",
        xlabel="CPU-hours, IS-DOS included",
        ylabel="stable materials found",
        xlim=(0, None),
        ylim=(0, 1.05 * max(1, first.n_stable)),
    )
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.legend(loc="lower right")
    save_figure(figure, stem)


def _draw(axis: Any, label: str, replays: Sequence[Replay], colour: str, style: str) -> None:
    found = band(replays)
    axis.plot(found.cpu_hours, found.mean, color=colour, linestyle=style, label=label)
    axis.plot(found.cpu_hours[-1:], found.mean[-1:], color=colour, marker="o", markersize=4)
    if len(replays) > 1:
        axis.fill_between(found.cpu_hours, found.least, found.most, color=colour, alpha=0.2, linewidth=0)
