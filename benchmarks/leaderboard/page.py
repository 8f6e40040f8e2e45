"""The page docs/explanation/leaderboard.md: every table and sentence with a number is made from the numbers."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.leaderboard.figures import FIGURES
from benchmarks.leaderboard.potentials import DEFAULT
from campaign.config.wording import format_count
from esnet.baselines.settings import TITLES
from esnet.network.model import PAPER_WIDTHS

_INPUTS = {"both": "DOS and composition", "dos": "DOS alone", "composition": "composition alone", "none": "neither"}
_TASKS = ("RS2RE", "IS2RE", "IS2RE_trained_on_IS")
_SPLITS = {"random": "Random", "chemsys": "By chemical system"}
FEW = 100
"""Crystals. With fewer the page says that its figures rank nothing."""


def page(said: Mapping[str, Any]) -> str:
    """Return the page as markdown."""
    parts = [_head(said)]
    for by, title in _SPLITS.items():
        parts.append(_section(f"{title}: errors", _errors(said["table"][by], said["seeds"])))
        parts.append(_section(f"{title}: order and stability, IS2RE", _stability(said["table"][by], said["seeds"])))
    parts += [
        _section("Where ESNet stands", _verdicts(said)),
        _section("What a prediction costs", _costs(said["costs"])),
        _section("Learning curves", _curves(said["curves"])),
        _section("ESNet with inputs taken away", _ablation(said["ablation"])),
        _section("Models on the residual of a scorer", _residual(said["residual"], said["seeds"])),
        _section("The paper's question: may the IS-DOS stand for the RS-DOS?", _question(said)),
        _section("One element left out at a time", _elements(said["elements_left_out"])),
        _section("How it was made", _made(said)),
    ]
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text or 'Not computed in this run.'}\n"


def _head(said: Mapping[str, Any]) -> str:
    parts = said["parts"]
    few = (
        f"**{said['crystals']} compounds are too few to rank models**: a test part has {parts['t']} of them, and the "
        "intervals are wide. The page shows what is measured so far; it is made again as the set grows.\n\n"
        if said["crystals"] < FEW
        else ""
    )
    quick = "**A quick run (small networks, few epochs): its figures compare nothing.**\n\n" if _is_quick(said) else ""
    there = {row["name"] for row in said["table"]["random"]}
    absent = [title for name, title in TITLES.items() if name not in there]
    absent += [name for name in DEFAULT if name not in there]
    missing = f"**Not in this run: {', '.join(absent)}.**\n\n" if absent else ""
    if said["missing"]:
        missing += f"**{said['missing']} of {said['trainings']} trainings were not done when time was up: rows rest on fewer seeds, or are empty.**\n\n"
    return (
        "# Leaderboard\n\n"
        "The models of the paper's Table 1, interatomic potentials, and the energies of the IS-DOS calculations themselves on "
        "the [open data set](../reference/dataset.md), on the same parts. Made by `make leaderboard`; nothing on this page is written by hand.\n\n"
        f"{said['date']}: {said['crystals']} compounds ({said['stable']} with E_f <= 0) and {said['elements']} elements, "
        f"{said['samples'].get('is_dos', 0)} IS-DOS and {said['samples'].get('rs_dos', 0)} RS-DOS; {said['seeds']} "
        f"{'seed' if said['seeds'] == 1 else 'seeds'}, each a split and the models' start.\n\n"
        f"{few}{quick}{missing}"
        "* Errors are in eV/atom; ± is half of the 95 % interval of the mean over the seeds (Student's t). Seeds share "
        "crystals, so that it says how much a split and a start matter, not what other crystals would give.\n"
        "* RS2RE: trained on RS-DOS (or relaxed crystals), tested on those of other materials. IS2RE: the same model, "
        "tested on IS-DOS (or unrelaxed crystals). IS2RE, trained on IS: trained on what it is tested on.\n"
        "* Potentials are not trained here: they relax the unrelaxed crystal. Single point: E_f of the unrelaxed crystal by "
        "its IS-DOS calculation, with CHGNet plus the change of CHGNet's energy in its relaxation. Elements are trained on "
        "and never tested.\n"
        f"* Widths of ESNet and CNN: {', '.join(map(str, said['settings']['widths']))} (the paper: "
        f"{', '.join(map(str, PAPER_WIDTHS))}).\n\n"
    )


def _is_quick(said: Mapping[str, Any]) -> bool:
    return bool(said["settings"].get("quick"))


def _number(value: Any, digits: int = 3) -> str:
    """Format an interval or a number, or a dash if there is none."""
    if value is None:
        return "-"
    if not isinstance(value, Mapping):
        return f"{value:.{digits}f}"
    half = "" if value["half_width"] is None else f" ± {value['half_width']:.{digits}f}"
    return f"{value['mean']:.{digits}f}{half}"


def _of(task: Mapping[str, Any] | None, name: str, digits: int = 3) -> str:
    return _number(task and task[name], digits)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _errors(rows: Sequence[Mapping[str, Any]], seeds: int) -> str:
    heads = [
        f"{task.replace('_trained_on_IS', ', trained on IS')} {name}" for task in _TASKS for name in ("MAE", "RMSE")
    ]
    return table(
        ["model", *heads],
        ([_title(row, seeds), *(_of(row[task], name) for task in _TASKS for name in ("mae", "rmse"))] for row in rows),
    )


def _stability(rows: Sequence[Mapping[str, Any]], seeds: int) -> str:
    names = ("spearman", "precision", "recall", "f1", "daf")
    text = (
        "Rank correlation: Spearman's. Stable: E_f <= 0 against the elements, the only references of the set. Predicted stable: E_f <= -0.02 eV/atom "
        "(the paper's threshold). DAF: precision over the share of stable crystals.\n\n"
    )
    return text + table(
        ["model", "rank correlation", "precision", "recall", "F1", "DAF"],
        ([_title(row, seeds), *(_of(row["IS2RE"], name, 2) for name in names)] for row in rows),
    )


def _mean_of(row: Mapping[str, Any], seeds: Sequence[int]) -> float:
    """Return the MAE on some of the splits; infinite if it is not known on one of them."""
    maes = [row["IS2RE"]["mae_by_seed"][seed] for seed in seeds]
    return math.inf if None in maes else sum(maes) / len(maes)


def _title(row: Mapping[str, Any], seeds: int) -> str:
    """Return the model's name, with the number of seeds if its row rests on fewer."""
    there = [row[task]["mae"]["seeds"] for task in _TASKS if row.get(task)]
    return f"{row['title']}{_fewer(min(there, default=seeds), seeds)}"


