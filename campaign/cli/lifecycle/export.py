"""The command `campaign export`: a whole campaign in one file, or its crystals and energies for other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.lifecycle.export")
def export(
    name: NameArgument,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="File for the whole campaign; an existing export of the same campaign is replaced; default: none",
        ),
    ] = None,
    structures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="New folder for one file per crystal and index.csv, a table of them; default: none"
        ),
    ] = None,
    form: Annotated[Literal["cif", "poscar", "extxyz"], typer.Option("--as", help="Format of these files")] = "cif",
    unrelaxed: Annotated[
        bool,
        typer.Option(
            "--unrelaxed", help="Write the unrelaxed crystals; default: the relaxed crystal where there is one"
        ),
    ] = False,
    entries: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="New file of pymatgen entries, .json or .json.gz, with the references and the candidates; default: "
            "none",
        ),
    ] = None,
    which: Annotated[
        Literal["stable", "relaxed", "all"] | None,
        typer.Option(help="Which candidates; default: stable for --structures, relaxed for --entries"),
    ] = None,
    launchpad: LaunchpadOption = None,
) -> None:
    """Write a whole campaign into one file, or its crystals and energies for other programs. Read-only.

    FILE contains all documents, features, outputs, models and reference sets, each part with its checksum, but no
    credentials and no launch folders. The campaign can be continued from it in another database (`campaign import`).
    The campaign may be running: calculations in progress count as not started in the file.

    Example: campaign export my-alloys my-alloys.campaign

    Example: campaign export quickstart --structures crystals --as poscar --which relaxed
    """
