"""The command `esnet tune`."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from esnet.commands.console import console, draws_on, print_dated, print_plain
from esnet.commands.settings import training_settings
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import SplitBy, split_dataset
from esnet.ray.credentials import ray_token, write_private
from esnet.ray.dashboard_link import DashboardLink
from esnet.ray.session import ray_session
from esnet.training.split_selection import Kinds
from esnet.tuning.ray_adapters import TrialProgress
from esnet.tuning.space import FloatRange, IntRange, Space
from esnet.tuning.study import Study, Trial, parameters_text
from esnet.tuning.tune import METRIC, Resources, SearchSettings, TuningResult
from esnet.tuning.tune import tune as tune_model

_LINE_EVERY_S = 30.0


def tune(
    *,
    dataset: Path,
    out: Path,
    trials: int,
    grid: str | None,
    learning_rate: tuple[float, float],
    batch_size: tuple[int, int],
    point: list[str] | None,
    asha: bool | None,
    grace: int,
    reduction: float,
    kinds: Kinds,
    split_by: SplitBy,
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    widths: str,
    epochs: int,
    plateau_patience: int,
    stop_patience: int,
    mixed_precision: bool,
    xla: bool,
    cpus_per_trial: int,
    gpus_per_trial: float | None,
    concurrent: int | None,
    retries: int,
    retry_failed: bool,
    address: str | None,
) -> None:
    """Search for the best learning rate and batch size with Ray Tune and Ax, or on a regular grid."""
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
        data, by=split_by, seed=seed, validation_fraction=validation_fraction, test_fraction=test_fraction
    )
    screen = console()
    screen.print(f"{data.path}: {split.describe()}", highlight=False)
    total = shape[0] * shape[1] if shape else max(trials, len(points))
    with (
        ray_session(address, name=f"tune {out.name}", dashboard=True) as ray,
        _token_file(out) as token,
        ExitStack() as ending,
    ):
        if ray.dashboard_url:
            where = f"{ray.dashboard_url} (it asks for the token in {token})"
            if ray.started_here and draws_on(screen):
                # never written to a file: until it is used, the link is as powerful as the token
                link = ending.enter_context(DashboardLink(ray.dashboard_url, token.read_text(encoding="utf-8")))
                where = f"{link.address} (opens once, on this machine), later {where}"
            print_plain(screen, f"Ray dashboard: {where}")
        screen.print(f"TensorBoard:   tensorboard --logdir {out / 'ray'}", highlight=False, soft_wrap=True)
        with _display(screen, out, int(total)) as progress:
            result = tune_model(
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
    """Store the token of Ray's dashboard next to OUT, in a file that only this user can read."""
    # a unique name, so that a second `esnet tune` with the same OUT, which is refused, does not remove it
    path = out.with_name(f"{out.name}.ray-token-{os.getpid()}")
    write_private(path, ray_token())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _display(screen: Console, out: Path, total: int) -> Iterator[TrialProgress]:
    """Show the progress of the trials, and print a line when one starts or ends.

    Without a terminal, the lines are dated, and one every 30 s gives the progress of the running trials.
    """
    draws = draws_on(screen)
    said = time.monotonic()
    running: dict[str, Trial] = {}
    columns = (
        TextColumn("trials"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    say = print_plain if draws else print_dated
    with Progress(*columns, console=screen, disable=not draws, redirect_stderr=sys.stderr.isatty()) as bar:
        ended = sum(trial.status != "running" for trial in Study(out).trials())
        task = bar.add_task("", total=total, completed=ended)

        def show(trial: Trial) -> None:
            nonlocal said
            if trial.status == "running":
                if trial.name not in running:
                    say(screen, f"{trial.name}  starts    {parameters_text(trial.parameters)}")
                running[trial.name] = trial
            else:
                running.pop(trial.name, None)
                bar.advance(task)
                text = f"{trial.name}  {trial.status:8s}  epoch {trial.epoch:3d}  {parameters_text(trial.parameters)}"
                value = trial.last(METRIC)
                text += "" if value is None else f"  MAE {value:.4f} eV/atom"
                text += f"  ({trial.message})" if trial.message else ""
                say(screen, text)
            where = ", ".join(f"{name}: epoch {now.epoch}" for name, now in running.items())
            bar.update(task, description=where)
            if not draws and running and time.monotonic() - said >= _LINE_EVERY_S:
                said = time.monotonic()
                print_dated(screen, f"{where}  ({bar.tasks[task].completed:.0f} of {total} trials finished)")

        yield show


def _print_result(screen: Console, result: TuningResult) -> None:
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
        print_plain(screen, f"{what}: {path}")