def _fewer(there: int, seeds: int) -> str:
    """Return the number of seeds in brackets if there are fewer than all."""
    return f" ({format_count(there, 'seed')})" if there < seeds else ""


def _verdicts(said: Mapping[str, Any]) -> str:
    lines = []
    for by, title in _SPLITS.items():
        rows = [row for row in said["table"][by] if row["IS2RE"]]
        esnet = next((row for row in rows if row["name"] == "esnet"), None)
        if esnet is None:
            continue
        seeds = [seed for seed, mae in enumerate(esnet["IS2RE"]["mae_by_seed"]) if mae is not None]
        means = {row["title"]: _mean_of(row, seeds) for row in rows}
        mine = means[esnet["title"]]
        better = sorted((mae, title) for title, mae in means.items() if mae < mine)
        on = "" if len(seeds) == said["seeds"] else f" on {format_count(len(seeds), 'split')} of {said['seeds']}"
        place = f"{title}: ESNet (trained on RS) is {len(better) + 1} of {len(rows)} by MAE of IS2RE{on} ({mine:.3f} eV/atom)"
        named = ", ".join(f"{other} {mae:.3f}" for mae, other in better)
        lines.append(f"* {place}; " + (f"lower: {named}." if better else "no other is lower."))
    return "\n".join(lines)


