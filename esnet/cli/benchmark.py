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
        Path | None, typer.Option(help="Folder to create; default: DATASET.benchmark", show_default=False)
    ] = None,
    models: Annotated[
        str,
        typer.Option(
            help="Comma-separated names, also cgcnn-hd, megnet, wren and roost (extra graph), or all; the mean of the "
            "training part is always included"
        ),
    ] = "krr,svr,rf,xgboost,dnn,cnn,esnet",
    train_kinds: Annotated[
        Kinds, typer.Option(help="DOS to train on (for graph models: their crystals); models are tested on both")
    ] = "rs_dos",
    split_by: Annotated[
        SplitBy, typer.Option(help="Property that the parts must not share, in addition to materials")
    ] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split and of every model")] = 1,
    validation_fraction: Annotated[float, typer.Option(help="Fraction of the samples used to choose parameters")] = 0.1,
    test_fraction: Annotated[float, typer.Option(help="Fraction of the samples used once, at the end")] = 0.1,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum number of epochs of the networks; default: 300, graph models 100, quick: 15",
            show_default=False,
        ),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(
            help="Channels of the four blocks of CNN and ESNet; default: 64,128,256,512, quick: 8,16,32,64",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Trial run with small networks and no choice of parameters")
    ] = False,
    max_kernel_samples: Annotated[
        int, typer.Option(min=2, help="Maximum number of training samples for KRR and SVR, drawn with the seed")
    ] = 10_000,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads for the tree models and graph models; default: the cores of this process",
            show_default=False,
        ),
    ] = None,
    save_models: Annotated[
        bool, typer.Option("--save-models", help="Save each graph model in OUTPUT/models/NAME, for scorer.bundle")
    ] = False,
) -> None:
    """Train and test the models of the paper's table on one data set and split.

    KRR, SVR, RF, XGBoost, DNN, CNN and ESNet use the DOS, CGCNN-HD, MEGNet and Wren the crystal, Roost the composition.
    Writes the table (Markdown, CSV, JSON) and all predictions. The same command resumes after an interruption.

    Example: esnet benchmark oxides --models krr,xgboost,esnet
    """
