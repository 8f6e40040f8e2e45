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
        str, typer.Argument(metavar="BUNDLE", help="Directory of a trained ESNet, or a shipped one's name")
    ],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of a data set")],
    part: Annotated[
        Part, typer.Option(help="Samples to look at; test: those that the model has not been fitted to")
    ] = "test",
    output: Annotated[
        Path | None,
        typer.Option(help="Directory to make: metrics.json, predictions, errors by element, plots; default: none"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples that the network takes at once")] = 256,
) -> None:
    """Say how good a trained ESNet is: errors for IS2RE and RS2RE, uncertainties, and what it has never seen.

    Example: esnet evaluate models/oxides oxides --output evaluation
    """
