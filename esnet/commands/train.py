"""The command `esnet train`.

Example
-------
::

    esnet train oxides models/oxides --kinds rs_dos --split-by chemsys
    esnet train oxides models/oxides-ensemble --members 5 --gpus 2 --mixed-precision
    tensorboard --logdir models/oxides.work
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esnet.commands.options import DatasetArgument, Kinds, SplitBy, training_settings

if TYPE_CHECKING:
    from rich.console import Console

    from esnet.bundle.info import BundleInfo
    from esnet.training.ensemble_run import MemberProgress


def command(
    dataset: DatasetArgument,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory to make")],
    kinds: Annotated[Kinds, typer.Option(help="DOS to train on: of unrelaxed, of relaxed crystals")] = "both",
    split_by: Annotated[SplitBy, typer.Option(help="What the parts must not share, beside materials")] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Seed of split, initial weights and order of batches")] = 1,
    validation_fraction: Annotated[float, typer.Option(help="Fraction of the samples to stop by")] = 0.1,
    test_fraction: Annotated[float, typer.Option(help="Fraction of the samples that no choice depends on")] = 0.1,
    test_chemsys: Annotated[
        str | None,
        typer.Option(
            metavar="A-B,C-D", help="Chemical systems held out for the test; default: none", show_default=False
        ),
    ] = None,
    widths: Annotated[str, typer.Option(help="Channels of the four blocks")] = "64,128,256,512",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs at most")] = 300,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples a step, of all GPUs together")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of Adam at the start, no unit")] = 0.00175,
    plateau_patience: Annotated[int, typer.Option(min=1, help="Epochs until the learning rate is halved")] = 15,
    stop_patience: Annotated[int, typer.Option(min=1, help="Epochs without a better loss that end it")] = 35,
    members: Annotated[int, typer.Option(min=1, help="Networks of an ensemble, with seeds SEED, SEED+1, ...")] = 1,
    mixed_precision: Annotated[bool, typer.Option("--mixed-precision", help="Compute in bfloat16")] = False,
    xla: Annotated[bool, typer.Option("--xla", help="Compile the training step with XLA")] = False,
    gpus: Annotated[
        int | None,
        typer.Option(
            min=0, help="GPUs that share each batch; 0: the CPU; default: the first GPU, or the CPU", show_default=False
        ),
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder for checkpoints and logs; default: BUNDLE.work", show_default=False)
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Epochs between two checkpoints")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where there are checkpoints")] = False,
) -> None:
    """Train an ESNet, or an ensemble, on a data set. The same command goes on after an interruption.

    Example: esnet train oxides models/oxides --kinds rs_dos --members 3
    """
    if gpus == 0:
        # before TensorFlow looks
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from esnet.bundle.files import refuse_existing
    from esnet.commands.console import console
    from esnet.dataset.dataset import Dataset
    from esnet.dataset.splits import split_dataset
    from esnet.training.ensemble_run import default_work, train_bundle

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
    data = Dataset.open(dataset)
    split = split_dataset(
        data,
        by=split_by,
        seed=seed,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        test_chemsys=tuple(test_chemsys.split(",")) if test_chemsys else (),
    )
    out, folder = console(), default_work(bundle) if work is None else work
    out.print(f"{data.path}: {split.describe()}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"logs: tensorboard --logdir {folder}", markup=False, highlight=False, soft_wrap=True)
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
        out.print(
            f"\ninterrupted: the same command goes on from the last checkpoint in {folder}"
            + (" (without --fresh)" if fresh else ""),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(130) from None
    _print_result(out, made.info)
    out.print(f"bundle: {bundle}   (esnet describe {bundle})", markup=False, highlight=False, soft_wrap=True)
    out.print(f"table of epochs: {folder / 'member-*' / 'logs'}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _display(out: Console, *, members: int, epochs: int) -> Iterator[MemberProgress]:
    """Show epoch, losses, learning rate and the time left; a line for each epoch where there is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("at most"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal) as bar:
        tasks = {}

        def show(member: int, epoch: int, values: Mapping[str, float]) -> None:
            title = f"network {member}/{members}" if members > 1 else "training"
            if not out.is_terminal:
                out.print(f"{title}: epoch {epoch}/{epochs}  {_figures(values)}", highlight=False, soft_wrap=True)
                return
            if member not in tasks:
                # what an interrupted run had done already says nothing about the speed of this one
                tasks[member] = bar.add_task(title, total=epochs, completed=epoch - 1, figures="")
            bar.update(tasks[member], completed=epoch, figures=_figures(values))

        yield show


def _figures(values: Mapping[str, float]) -> str:
    names = {"loss": "loss", "val_loss": "validation loss", "val_mae": "validation MAE", "learning_rate": "rate"}
    parts = [f"{label} {values[name]:.4g}" for name, label in names.items() if name in values]
    return ", ".join(parts).replace("MAE ", "MAE (eV/atom) ")


def _print_result(out: Console, info: BundleInfo) -> None:
    from esnet.commands.describe import error_table

    out.print(error_table(info))
    for number, record in enumerate(info.records, start=1):
        out.print(
            f"network {number}: {record.epochs} epochs, best {record.best_epoch}; {record.stopped}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        if record.validation_note:
            out.print(f"note: {record.validation_note}", markup=False, highlight=False, soft_wrap=True)
