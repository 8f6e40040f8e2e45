"""Logs of a training run: a table of its epochs as CSV, and TensorBoard's event files."""

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esnet.files.atomic import whole_file
from esnet.files.errors import MissingExtraError, require

logger = logging.getLogger(__name__)

CSV_NAME = "epochs.csv"
TENSORBOARD = "tensorboard"
"""Folder for ``tensorboard --logdir``."""


def write_csv(folder: Path, history: Mapping[str, Sequence[float]]) -> Path:
    """Write one line per epoch, rewriting all of them, so that a resumed run has no epoch twice.

    Keras' CSVLogger only appends and would repeat the epochs since the last checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / CSV_NAME
    with whole_file(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["epoch", *history])
        writer.writerows([epoch, *values] for epoch, values in enumerate(zip(*history.values(), strict=True), start=1))
    return target


def tensorboard_callbacks(folder: Path) -> list[Any]:
    """Return Keras' callback that writes losses and learning rate for TensorBoard, in a list.

    The list is empty if the package tensorboard is not installed: a log line names the extra that provides it, and only
    the table of epochs is written.
    """
    import keras

    try:
        require("tensorboard", extra="tune")
    except MissingExtraError as missing:
        logger.info("no logs for TensorBoard: %s", missing)
        return []
    # the graph of ten million weights would slow the page down and shows nothing beyond esnet.network.model
    return [keras.callbacks.TensorBoard(log_dir=str(folder / TENSORBOARD), write_graph=False, profile_batch=0)]
