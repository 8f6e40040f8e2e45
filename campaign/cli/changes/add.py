"""The command `campaign add`: more candidates for a running or finished campaign."""

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
        typer.Argument(metavar="PATH...", help="Further paths, as for --as-given", show_default=False),
    ] = None,
    as_given: Annotated[
        list[Path] | None,
        typer.Option(
            "--as-given",
            metavar="PATH",
            help="Crystals used as candidates without substitution: a folder, a pattern, a list of files, extended "
            "XYZ, an ASE database, JSON, JSONL or CSV; default: the paths after NAME",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="Column or key of a table that contains the crystals; default: structure, cif or path"),
    ] = None,
    rescale: Annotated[
        Literal["elements"] | None,
        typer.Option(
            help="elements: scale each cell to the sum of its atoms' volumes in the elemental crystals; default: "
            "unchanged"
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop if a crystal cannot be used; default: leave it out")
    ] = False,
    left_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CSV file that lists the crystals left out; default: NAME.added.left_out.csv"
        ),
    ] = None,
    launchpad: LaunchpadOption = None,
    engine_elsewhere: Annotated[
        bool,
        typer.Option("--engine-elsewhere", help="Do not look for the POTCARs of additional elements on this machine"),
    ] = False,
) -> None:
    """Add crystals to a running or finished campaign; they are screened with its settings.

    Crystals that are already candidates are left out, so repeating the command adds nothing. A finished campaign
    resumes; references for additional elements are computed first.

    Example: campaign add my-alloys --as-given more.jsonl
    """
