"""The command `esnet evaluate`."""

import logging
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from esnet.bundle.bundle import Bundle
from esnet.bundle.shipped import bundle_folder
from esnet.commands.console import console, print_labelled, print_plain
from esnet.dataset.dataset import Dataset
from esnet.evaluation.files import write_evaluation
from esnet.evaluation.metrics import Metrics
from esnet.evaluation.run import Evaluation
from esnet.evaluation.run import evaluate as evaluate_model
from esnet.evaluation.selection import EvaluatedPart
from esnet.files.output_folder import refuse_existing_output

_LISTED = 15
_WORST = 5


def evaluate(
    *,
    bundle: str,
    dataset: Path,
    part: EvaluatedPart,
    output: Path | None,
    batch_size: int,
    potential_energies: Path | None,
) -> None:
    """Evaluate a trained ESNet: errors for IS2RE and RS2RE, uncertainties, and samples unlike its training data."""
    if output is not None:
        # checked before minutes of work
        refuse_existing_output(output)
    evaluation = _evaluate(bundle, dataset, part, batch_size, potential_energies)
    out = console()
    _print_evaluation(out, evaluation)
    if output is not None:
        written = write_evaluation(evaluation, output)
        print_plain(out, f"metrics, predictions and plots: {written}")


def _evaluate(
    bundle: str, dataset: Path, part: EvaluatedPart, batch_size: int, potential_energies: Path | None
) -> Evaluation:
    # the table contains the same information
    logging.getLogger("esnet.evaluation.run").setLevel(logging.WARNING)
    opened = Dataset.open(dataset)
    model = Bundle.load(bundle_folder(bundle), representation=opened.representation, residual=True)
    of = model.record.residual_of
    if of is None and potential_energies is not None:
        raise typer.BadParameter("requires a bundle trained with --residual-of", param_hint="--potential-energies")
    with Progress(console=console(stderr=True), transient=True) as bar:
        relaxing = None if of is None else bar.add_task(f"relaxing with {of['potential']}", total=len(opened))
        predicting = bar.add_task("predicting", total=None)
        return evaluate_model(
            model,
            opened,
            part=part,
            batch_size=batch_size,
            progress=lambda done, total: bar.update(predicting, completed=done, total=total),
            energies_file=potential_energies,
            relaxing=None if relaxing is None else lambda done, _: bar.update(relaxing, completed=done),
        )


def _print_evaluation(out: Console, evaluation: Evaluation) -> None:
    out.print(_task_table(evaluation))
    if any(task.curve is not None or task.novel is not None for task in evaluation.tasks.values()):
        out.print(_trust_table(evaluation))
    for title, name in (("element", "by_element"), ("prototype", "by_prototype")):
        out.print(_group_table(evaluation, title, name))
    out.print(_worst_table(evaluation))
    for note in evaluation.notes:
        print_labelled(out, "note:", note)


def _task_table(evaluation: Evaluation) -> Table:
    selection = evaluation.selection
    simple = "the training mean" if evaluation.potential is None else f"{evaluation.potential} with a mean offset"
    table = _table(
        f"part {selection.part}: {len(evaluation.indices)} samples, {selection.n_left_out} left out; errors in eV/atom",
        "task",
        ("samples", "MAE", "RMSE", "R2", "bias", f"MAE of {simple}", f"RMSE of {simple}"),
    )
    for name, task in evaluation.tasks.items():
        metrics = task.metrics
        table.add_row(
            name,
            str(metrics.n),
            _mae(metrics),
            f"{metrics.rmse:.3f}",
            _number(metrics.r2),
            f"{metrics.bias:+.3f}",
            f"{task.baseline.mae:.3f}",
            f"{task.baseline.rmse:.3f}",
        )
    return table


def _trust_table(evaluation: Evaluation) -> Table:
    table = _table(
        "reliability of predictions; eV/atom",
        "task",
        (
            "rms uncertainty",
            "inside 1 sd (68 %)",
            "inside 2 sd (95 %)",
            "miscalibration area",
            "novel",
            "MAE of novel",
            "MAE of others",
        ),
    )
    for name, task in evaluation.tasks.items():
        curve = task.curve
        table.add_row(
            name,
            *(
                ("-",) * 4
                if curve is None
                else (
                    f"{curve.sharpness:.3f}",
                    f"{100 * curve.coverage(0.6827):.0f} %",
                    f"{100 * curve.coverage(0.9545):.0f} %",
                    f"{curve.area:.3f}",
                )
            ),
            "-" if task.novel is None and task.known is None else str(0 if task.novel is None else task.novel.n),
            "-" if task.novel is None else _mae(task.novel),
            "-" if task.known is None else _mae(task.known),
        )
    return table


def _group_table(evaluation: Evaluation, title: str, name: str) -> Table:
    """Return errors by element or prototype, both tasks side by side."""
    groups = {task: getattr(found, name) for task, found in evaluation.tasks.items()}
    counts: dict[str, int] = {}
    for found in groups.values():
        for label, metrics in found.items():
            counts[label] = counts.get(label, 0) + metrics.n
    labels = sorted(counts, key=lambda label: (-counts[label], label))
    more = f"; {len(labels) - _LISTED} more in --output" if len(labels) > _LISTED else ""
    columns = [f"{task} {figure}" for task in groups for figure in ("samples", "MAE", "bias")]
    table = _table(f"errors by {title}, eV/atom{more}", title, columns)
    for label in labels[:_LISTED]:
        cells: list[str] = []
        for found in groups.values():
            metrics = found.get(label)
            cells += ["-"] * 3 if metrics is None else [str(metrics.n), f"{metrics.mae:.3f}", f"{metrics.bias:+.3f}"]
        table.add_row(label, *cells)
    return table


def _worst_table(evaluation: Evaluation) -> Table:
    table = _table("largest errors, eV/atom", "material", ("task", "true", "predicted", "uncertainty", "novelty"))
    for name, task in evaluation.tasks.items():
        for row in task.worst[:_WORST]:
            found = evaluation.row(row)
            table.add_row(
                f"{found['formula']} {found['prototype']}".strip(),
                name,
                f"{found['true']:.3f}",
                f"{found['predicted']:.3f}",
                _number(found["uncertainty"]),
                _number(found["novelty"]),
            )
    return table


def _table(title: str, first: str, columns: list[str] | tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _mae(metrics: Metrics) -> str:
    if metrics.mae_standard_error is None:
        return f"{metrics.mae:.3f}"
    return f"{metrics.mae:.3f} ± {metrics.mae_standard_error:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
