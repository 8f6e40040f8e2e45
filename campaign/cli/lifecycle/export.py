"""The command `campaign export`: a campaign's crystals and energies for other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.lifecycle.export")
def export(
    name: NameArgument,
    structures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="New folder for a file of each crystal and index.csv, a table of them; default: none"
        ),
    ] = None,
    form: Annotated[Literal["cif", "poscar", "extxyz"], typer.Option("--as", help="Format of these files")] = "cif",
    unrelaxed: Annotated[
        bool, typer.Option("--unrelaxed", help="The unrelaxed crystals; default: relaxed where there is one")
    ] = False,
    entries: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="New file of pymatgen entries, .json or .json.gz: the references and the candidates; default: none",
        ),
    ] = None,
    which: Annotated[
        Literal["stable", "relaxed", "all"] | None,
        typer.Option(help="Which candidates; default: stable for --structures, relaxed for --entries"),
    ] = None,
    launchpad: LaunchpadOption = None,
) -> None:
    """Write a campaign's crystals as files, or its energies as pymatgen entries. The campaign is only read.

    Example: campaign export quickstart --structures crystals --as poscar --which relaxed
    """
