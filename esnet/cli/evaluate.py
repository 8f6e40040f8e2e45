"""The command `esnet evaluate`.

Example
-------
::

    esnet evaluate models/oxides oxides
    esnet evaluate models/oxides oxides --output evaluation
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from esnet.cli.lazy import implemented_in

Part = Literal["test", "validation", "train", "all"]


@implemented_in("esnet.commands.evaluate")
def evaluate(
    bundle: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE", help="Directory of a trained ESNet, or the name of one shipped with the project"
        ),
    ],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of a data set")],
    part: Annotated[
        Part, typer.Option(help="Samples to evaluate; test: samples that the model was not fitted to")
    ] = "test",
    output: Annotated[
        Path | None,
        typer.Option(help="Directory to create: metrics.json, predictions, errors by element, plots; default: none"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples per batch")] = 256,
    potential_energies: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For a bundle trained with --residual-of: file that stores the energies of the potential; "
            "default: DATASET.POTENTIAL.jsonl next to the data set",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Evaluate a trained ESNet: errors for IS2RE and RS2RE, uncertainties, and samples unlike its training data.

    Example: esnet evaluate models/oxides oxides --output evaluation
    """
