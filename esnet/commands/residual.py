"""Residuals of a potential for `esnet train --residual-of`, and their output."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from esnet.bundle.record import SINGLE_POINT
from esnet.commands.console import console, print_labelled, print_plain
from esnet.dataset.dataset import Dataset
from esnet.residual.potential import ResidualPotential
from esnet.residual.residuals import residual_dataset
from esnet.residual.single_point import single_point_residuals
from esnet.training.residual_comparison import verdict

_REASONS = 3


def residuals_of(out: Console, dataset: Dataset, name: str, file: Path | None) -> Dataset:
    """Return the residuals of a data set, and print how many samples have none and why."""
    if name == SINGLE_POINT.replace(" ", "_"):
        if file is not None:
            message = "is not for --residual-of single_point: these energies are in the data set; leave it out"
            raise typer.BadParameter(message, param_hint="--potential-energies")
        return single_point_residuals(dataset).dataset
    potential = ResidualPotential.named(name)
    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"relaxing with {potential.title}", total=len(dataset))
        found = residual_dataset(
            dataset, potential, file=file, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    if found.reasons:
        ordered = sorted(found.reasons.items(), key=lambda item: -item[1])
        first = "; ".join(f"{reason} ({count})" for reason, count in ordered[:_REASONS])
        more = f"; {len(ordered) - _REASONS} more reasons" if len(ordered) > _REASONS else ""
        lost = f"{sum(found.reasons.values())} of {len(dataset)} samples"
        print_labelled(out, "note:", f"{potential.title} gives {lost} no energy: {first}{more}")
    return found.dataset


def print_comparison(out: Console, of: Mapping[str, Any]) -> None:
    """Print the errors of the potential without and with the model, and whether the DOS improved them."""
    potential, compared = of["potential"], of["comparison"]
    table = Table(
        title=f"formation energies by {potential}, {compared['part']} part; errors in eV/atom", title_justify="left"
    )
    for column in ("task", "predicted by", "samples", "MAE", "RMSE", "bias"):
        table.add_column(column, justify="left" if column in ("task", "predicted by") else "right")
    for task, found in compared["tasks"].items():
        for name, errors in found["errors"].items():
            figures = (f"{errors['mae']:.3f}", f"{errors['rmse']:.3f}", f"{errors['bias']:+.3f}")
            table.add_row(task, f"{potential} {name}", str(errors["n"]), *figures)
    out.print(table)
    for task, found in compared["tasks"].items():
        print_plain(out, verdict(potential, task, found))
