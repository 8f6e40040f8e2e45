"""The command `esnet benchmark`."""

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from esnet.baselines.result import BenchmarkResult
from esnet.baselines.run import BenchmarkSettings, remove_work, run_benchmark
from esnet.baselines.settings import GRAPH_MODELS, TITLES, BenchmarkError
from esnet.commands.console import console, print_labelled, print_plain
from esnet.commands.settings import widths_of
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import SplitBy
from esnet.files.output_folder import new_output_folder, refuse_existing_output
from esnet.training.split_selection import Kinds

_KINDS = {
    "rs_dos": "the DOS of relaxed crystals only",
    "is_dos": "the DOS of initial crystals only",
    "both": "the DOS of initial and relaxed crystals",
}


def benchmark(
    *,
    dataset: Path,
    output: Path | None,
    models: str,
    train_kinds: Kinds,
    split_by: SplitBy,
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    epochs: int | None,
    widths: str | None,
    quick: bool,
    max_kernel_samples: int,
    threads: int | None,
    save_models: bool,
) -> None:
    """Train and test the models of the paper's table on one data set and split."""
    named = tuple(name.strip() for name in models.split(",") if name.strip())
    settings = BenchmarkSettings(
        models=tuple(TITLES) if "all" in named else named,
        train_kinds=train_kinds,
        split_by=split_by,
        seed=seed,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        epochs=epochs,
        widths=None if widths is None else widths_of(widths),
        quick=quick,
        max_kernel_samples=max_kernel_samples,
        threads=threads,
    )
    if save_models and not GRAPH_MODELS & set(settings.models):
        raise BenchmarkError(
            f"--save-models saves graph models, but --models {models} names none: add one of "
            f"{', '.join(sorted(GRAPH_MODELS))}, or leave --save-models out"
        )
    folder = output or Path(f"{dataset}.benchmark")
    work = Path(f"{folder}.work")
    refuse_existing_output(folder)
    data = Dataset.open(dataset)
    out, messages = console(), console(stderr=True)
    other = "" if train_kinds == "both" else "; not comparable with a bundle trained on both (esnet train by default)"
    print_plain(messages, f"training on {_KINDS[train_kinds]} (--train-kinds {train_kinds}), testing on both{other}")
    try:
        with messages.status("") as status:

            def report(text: str) -> None:
                if messages.is_terminal:
                    status.update(escape(text))
                else:
                    print_plain(messages, text)

            found = run_benchmark(data, settings=settings, work=work, report=report)
    except KeyboardInterrupt:
        messages.print(f"stopped; repeat the command to continue from {work}", soft_wrap=True)
        raise typer.Exit(130) from None
    with new_output_folder(folder) as temporary:
        found.write(temporary, models=save_models)
    remove_work(data, settings=settings, work=work)
    out.print(_table(found))
    for note in found.notes:
        print_labelled(out, "note:", note)
    out.print(f"wrote {folder}", highlight=False, soft_wrap=True)


def _table(found: BenchmarkResult) -> object:
    table = Table(title="MAE / RMSE on the test part, eV/atom")
    table.add_column("model")
    for task in ("RS2RE", "IS2RE"):
        table.add_column(task, justify="right")
    table.add_column("validation MAE", justify="right")
    table.add_column("trained on", justify="right")
    table.add_column("time, s", justify="right")
    for row in found.rows:
        cells = [f"{of['mae']:.3f} / {of['rmse']:.3f}" if of else "no data" for of in found.metrics(row).values()]
        table.add_row(row.title, *cells, f"{row.mae_validation:.3f}", str(row.n_train), f"{row.wall_s:.1f}")
    return table
