"""The command `esnet similarity`.

Example
-------
::

    esnet similarity oxides
    esnet similarity oxides --output similarity
"""

from pathlib import Path
from typing import Annotated

import typer

from esnet.cli.lazy import implemented_in


@implemented_in("esnet.commands.similarity")
def similarity(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Directory of a data set with IS-DOS and RS-DOS")],
    output: Annotated[
        Path | None, typer.Option(help="Folder to create; default: DATASET.similarity", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random pairs")] = 1,
) -> None:
    """Compare the DOS of unrelaxed and relaxed structures, and of random pairs: the paper's Figure 1b.

    Writes the table (Markdown, CSV, JSON) and the figure (PNG, SVG).

    Example: esnet similarity oxides
    """
