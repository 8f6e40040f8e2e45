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
        str,
        typer.Argument(
            metavar="BUNDLE", help="Directory of a trained ESNet, or the name of one shipped with the project"
        ),
    ],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="vasprun.xml or vaspout.h5 with projected DOS, optionally compressed, or its folder"
        ),
    ],
    format: Annotated[Literal["table", "json", "csv"], typer.Option(help="Format of the output")] = "table",
) -> None:
    """Predict the formation energies of relaxed crystals, in eV/atom, from the DOS of unrelaxed ones.

    Files that cannot be used are reported on standard error, and the exit code is 1; the others are still predicted.

    Example: esnet predict gpaw-fast-binary AlPd/vasprun.xml.gz AlCu/vasprun.xml.gz
    """
