"""The command `esnet predict`.

Example
-------
::

    esnet predict gpaw-fast-binary runs/AlPd/vasprun.xml.gz
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from esnet.cli.lazy import implemented_in


@implemented_in("esnet.commands.predict")
def predict(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="Directory of a trained ESNet, or a shipped one's name")
    ],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="vasprun.xml or vaspout.h5 with projected DOS, also packed, or its folder"
        ),
    ],
    format: Annotated[Literal["table", "json", "csv"], typer.Option(help="A table to read, or JSON or CSV")] = "table",
) -> None:
    """Predict the formation energies of relaxed crystals from the densities of states of unrelaxed ones, eV/atom.

    A file that cannot be used is named on standard error, and the exit code is 1; the others are predicted.

    Example: esnet predict gpaw-fast-binary AlPd/vasprun.xml.gz AlCu/vasprun.xml.gz
    """
