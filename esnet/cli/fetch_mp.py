"""The command `esnet fetch-mp`: a data set from the Materials Project.

Example
-------
::

    export MP_API_KEY=...
    esnet fetch-mp --elements Pd --num-elements 2 --max-materials 200 --output palladium
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from esnet.cli.lazy import implemented_in
from esnet.cli.options import (
    CompositionOption,
    FBlockOption,
    MaxDosOption,
    MaxEnergyOption,
    NormalisationOption,
    ReferenceOption,
)


@implemented_in("esnet.commands.fetch_mp")
def fetch_mp(
    output: Annotated[Path, typer.Option(help="Directory of the data set; must not exist")],
    elements: Annotated[
        str | None, typer.Option(help="Elements that a material must all contain, e.g. Al,Pd; default: any")
    ] = None,
    chemsys: Annotated[str | None, typer.Option(help="Chemical systems, e.g. Al-Pd,Al-Ni; default: any")] = None,
    num_elements: Annotated[
        str | None, typer.Option(help="Number of elements or a range, e.g. 2 or 2-3; default: any")
    ] = None,
    max_energy_above_hull: Annotated[
        float | None, typer.Option(help="Largest energy above the hull, eV/atom; default: any")
    ] = None,
    max_materials: Annotated[
        int | None, typer.Option(help="Maximum number of materials, taken in the order of their ids; default: all")
    ] = None,
    normalisation: NormalisationOption = "atom",
    energy_reference: ReferenceOption = "absolute",
    composition: CompositionOption = "presence",
    max_dos: MaxDosOption = 50.0,
    max_abs_formation_energy: MaxEnergyOption = 5.0,
    f_block: FBlockOption = False,
    corrections: Annotated[
        Literal["mp2020", "none"],
        typer.Option(
            help="Formation energies with the corrections of the Materials Project, or without (which excludes GGA+U)"
        ),
    ] = "mp2020",
    cache: Annotated[Path | None, typer.Option(help="Folder for downloaded data  [default: OUTPUT.download]")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of the REST interface, for a mirror; default: mp-api's")
    ] = None,
) -> None:
    """Fetch relaxed materials, their DOS and formation energies from the Materials Project (requires extra mp).

    Your API key is read from the environment variable MP_API_KEY. The same command resumes an interrupted download.

    Example: esnet fetch-mp --elements Pd --num-elements 2 --max-materials 200 --output palladium
    """
