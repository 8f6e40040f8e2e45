"""The command `esnet benchmark`.

Example
-------
::

    esnet benchmark oxides
    esnet benchmark oxides --models krr,xgboost,esnet --split-by chemsys --output comparison
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from esnet.commands.options import DatasetArgument, Kinds, SplitBy, widths_of

if TYPE_CHECKING:
    from esnet.baselines.result import BenchmarkResult


def command(
    dataset: DatasetArgument,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder to make; default: DATASET.benchmark", show_default=False),
    ] = None,
    models: Annotated[
        str, typer.Option(help="Names with commas between them; the mean of the training part is always there")
    ] = "krr,svr,rf,xgboost,dnn,cnn,esnet",
    train_kinds: Annotated[Kinds, typer.Option(help="DOS to train on; tested on both")] = "rs_dos",
    split_by: Annotated[SplitBy, typer.Option(help="The parts share no material, and none of these")] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split and of every model")] = 1,
    validation_fraction: Annotated[float, typer.Option(help="Fraction of the samples; chooses parameters")] = 0.1,
    test_fraction: Annotated[float, typer.Option(help="Fraction of the samples; read once, at the end")] = 0.1,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs of the networks at most; default: 300, quick: 15", show_default=False),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(
            help="Channels of the four blocks of CNN and ESNet; default: 64,128,256,512, quick: 8,16,32,64",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A first look: small networks, parameters not chosen")] = False,
    max_kernel_samples: Annotated[
        int, typer.Option(min=2, help="KRR and SVR train on at most so many samples, drawn by the seed")
    ] = 10_000,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of the tree models; default: the cores of this process", show_default=False),
    ] = None,
) -> None:
    """Train and test the paper's DOS models on one data set and split: KRR, SVR, RF, XGBoost, DNN, CNN and ESNet.

    Writes the table (markdown, CSV, JSON) and all predictions. The same command goes on after an interruption.

    Example: esnet benchmark oxides --models krr,xgboost,esnet
    """
    from rich.markup import escape

    from esnet.baselines.run import BenchmarkSettings, remove_work, run_benchmark
    from esnet.commands.console import console
    from esnet.dataset.dataset import Dataset
    from esnet.files.output_folder import new_output_folder, refuse_existing_output

    settings = BenchmarkSettings(
        models=tuple(name.strip() for name in models.split(",") if name.strip()),
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
    folder = output or Path(f"{dataset}.benchmark")
    work = Path(f"{folder}.work")
    refuse_existing_output(folder)
    data = Dataset.open(dataset)
    out, messages = console(), console(stderr=True)
    try:
        with messages.status("") as status:

            def report(text: str) -> None:
                if messages.is_terminal:
                    status.update(escape(text))
                else:
                    messages.print(text, markup=False, highlight=False, soft_wrap=True)

            found = run_benchmark(data, settings=settings, work=work, report=report)
    except KeyboardInterrupt:
        messages.print(f"stopped; the same command goes on with what is in {escape(str(work))}", soft_wrap=True)
        raise typer.Exit(130) from None
    with new_output_folder(folder) as temporary:
        found.write(temporary)
    remove_work(data, settings=settings, work=work)
    out.print(_table(found))
    for note in found.notes:
        out.print(f"[yellow]note:[/yellow] {escape(note)}", highlight=False, soft_wrap=True)
    out.print(f"wrote {escape(str(folder))}", highlight=False, soft_wrap=True)


def _table(found: BenchmarkResult) -> object:
    from rich.table import Table

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
