"""The command `esnet benchmark`.

Example
-------
::

    esnet benchmark oxides
    esnet benchmark oxides --models krr,xgboost,esnet --split-by chemsys --output comparison
"""

from pathlib import Path
from typing import Annotated

import typer

from esnet.cli.lazy import implemented_in
from esnet.cli.options import DatasetArgument, Kinds, SplitBy


@implemented_in("esnet.commands.benchmark")
def benchmark(
    dataset: DatasetArgument,
    output: Annotated[
        Path | None, typer.Option(help="Folder to make; default: DATASET.benchmark", show_default=False)
    ] = None,
    models: Annotated[
        str,
        typer.Option(
            help="Names with commas between them, also cgcnn-hd, megnet, wren and roost (extra graph), or all; the "
            "mean of the training part is always there"
        ),
    ] = "krr,svr,rf,xgboost,dnn,cnn,esnet",
    train_kinds: Annotated[
        Kinds, typer.Option(help="DOS to train on, of graph models their crystals; tested on both")
    ] = "rs_dos",
    split_by: Annotated[SplitBy, typer.Option(help="The parts share no material, and none of these")] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split and of every model")] = 1,
    validation_fraction: Annotated[float, typer.Option(help="Fraction of the samples; chooses parameters")] = 0.1,
    test_fraction: Annotated[float, typer.Option(help="Fraction of the samples; read once, at the end")] = 0.1,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs of the networks at most; default: 300, graph models 100, quick: 15", show_default=False
        ),
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
        typer.Option(
            min=1,
            help="Threads of the tree models and graph models; default: the cores of this process",
            show_default=False,
        ),
    ] = None,
    save_models: Annotated[
        bool, typer.Option("--save-models", help="Keep each graph model in OUTPUT/models/NAME, for scorer.bundle")
    ] = False,
) -> None:
    """Train and test the models of the paper's table on one data set and split.

    KRR, SVR, RF, XGBoost, DNN, CNN and ESNet see the DOS, CGCNN-HD, MEGNet and Wren the crystal, Roost the composition.
    Writes the table (markdown, CSV, JSON) and all predictions. The same command goes on after an interruption.

    Example: esnet benchmark oxides --models krr,xgboost,esnet
    """
