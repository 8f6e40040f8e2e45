"""Write the files of an evaluation: errors, predictions, errors by element and by prototype, plots."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from esnet.evaluation.plots import plot_evaluation
from esnet.evaluation.run import Evaluation
from esnet.files.output_folder import new_output_folder
from esnet.representation.composition import ELEMENTS

METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
BY_ELEMENT = "errors_by_element.csv"
BY_PROTOTYPE = "errors_by_prototype.csv"


def write_evaluation(evaluation: Evaluation, path: Path | str) -> Path:
    """Write an evaluation atomically and return its folder.

    Parameters
    ----------
    evaluation
        The evaluation to write.
    path
        Directory to create. It will contain ``metrics.json`` (all numbers), ``predictions.csv`` (one line per sample,
        with empty cells where the bundle gives no value), ``errors_by_element.csv``, ``errors_by_prototype.csv`` and
        the plots of `esnet.evaluation.plots.plot_evaluation`.

    Raises
    ------
    OutputExistsError
        If ``path`` exists.
    """
    folder = Path(path)
    with new_output_folder(folder) as temporary:
        text = json.dumps(evaluation.to_dict(), indent=1, allow_nan=False) + "\n"
        (temporary / METRICS).write_text(text, encoding="utf-8")
        _write_csv(temporary / PREDICTIONS, (evaluation.row(row) for row in range(len(evaluation.indices))))
        _write_csv(temporary / BY_ELEMENT, _element_rows(evaluation))
        _write_csv(temporary / BY_PROTOTYPE, _prototype_rows(evaluation))
        plot_evaluation(evaluation, temporary)
    return folder


def _prototype_rows(evaluation: Evaluation) -> Iterable[dict[str, Any]]:
    for task, found in evaluation.tasks.items():
        for name, metrics in found.by_prototype.items():
            yield {"task": task, "prototype": name, **metrics.to_dict()}


def _element_rows(evaluation: Evaluation) -> Iterable[dict[str, Any]]:
    assessor = evaluation.bundle.assessor
    for task, found in evaluation.tasks.items():
        for name, metrics in found.by_element.items():
            trained = None if assessor is None else int(assessor.element_counts[ELEMENTS.index(name)])
            yield {"task": task, "element": name, **metrics.to_dict(), "n_training_samples": trained}


def _write_csv(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    lines = iter(rows)
    # never empty: every evaluation has a sample, and every sample an element and a prototype (or "unknown")
    first = next(lines)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(first))
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(lines)
