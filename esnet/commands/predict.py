"""The command `esnet predict`."""

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import typer
from rich.table import Table

from esnet.api import open_bundle
from esnet.api import predict as predict_sources
from esnet.commands.console import console, printable
from esnet.scoring.prediction import Prediction

_COLUMNS = ("file", "e_form", "uncertainty", "novel")


def predict(*, bundle: str, files: list[Path], format: Literal["table", "json", "csv"]) -> None:
    """Predict the formation energies of relaxed crystals from the densities of states of unrelaxed ones, eV/atom."""
    found = predict_sources(open_bundle(bundle), files)
    if format == "json":
        typer.echo(json.dumps([_row(each) for each in found], indent=1, allow_nan=False))
    elif format == "csv":
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(_COLUMNS)
        lines.writerows([printable(each.id), *_texts(each)] for each in found)
    else:
        console().print(_table(found, bundle))


def _row(prediction: Prediction) -> dict[str, object]:
    said = asdict(prediction)
    return {"file": said["id"], **{name: said[name] for name in _COLUMNS[1:]}}


def _texts(prediction: Prediction) -> list[str]:
    energies = ["" if value is None else f"{value:.4f}" for value in (prediction.e_form, prediction.uncertainty)]
    return [*energies, "" if prediction.novel is None else "yes" if prediction.novel else "no"]


def _table(found: Sequence[Prediction], bundle: str) -> Table:
    table = Table(title=f"formation energies of the relaxed crystals by {bundle}, eV/atom", title_justify="left")
    table.add_column("file", overflow="fold")
    for heading in ("E_f", "+/-", "novel"):
        table.add_column(heading, justify="right")
    for each in found:
        table.add_row(each.id, *_texts(each))
    return table
