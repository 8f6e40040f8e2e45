"""The commands `campaign check`, `campaign submit`, `campaign run`: from a campaign file to its table."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Campaign file (YAML), e.g. examples/quickstart.yaml")
]
EngineElsewhere = Annotated[
    bool,
    typer.Option(
        "--engine-elsewhere", help="The engine, with its POTCARs, is on the compute nodes only: do not look for it here"
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Stop where a crystal of candidates.as_given cannot be used; default: leave it out"),
]
LeftOutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="CSV file that lists the crystals left out; default: beside FILE, named *.left_out.csv"
    ),
]

NoReuse = Annotated[
    bool,
    typer.Option(
        "--no-reuse",
        help="Compute everything anew: take over no equal calculation of another campaign (the file's reuse: false)",
    ),
]


@implemented_in("campaign.commands.run")
def check(
    file: FileArgument,
    engine_elsewhere: EngineElsewhere = False,
    write_inputs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="New folder for the input files of one IS-DOS and one relaxation; default: none"
        ),
    ] = None,
    strict: StrictOption = False,
    left_out: LeftOutOption = None,
) -> None:
    """Check a campaign file and say what it would do; nothing is submitted.

    All that is wrong is said at once, each with file, line, field, what was found and what would be right. The input
    files are INCAR, KPOINTS, POSCAR and the symbols of the POTCARs (POTCAR.spec), as the jobs will write them.

    Example: campaign check examples/quickstart.yaml
    """


@implemented_in("campaign.commands.run")
def submit(
    file: FileArgument,
    launchpad: LaunchpadOption = None,
    engine_elsewhere: EngineElsewhere = False,
    no_reuse: NoReuse = False,
    strict: StrictOption = False,
    left_out: LeftOutOption = None,
) -> None:
    """Submit a campaign; `rlaunch rapidfire` or `campaign cluster run` then run it. Submitting again adds nothing.

    Calculations that another campaign of the database has done with the same settings are taken over at no cost.

    Example: campaign submit examples/quickstart.yaml --engine-elsewhere
    """


@implemented_in("campaign.commands.run")
def run(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Campaign file (YAML), e.g. examples/quickstart.yaml; or the name of a campaign in the database, e.g. "
            "of an imported one",
        ),
    ],
    launchpad: LaunchpadOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Worker processes, a calculation each; default: one for each core, with VASP as many as its command's "
            "ranks leave room for",
        ),
    ] = None,
    directory: Annotated[Path, typer.Option(help="Folder for launch directories and logs, in a subfolder NAME")] = Path(
        "runs"
    ),
    no_reuse: NoReuse = False,
    strict: StrictOption = False,
    left_out: LeftOutOption = None,
) -> None:
    """Run a whole campaign on this machine. Ctrl-C stops it; the same command goes on where it was.

    Starts the embedded database and Ray where they do not run, then worker processes. Exit code 1: nothing is left to
    run although the campaign is not complete.

    Example: campaign run examples/quickstart.yaml --workers 4
    """
