"""The command `esnet predict`."""

import csv
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import typer
from rich.table import Table

from esnet.api import EngineWarning
from esnet.api import predict as predict_sources
from esnet.commands.console import console, print_labelled, printable
from esnet.scoring.prediction import Prediction

_COLUMNS = ("file", "e_form", "uncertainty", "novel", "reason")


def predict(*, bundle: str, files: list[Path], format: Literal["table", "json", "csv"]) -> None:
    """Predict the formation energies of relaxed crystals from the densities of states of unrelaxed ones, eV/atom.

    Files that cannot be used are reported on standard error, and the exit code is 1; the others are still predicted.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EngineWarning)
        found = predict_sources(bundle, files, strict=False)
    known = [each for each in found if each.e_form is not None]
    if format == "json":
        typer.echo(json.dumps([_row(each) for each in found], indent=1, allow_nan=False))
    elif format == "csv":
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(_COLUMNS)
        lines.writerows([printable(each.id), *_texts(each), printable(each.reason or "")] for each in found)
    elif known:
        console().print(_table(known, bundle))
    errors = console(stderr=True)
    for warning in caught:
        if issubclass(warning.category, EngineWarning):
            print_labelled(errors, "note:", str(warning.message))
    if len(known) > 1 and len({each.uncertainty for each in known} - {None}) == 1:
        print_labelled(errors, "note:", "the model gives the same standard deviation for all of these predictions")
    failed = [each for each in found if each.e_form is None]
    for each in failed:
        print_labelled(errors, "error:", each.reason or each.id, style="red")
    if failed:
        raise typer.Exit(1)


def _row(prediction: Prediction) -> dict[str, object]:
    said = asdict(prediction)
    return {"file": said["id"], **{name: said[name] for name in _COLUMNS[1:]}}


def _texts(prediction: Prediction) -> list[str]:
    energies = ["" if value is None else f"{value:.4f}" for value in (prediction.e_form, prediction.uncertainty)]
    return [*energies, "" if prediction.novel is None else "yes" if prediction.novel else "no"]


def _table(found: Sequence[Prediction], bundle: str) -> Table:
    table = Table(
        title=f"formation energies of the relaxed crystals, eV/atom (model: {bundle})",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    table.add_column("file", overflow="fold")
    for heading in ("E_f", "+/-", "novel"):
        table.add_column(heading, justify="right")
    for each in found:
        table.add_row(each.id, *_texts(each))
    return table
