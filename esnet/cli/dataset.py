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
from esnet.cli.program import Program

app = Program(help="Write and inspect data sets.\n\nExample: esnet dataset info oxides")


@app.command()
@implemented_in("esnet.commands.dataset")
def info(
    dataset: DatasetArgument,
    as_json: JsonOption = False,
    verify: Annotated[bool, typer.Option(help="Compare the SHA-256 of every file with the manifest")] = True,
) -> None:
    """Describe a data set: its contents, its origin, and the samples that its filters left out.

    Example: esnet dataset info oxides
    """


@app.command("from-vasp")
@implemented_in("esnet.commands.dataset")
def from_vasp(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of VASP runs, searched recursively")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Directory to create")],
    energies: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON file with formation energies in eV/atom; default: from the runs in FOLDER"),
    ] = None,
    corrections: Annotated[
        Literal["none", "mp2020"] | None,
        typer.Option(help="Corrections included in the energies of that file; default: not stated"),
    ] = None,
    pattern: Annotated[str, typer.Option(help="Only runs whose path inside FOLDER matches this")] = "*",
    is_pattern: Annotated[
        str | None,
        typer.Option(
            help="Pattern of the paths of static runs of unrelaxed structures, e.g. '*/static/*'; all others are of "
            "relaxed structures; default: decided from the initial and final crystals of the relaxations"
        ),
    ] = None,
    unconverged: Annotated[bool, typer.Option("--unconverged", help="Also use runs that did not converge")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first run that cannot be used or has different settings")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="List every run that is left out")] = False,
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
