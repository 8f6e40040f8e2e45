"""The command `esnet tune`.

Example
-------
::

    esnet tune oxides oxides-tuning --trials 30 --gpus-per-trial 0.5
    esnet tune oxides oxides-grid --grid 5x5 --epochs 60
    tensorboard --logdir oxides-tuning/ray
"""

from pathlib import Path
from typing import Annotated

import typer

from esnet.cli.lazy import implemented_in
from esnet.cli.options import DatasetArgument, Kinds, SplitBy


@implemented_in("esnet.commands.tune")
def tune(
    dataset: DatasetArgument,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder to create, or to continue in after an interruption")
    ],
    trials: Annotated[
        int, typer.Option(min=1, help="Number of trials; a larger number than before continues the search in OUT")
    ] = 20,
    grid: Annotated[
        str | None,
        typer.Option(help="Search a grid of learning rates x batch sizes, e.g. 5x4; default: Ax chooses the trials"),
    ] = None,
    learning_rate: Annotated[tuple[float, float], typer.Option(help="Range of learning rates of Adam: from, to")] = (
        0.0005,
        0.002,
    ),
    batch_size: Annotated[tuple[int, int], typer.Option(help="Range of samples per step: from, to, both included")] = (
        16,
        65,
    ),
    point: Annotated[
        list[str] | None,
        typer.Option(help="LEARNING-RATE,BATCH-SIZE to try first, e.g. 0.001,32; may be repeated; default: none"),
    ] = None,
    asha: Annotated[
        bool | None,
        typer.Option(
            "--asha/--no-asha", help="Stop poor trials early; default: yes, except for a grid", show_default=False
        ),
    ] = None,
    grace: Annotated[int, typer.Option(min=1, help="Epochs before ASHA may stop a trial")] = 10,
    reduction: Annotated[
        float, typer.Option(help="Reduction factor of ASHA: one of this many trials continues at each rung")
    ] = 3.0,
    kinds: Annotated[Kinds, typer.Option(help="DOS to train and validate on")] = "both",
    split_by: Annotated[
        SplitBy, typer.Option(help="Property that the parts must not share, besides materials")
    ] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, of every trial and of the search")] = 1,
    validation_fraction: Annotated[
        float, typer.Option(help="Fraction of the samples on which trials are compared")
    ] = 0.1,
    test_fraction: Annotated[
        float, typer.Option(help="Fraction of the samples held out for the test, which affects no choice")
    ] = 0.1,
    widths: Annotated[str, typer.Option(help="Channels of the four blocks")] = "64,128,256,512",
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs per trial")] = 300,
    plateau_patience: Annotated[int, typer.Option(min=1, help="Epochs until the learning rate is halved")] = 15,
    stop_patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a better loss after which a trial stops")
    ] = 35,
    mixed_precision: Annotated[bool, typer.Option("--mixed-precision", help="Compute in bfloat16")] = False,
    xla: Annotated[bool, typer.Option("--xla", help="Compile the training step with XLA")] = False,
    cpus_per_trial: Annotated[int, typer.Option(min=1, help="Cores per trial")] = 1,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(min=0, help="GPUs per trial, may be a fraction; default: 1 if Ray has any", show_default=False),
    ] = None,
    concurrent: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trials running at the same time; default: as many as fit on Ray's nodes", show_default=False
        ),
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="Retries of a trial whose worker died or raised an exception")
    ] = 2,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Resume failed trials")] = False,
    address: Annotated[
        str | None, typer.Option(help="host:port of a running Ray; default: RAY_ADDRESS, else a local Ray is started")
    ] = None,
) -> None:
    """Search for the best learning rate and batch size with Ray Tune and Ax, or on a grid.

    Writes results.csv, surface.png, surface.svg and the bundle of the best trial to OUT. The same command resumes after
    an interruption.

    Example: esnet tune oxides oxides-tuning --trials 30 --gpus-per-trial 0.5
    """
