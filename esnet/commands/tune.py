"""The command `esnet tune`.

Example
-------
::

    esnet tune oxides oxides-tuning --trials 30 --gpus-per-trial 0.5
    esnet tune oxides oxides-grid --grid 5x5 --epochs 60
    tensorboard --logdir oxides-tuning/ray
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esnet.commands.options import DatasetArgument, Kinds, SplitBy, training_settings

if TYPE_CHECKING:
    from rich.console import Console

    from esnet.tuning.ray_adapters import TrialProgress
    from esnet.tuning.study import Trial
    from esnet.tuning.tune import TuningResult


def command(
    dataset: DatasetArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make, or to go on in after an interruption")],
    trials: Annotated[int, typer.Option(min=1, help="Number of trials; more than before: goes on in OUT")] = 20,
    grid: Annotated[
        str | None, typer.Option(help="A plain grid, learning rates x batch sizes, e.g. 5x4; default: Ax searches")
    ] = None,
    learning_rate: Annotated[tuple[float, float], typer.Option(help="Learning rates of Adam: from, to; no unit")] = (
        0.0005,
        0.002,
    ),
    batch_size: Annotated[tuple[int, int], typer.Option(help="Samples a step: from, to, both included")] = (16, 65),
    point: Annotated[
        list[str] | None,
        typer.Option(help="Learning rate,batch size to try first, e.g. 0.001,32; may be repeated; default: none"),
    ] = None,
    asha: Annotated[
        bool | None,
        typer.Option("--asha/--no-asha", help="Stop bad trials early; default: not for a grid", show_default=False),
    ] = None,
    grace: Annotated[int, typer.Option(min=1, help="Epochs before ASHA may stop a trial")] = 10,
    reduction: Annotated[float, typer.Option(help="Of so many trials at a rung ASHA lets one go on")] = 3.0,
    kinds: Annotated[Kinds, typer.Option(help="Trained and validated on these")] = "both",
    split_by: Annotated[SplitBy, typer.Option(help="The parts share no material, and none of these")] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, of every trial and of the search")] = 1,
    validation_fraction: Annotated[
        float, typer.Option(help="Fraction of the samples; trials are compared on it")
    ] = 0.1,
    test_fraction: Annotated[float, typer.Option(help="Fraction of the samples; nothing is chosen by it")] = 0.1,
    widths: Annotated[str, typer.Option(help="Channels of the four blocks")] = "64,128,256,512",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of a trial at most")] = 300,
    plateau_patience: Annotated[int, typer.Option(min=1, help="Epochs until the learning rate is halved")] = 15,
    stop_patience: Annotated[int, typer.Option(min=1, help="Epochs without a better loss that end a trial")] = 35,
    mixed_precision: Annotated[bool, typer.Option("--mixed-precision", help="Compute in bfloat16")] = False,
    xla: Annotated[bool, typer.Option("--xla", help="Compile the training step")] = False,
    cpus_per_trial: Annotated[int, typer.Option(min=1, help="Cores of a trial")] = 1,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(min=0, help="GPUs of a trial, may be a part; default: 1 where Ray has any", show_default=False),
    ] = None,
    concurrent: Annotated[
        int | None, typer.Option(min=1, help="Trials at a time; default: what there is room for", show_default=False)
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="Further tries of a trial whose worker died or raised an exception")
    ] = 2,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Let trials that failed go on")] = False,
    address: Annotated[
        str | None, typer.Option(help="host:port of a running Ray; default: RAY_ADDRESS, else one is started")
    ] = None,
) -> None:
    """Look for the best learning rate and batch size with Ray Tune and Ax, or on a plain grid.

    Leaves results.csv, surface.png and .svg, and the bundle of the best trial in OUT. The same command goes on after
    an interruption.

    Example: esnet tune oxides oxides-tuning --trials 30 --gpus-per-trial 0.5
    """
    from esnet.commands.console import console
    from esnet.dataset.dataset import Dataset
    from esnet.dataset.splits import split_dataset
    from esnet.ray.session import ray_session
    from esnet.tuning.space import FloatRange, IntRange, Space
    from esnet.tuning.tune import Resources, SearchSettings, tune

    shape = _numbers("--grid", grid, "x", 2) if grid else None
    stops = shape is None if asha is None else asha
    points = [_numbers("--point", text, ",", 2, whole=False) for text in point or ()]
    search = SearchSettings(
        trials=trials,
        grid=None if shape is None else tuple(int(number) for number in shape),
        points=tuple({"learning_rate": rate, "batch_size": int(size)} for rate, size in points),
        stopping="asha" if stops else "none",
        grace=grace,
        reduction=reduction,
        seed=seed,
    )
    training = training_settings(
        widths=widths,
        max_epochs=epochs,
        plateau_patience=plateau_patience,
        stop_patience=stop_patience,
        validation_fraction=validation_fraction,
        seed=seed,
        mixed_precision=mixed_precision,
        xla=xla,
    )
    resources = Resources(cpus=cpus_per_trial, gpus=gpus_per_trial, concurrent=concurrent, retries=retries)
    space: Space = {
        "learning_rate": FloatRange(low=learning_rate[0], high=learning_rate[1]),
        "batch_size": IntRange(low=batch_size[0], high=batch_size[1]),
    }
    data = Dataset.open(dataset)
    split = split_dataset(
        data,
        by=split_by,
        seed=seed,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
    )
    screen = console()
    screen.print(f"{data.path}: {split.describe()}", markup=False, highlight=False)
    total = shape[0] * shape[1] if shape else max(trials, len(points))
    with ray_session(address, name=f"tune {out.name}", dashboard=True) as ray, _token_file(out) as token:
        if ray.dashboard_url:
            where = f"Ray dashboard: {ray.dashboard_url} (it asks for the token in {token})"
            screen.print(where, highlight=False, soft_wrap=True)
        screen.print(f"TensorBoard:   tensorboard --logdir {out / 'ray'}", highlight=False, soft_wrap=True)
        with _display(screen, out, int(total)) as progress:
            result = tune(
                data,
                out,
                split=split,
                training=training,
                kinds=kinds,
                space=space,
                search=search,
                resources=resources,
                retry_failed=retry_failed,
                progress=progress,
            )
    _print_result(screen, result)


def _numbers(option: str, text: str, separator: str, count: int, *, whole: bool = True) -> list[float]:
    parts = text.lower().split(separator)
    try:
        numbers = [float(int(part)) if whole else float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        what = "whole numbers" if whole else "numbers"
        raise typer.BadParameter(f"{text!r}: must be {count} {what} with {separator} between them", param_hint=option)
    return numbers


@contextmanager
def _token_file(out: Path) -> Iterator[Path]:
    """Keep the token that Ray's dashboard asks for beside OUT, in a file that only this user can read."""
    # its own name: a second `esnet tune` of the same OUT is refused, and must not take this one's away
    path = out.with_name(f"{out.name}.ray-token-{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(os.environ.get("RAY_AUTH_TOKEN", ""))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _display(screen: Console, out: Path, total: int) -> Iterator[TrialProgress]:
    """Show how many trials have ended and where the running ones are, and print a line for each that ends."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from esnet.tuning.study import Study, parameters_text
    from esnet.tuning.tune import METRIC

    running: dict[str, Trial] = {}
    columns = (
        TextColumn("trials"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bar:
        ended = sum(trial.status != "running" for trial in Study(out).trials())
        task = bar.add_task("", total=total, completed=ended)

        def show(trial: Trial) -> None:
            if trial.status == "running":
                running[trial.name] = trial
            else:
                running.pop(trial.name, None)
                bar.advance(task)
                text = f"{trial.name}  {trial.status:8s}  epoch {trial.epoch:3d}  {parameters_text(trial.parameters)}"
                value = trial.last(METRIC)
                text += "" if value is None else f"  MAE {value:.4f} eV/atom"
                text += f"  ({trial.message})" if trial.message else ""
                screen.print(text, markup=False, highlight=False, soft_wrap=True)
            bar.update(task, description=", ".join(f"{name}: epoch {now.epoch}" for name, now in running.items()))

        yield show


def _print_result(screen: Console, result: TuningResult) -> None:
    from rich.table import Table

    from esnet.tuning.tune import METRIC

    def value(trial: Trial) -> float:
        found = trial.last(METRIC)
        return float("inf") if found is None or trial.status == "failed" else found

    names = list(result.best.parameters)
    table = Table("trial", "status", *(name.replace("_", " ") for name in names), "epochs", "validation MAE / eV/atom")
    for trial in sorted(result.trials, key=value):
        numbers = [trial.parameters[name] for name in names]
        table.add_row(
            trial.name + (" (best)" if trial.name == result.best.name else ""),
            trial.status,
            *(f"{number:.3g}" if isinstance(number, float) else str(number) for number in numbers),
            str(trial.epoch),
            "" if value(trial) == float("inf") else f"{value(trial):.4f}",
        )
    screen.print(table)
    for what, path in (("table", result.table), *(("plot", plot) for plot in result.plots), ("bundle", result.bundle)):
        screen.print(f"{what}: {path}", markup=False, highlight=False, soft_wrap=True)
