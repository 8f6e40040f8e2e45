"""The commands `esnet dataset ...`: data sets on disk.

Example
-------
::

    esnet dataset from-vasp runs/ oxides --energies formation_energies.csv
    esnet dataset info oxides
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from esnet.cli.lazy import implemented_in
from esnet.cli.options import (
    CompositionOption,
    DatasetArgument,
    FBlockOption,
    JsonOption,
    MaxDosOption,
    MaxEnergyOption,
    NormalisationOption,
    ReferenceOption,
)

app = typer.Typer(help="Data sets: write one, look at one.\n\nExample: esnet dataset info oxides", no_args_is_help=True)


@app.command()
@implemented_in("esnet.commands.dataset")
def info(
    dataset: DatasetArgument,
    as_json: JsonOption = False,
    verify: Annotated[bool, typer.Option(help="Compare the SHA-256 of every file with the manifest")] = True,
) -> None:
    """Say what a data set contains, where it comes from and what its filters left out.

    Example: esnet dataset info oxides
    """


@app.command("from-vasp")
@implemented_in("esnet.commands.dataset")
def from_vasp(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of VASP runs, searched with all below it")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Directory to make")],
    energies: Annotated[
        Path | None, typer.Option(help="CSV or JSON with formation energies, eV/atom; default: from the runs in FOLDER")
    ] = None,
    corrections: Annotated[
        Literal["none", "mp2020"] | None,
        typer.Option(help="Corrections contained in the energies of that file; default: not stated"),
    ] = None,
    pattern: Annotated[str, typer.Option(help="Only runs whose path inside FOLDER matches this")] = "*",
    is_pattern: Annotated[
        str | None,
        typer.Option(
            help="Static runs whose path matches are of unrelaxed structures, e.g. '*/static/*', all others of relaxed "
            "ones; default: the crystals that relaxations begin and end with say it"
        ),
    ] = None,
    unconverged: Annotated[bool, typer.Option("--unconverged", help="Use runs that did not converge, too")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first run that cannot be used or has other settings")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name every run that is left out")] = False,
    normalisation: NormalisationOption = "atom",
    energy_reference: ReferenceOption = "absolute",
    composition: CompositionOption = "presence",
    max_dos: MaxDosOption = 50.0,
    max_abs_formation_energy: MaxEnergyOption = 5.0,
    f_block: FBlockOption = False,
) -> None:
    """Write the DOS of VASP runs, with the formation energies of the relaxed crystals, as a data set.

    Example: esnet dataset from-vasp runs/ oxides --energies formation_energies.csv
    """
