"""The command `campaign add`: more candidates for a campaign that runs or has finished."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.changes.add")
def add(
    name: NameArgument,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help="Further paths, as after --as-given", show_default=False),
    ] = None,
    as_given: Annotated[
        list[Path] | None,
        typer.Option(
            "--as-given",
            metavar="PATH",
            help="Crystals that become candidates as they are: a folder, a pattern, a list of files, extended XYZ, a "
            "database of ASE, JSON, JSONL or CSV; default: the paths after NAME",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="Column or key of a table that holds the crystals; default: structure, cif or path"),
    ] = None,
    rescale: Annotated[
        Literal["elements"] | None,
        typer.Option(help="elements: give cells the volume of their atoms in their own elements; default: unchanged"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop where a crystal cannot be used; default: leave it out")
    ] = False,
    left_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CSV file that lists the crystals left out; default: NAME.added.left_out.csv"
        ),
    ] = None,
    launchpad: LaunchpadOption = None,
    engine_elsewhere: Annotated[
        bool, typer.Option("--engine-elsewhere", help="Do not look for POTCARs of further elements on this machine")
    ] = False,
) -> None:
    """Add crystals to a campaign that runs or has finished; they are screened with its settings.

    Crystals that are candidates already are left out, so the same command again adds nothing. A finished campaign runs
    again; references of further elements are computed first.

    Example: campaign add my-alloys --as-given more.jsonl
    """