def _costs(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ["model", "IS-DOS, CPU-s", "model or relaxation, CPU-s", "one prediction, CPU-s", "training, CPU-s"]
    names = ("dos", "model", "total", "training")
    text = "Mean CPU-s from an unrelaxed crystal to its formation energy; an IS-DOS costs what the ledger says.\n\n"
    digits = {"dos": 1, "model": 4, "total": 2, "training": 0}
    return text + table(heads, ([row["title"], *(_number(row[name], digits[name]) for name in names)] for row in rows))


def _curves(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    if not curves:
        return ""
    sizes = sorted({point["n_train"] for points in curves.values() for point in points})
    rows = []
    for title, points in curves.items():
        found = {point["n_train"]: point["mae"] for point in points}
        rows.append([title, *(_number(found.get(size)) for size in sizes)])
    text = "MAE of IS2RE, trained on RS-DOS, by the number of compounds trained on (the elements are always there).\n\n"
    return text + table(["model", *map(str, sizes)], rows) + _picture("curves")


def _ablation(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    return table(
        ["ESNet sees", "RS2RE MAE", "IS2RE MAE"],
        ([_INPUTS[row["inputs"]], _of(row["RS2RE"], "mae"), _of(row["IS2RE"], "mae")] for row in rows),
    )


def _residual(rows: Sequence[Mapping[str, Any]], seeds: int) -> str:
    there = [row for row in rows if row["models"]["alone"]]
    if not there:
        return ""
    titles = list(there[0]["models"])
    text = (
        "MAE of IS2RE, eV/atom. A model learns, from the IS-DOS (or the unrelaxed crystals) of the training part, what the "
        "scorer's energies lack; its prediction is added to them. The mean adds one constant.\n\n"
    )
    return text + table(
        ["scorer", "split", *(title if title == "alone" else f"+ {title}" for title in titles)],
        (
            [row["base"], _SPLITS[row["by"]].lower(), *(_residual_mae(row["models"][title], seeds) for title in titles)]
            for row in there
        ),
    )


def _residual_mae(task: Mapping[str, Any] | None, seeds: int) -> str:
    return f"{_of(task, 'mae')}{_fewer(task['mae']['seeds'] if task else seeds, seeds)}"


def _question(said: Mapping[str, Any]) -> str:
    rows = [[row["property"], _number(row["same"], 4), _number(row["random"], 4)] for row in said["similarity"]]
    text = ""
    if rows:
        text += (
            f"Mean absolute difference between the IS-DOS and the RS-DOS of one material ({said['similarity'][0]['pairs']} "
            "pairs), and of two drawn at random, as fractions of each channel's range (the paper's Figure 1b):\n\n"
        )
        text += table(["property", "same material", "random pair"], rows) + _picture("similarity")
    moved = said["moved"]
    if moved:
        text += (
            f"\nHow far crystals moved (norm of the strain, with the sites' displacements over the distance of atoms): "
            f"median {moved[len(moved) // 2]:.3f}, largest {moved[-1]:.3f}.\n"
        )
        names = {"rs_dos": "trained on RS", "is_dos": "trained on IS"}
        thirds = {kinds: parts for kinds, parts in said["by_movement"].items() if len(parts) == 3}
        if thirds:
            text += "\nESNet's MAE of IS2RE in thirds of it:\n\n" + table(
                ["ESNet", "least moved", "middle", "most moved"],
                (
                    [names[kinds], *(f"{part['mae']:.3f} (to {part['to']:.3f}, n = {part['n']})" for part in parts)]
                    for kinds, parts in thirds.items()
                ),
            )
    for by, title in _SPLITS.items():
        row = next((row for row in said["table"][by] if row["name"] == "esnet"), None)
        if row and row["IS2RE"] and row["IS2RE_trained_on_IS"] and row["RS2RE"]:
            gain = row["IS2RE"]["mae"]["mean"] - row["IS2RE_trained_on_IS"]["mae"]["mean"]
            loss = row["IS2RE"]["mae"]["mean"] - row["RS2RE"]["mae"]["mean"]
            text += (
                f"\n{title}: an ESNet trained on RS-DOS has {loss:+.3f} eV/atom of MAE more on IS-DOS than on RS-DOS; "
                f"training on IS-DOS instead changes its MAE on IS-DOS by {-gain:+.3f} eV/atom.\n"
            )
    return text


def _elements(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    titles = list(rows[0]["mae"])
    text = "MAE of IS2RE on all compounds of an element that no training part has seen in a compound (seed 1).\n\n"
    text += table(
        ["element", "compounds", *titles],
        ([row["element"], str(row["n_test"]), *(_number(row["mae"][name]) for name in titles)] for row in rows),
    )
    lines = []
    for name in titles:
        worst = max(
            (row for row in rows if row["mae"][name] is not None), key=lambda row: row["mae"][name], default=None
        )
        if worst is not None:
            lines.append(
                f"* {name}: worst for {worst['element']}, {worst['mae'][name]:.3f} eV/atom (n = {worst['n_test']})"
            )
    return text + "\n" + "\n".join(lines)


def _made(said: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(said["versions"].items()))
    problems = "".join(f"* {problem}\n" for problem in said["problems"])
    return (
        f"Data set {said['dataset'][:16]}; of the compounds and elements a random split trains on {said['parts']['.']}, "
        f"validates on {said['parts']['v']} and tests on {said['parts']['t']}. {versions}. All numbers: "
        "`leaderboard.json` beside this page.\n\n"
        f"{_picture('errors')}\n{problems and 'Could not be trained:'}\n\n{problems}"
    ).rstrip() + "\n"


def _picture(name: str) -> str:
    return f"\n![{FIGURES[name]}](images/leaderboard-{name}.png)\n"
