"""Result of a comparison: a table like Table 1 of the paper, and its files."""

import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.training.metrics import errors

TASKS: Mapping[str, str] = {"RS2RE": "rs_dos", "IS2RE": "is_dos"}
"""Columns of the table, with the kind of DOS that each is predicted from."""


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """Row of one model.

    Attributes
    ----------
    name, title
        Key and name of the model.
    predictions
        Formation energies predicted for the samples of the test part, in order, eV/atom; None for a sample without a
        prediction.
    n_train
        Number of samples that the model was fitted to.
    mae_validation
        Mean absolute error on the validation part with the kept parameters or weights, eV/atom.
    parameters
        Parameters of the model, in JSON types.
    source
        Source of the parameters.
    notes
        Notes for readers of the table.
    wall_s, cpu_s
        Time for fitting and predicting, s, without that for the moments.
    predict_cpu_s
        CPU time for predicting the test part, s; None if not measured (results of earlier versions).
    """

    name: str
    title: str
    predictions: list[float | None]
    n_train: int
    mae_validation: float
    parameters: dict[str, Any]
    source: str
    notes: list[str]
    wall_s: float
    cpu_s: float
    predict_cpu_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """Result of a comparison.

    Attributes
    ----------
    rows
        One row for each model.
    ids, materials, kinds, energies
        Ids, materials, kinds of DOS and formation energies (eV/atom) of the samples in the test part.
    about
        Data set, split, settings, versions, environment and notes, in JSON types.
    models
        Folders of the trained graph models in the working folder, by name.
    """

    rows: tuple[ModelResult, ...]
    ids: tuple[str, ...]
    materials: tuple[str, ...]
    kinds: tuple[str, ...]
    energies: NDArray[np.float64]
    about: dict[str, Any]
    models: Mapping[str, Path] = field(default_factory=dict)

    def metrics(self, row: ModelResult) -> dict[str, dict[str, float | int] | None]:
        """Return ``n``, ``mae`` and ``rmse`` (eV/atom) by task; None if the row has no predictions for a task."""
        predictions = np.array(row.predictions, dtype=np.float64)  # NaN for None
        found: dict[str, dict[str, float | int] | None] = {}
        for task, kind in TASKS.items():
            chosen = (np.asarray(self.kinds) == kind) & ~np.isnan(predictions)
            found[task] = errors(predictions[chosen], self.energies[chosen]) if chosen.any() else None
        return found

    @property
    def notes(self) -> list[str]:
        """Notes on the data and on each model."""
        return [*self.about["notes"], *(note for row in self.rows for note in row.notes)]

    def markdown(self) -> str:
        """Return the table in the layout of the paper, with MAE / RMSE in eV/atom."""
        lines = [f"| model | {' | '.join(TASKS)} |", f"| --- |{' --- |' * len(TASKS)}"]
        for row in self.rows:
            cells = [
                "no data" if found is None else f"{found['mae']:.3f} / {found['rmse']:.3f}"
                for found in self.metrics(row).values()
            ]
            lines.append(f"| {row.title} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"

    def write(self, folder: Path, *, models: bool = False) -> None:
        """Write table.md, table.csv, benchmark.json and predictions.csv into a folder.

        With ``models``, also copy the graph models, each to ``models/NAME``.
        """
        for name, kept in self.models.items() if models else ():
            shutil.copytree(kept, folder / "models" / name)
        notes = "".join(f"* {note}\n" for note in self.notes)
        split = self.about["split"]
        (folder / "table.md").write_text(
            f"MAE / RMSE in eV/atom on the test part of {self.about['dataset']['name']} "
            f"({split['n_train']} / {split['n_validation']} / {split['n_test']} samples to train, validate and test; "
            f"by {split['by']}, seed {split['seed']}; trained on {self.about['settings']['train_kinds']})\n\n"
            f"{self.markdown()}{chr(10) if notes else ''}{notes}",
            encoding="utf-8",
        )
        self._write_table(folder / "table.csv")
        self._write_predictions(folder / "predictions.csv")
        rows = [
            {name: value for name, value in asdict(row).items() if name != "predictions"} | {"test": self.metrics(row)}
            for row in self.rows
        ]
        (folder / "benchmark.json").write_text(
            json.dumps(self.about | {"models": rows}, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )

    def _write_table(self, file: Path) -> None:
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            columns = [f"{task}_{name}" for task in TASKS for name in ("n", "mae", "rmse")]
            writer.writerow(["model", "title", *columns, "mae_validation", "n_train", "wall_s", "cpu_s"])
            for row in self.rows:
                found = self.metrics(row).values()
                cells = [of[name] if of else "" for of in found for name in ("n", "mae", "rmse")]
                writer.writerow([row.name, row.title, *cells, row.mae_validation, row.n_train, row.wall_s, row.cpu_s])

    def _write_predictions(self, file: Path) -> None:
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "material", "kind", "e_form", *(row.name for row in self.rows)])
            for place, name in enumerate(self.ids):
                writer.writerow(
                    [
                        name,
                        self.materials[place],
                        self.kinds[place],
                        float(self.energies[place]),
                        *(row.predictions[place] for row in self.rows),
                    ]
                )
