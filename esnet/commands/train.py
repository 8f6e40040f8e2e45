"""The command `esnet train`."""

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from esnet.bundle.files import default_work, refuse_existing
from esnet.bundle.info import BundleInfo
from esnet.commands.console import console, draws_on, print_dated, print_plain
from esnet.commands.describe import error_table
from esnet.commands.residual import print_comparison, residuals_of
from esnet.commands.settings import training_settings
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import SplitBy, split_dataset
from esnet.training.ensemble_run import MemberProgress, train_bundle
from esnet.training.split_selection import Kinds

_LINE_EVERY_S = 10.0


def train(
    *,
    dataset: Path,
    bundle: Path,
    kinds: Kinds,
    split_by: SplitBy,
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    test_chemsys: str | None,
    widths: str,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    plateau_patience: int,
    stop_patience: int,
    members: int,
    mixed_precision: bool,
    xla: bool,
    gpus: int | None,
    work: Path | None,
    checkpoint_every: int,
    fresh: bool,
    residual_of: str | None,
    potential_energies: Path | None,
) -> None:
    """Train an ESNet or an ensemble on a data set; the same command resumes an interrupted training."""
    if gpus == 0:
        # set before TensorFlow reads it
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

    refuse_existing(bundle)
    settings = training_settings(
        widths=widths,
        max_epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        plateau_patience=plateau_patience,
        stop_patience=stop_patience,
        validation_fraction=validation_fraction,
        seed=seed,
        mixed_precision=mixed_precision,
        xla=xla,
    )
    data, out = Dataset.open(dataset), console()
    if residual_of is not None:
        data = residuals_of(out, data, residual_of, potential_energies)
    elif potential_energies is not None:
        raise typer.BadParameter("is for --residual-of", param_hint="--potential-energies")
    split = split_dataset(
        data,
        by=split_by,
        seed=seed,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        test_chemsys=tuple(test_chemsys.split(",")) if test_chemsys else (),
    )
    folder = default_work(bundle) if work is None else work
    print_plain(out, f"{data.path}: {split.describe()}")
    shown_by = "tensorboard --logdir " if find_spec("tensorboard") else ""
    print_plain(out, f"logs: {shown_by}{folder}")
    print_plain(out, "the first epoch of each network takes up to a minute longer: the network is compiled")
    try:
        with _display(out, members=members, epochs=epochs) as progress:
            made = train_bundle(
                bundle,
                dataset=data,
                split=split,
                settings=settings,
                kinds=kinds,
                members=members,
                work=folder,
                fresh=fresh,
                checkpoint_every=checkpoint_every,
                devices=[f"GPU:{number}" for number in range(gpus)] if gpus else None,
                progress=progress,
            )
    except KeyboardInterrupt:
        without = " (without --fresh)" if fresh else ""
        print_plain(out, f"\ninterrupted: repeat the command to resume from the last checkpoint in {folder}{without}")
        raise typer.Exit(130) from None
    _print_result(out, made.info)
    if (of := made.record.residual_of) is not None:
        print_comparison(out, of)
    print_plain(out, f"bundle: {bundle}   (esnet describe {bundle})")
    print_plain(out, f"table of epochs: {folder / 'member-*' / 'logs'}")


@contextmanager
def _display(out: Console, *, members: int, epochs: int) -> Iterator[MemberProgress]:
    """Show epoch, losses, learning rate and remaining time.

    Without a terminal, print dated lines: for the first and last epoch of each network, and every 10 s in between.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("at most"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[figures]}"),
    )
    draws = draws_on(out)
    with Progress(*columns, console=out, disable=not draws, redirect_stderr=sys.stderr.isatty()) as bar:
        tasks = {}
        printed: dict[int, float] = {}
        unprinted: dict[int, str] = {}

        def show(member: int, epoch: int, values: Mapping[str, float]) -> None:
            title = f"network {member}/{members}" if members > 1 else "training"
            if not draws:
                unprinted[member] = f"{title}: epoch {epoch}/{epochs}  {_figures(values)}"
                if epoch == epochs or time.monotonic() - printed.get(member, -math.inf) >= _LINE_EVERY_S:
                    printed[member] = time.monotonic()
                    print_dated(out, unprinted.pop(member))
                return
            if member not in tasks:
                # epochs of an interrupted run do not count towards the speed of this one
                tasks[member] = bar.add_task(title, total=epochs, completed=epoch - 1, figures="")
            bar.update(tasks[member], completed=epoch, figures=_figures(values))

        try:
            yield show
        finally:
            # with early stopping, the last epoch of a network is not known in advance
            for _, line in sorted(unprinted.items()):
                print_dated(out, line)


def _figures(values: Mapping[str, float]) -> str:
    names = {"loss": "loss", "val_loss": "validation loss", "val_mae": "validation MAE", "learning_rate": "rate"}
    parts = [f"{label} {values[name]:.4g}" for name, label in names.items() if name in values]
    return ", ".join(parts).replace("MAE ", "MAE (eV/atom) ")


def _print_result(out: Console, info: BundleInfo) -> None:
    out.print(error_table(info))
    for number, record in enumerate(info.records, start=1):
        print_plain(out, f"network {number}: {record.epochs} epochs, best {record.best_epoch}; {record.stopped}")
        if record.validation_note:
            print_plain(out, f"note: {record.validation_note}")
