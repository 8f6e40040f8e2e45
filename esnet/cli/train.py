"""The command `esnet train`.

Example
-------
::

    esnet train oxides models/oxides --kinds rs_dos --split-by chemsys
    esnet train oxides models/oxides-ensemble --members 5 --gpus 2 --mixed-precision
    tensorboard --logdir models/oxides.work
"""

from pathlib import Path
from typing import Annotated

import typer

from esnet.cli.lazy import implemented_in
from esnet.cli.options import DatasetArgument, Kinds, SplitBy


@implemented_in("esnet.commands.train")
def train(
    dataset: DatasetArgument,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory to create")],
    kinds: Annotated[
        Kinds, typer.Option(help="DOS to train on: of unrelaxed crystals, of relaxed crystals, or both")
    ] = "both",
    split_by: Annotated[
        SplitBy, typer.Option(help="Property that the parts must not share, in addition to materials")
    ] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Seed of split, initial weights and order of batches")] = 1,
    validation_fraction: Annotated[float, typer.Option(help="Fraction of the samples used for early stopping")] = 0.1,
    test_fraction: Annotated[
        float, typer.Option(help="Fraction of the samples held out for the test, which affects no choice")
    ] = 0.1,
    test_chemsys: Annotated[
        str | None,
        typer.Option(
            metavar="A-B,C-D", help="Chemical systems held out for the test; default: none", show_default=False
        ),
    ] = None,
    widths: Annotated[str, typer.Option(help="Channels of the four blocks")] = "64,128,256,512",
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs")] = 300,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per step, over all GPUs")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Initial learning rate of Adam")] = 0.00175,
    plateau_patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a better loss after which the learning rate is halved")
    ] = 15,
    stop_patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a better loss after which training stops")
    ] = 35,
    members: Annotated[
        int, typer.Option(min=1, help="Number of networks in the ensemble, with seeds SEED, SEED+1, ...")
    ] = 1,
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
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Number of epochs between checkpoints")] = 1,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start from the beginning even if there are checkpoints")
    ] = False,
    residual_of: Annotated[
        str | None,
        typer.Option(
            metavar="POTENTIAL",
            help="Train on the residuals of this potential (EMT, CHGNet, SevenNet-0, ...), to see whether the DOS "
            "improves on it; single_point: on the change of the formation energy by the relaxation, which the "
            "energy of the IS-DOS calculation lacks; default: train on formation energies",
            show_default=False,
        ),
    ] = None,
    potential_energies: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File that stores the energies of that potential; default: DATASET.POTENTIAL.jsonl next to the data "
            "set",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train an ESNet, or an ensemble, on a data set. The same command resumes after an interruption.

    Example: esnet train oxides models/oxides --kinds rs_dos --members 3
    """
