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
        "--engine-elsewhere",
        help="Do not look for the engine and its POTCARs on this machine: they are on the compute nodes only",
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Stop if a crystal of candidates.as_given cannot be used; default: leave it out"),
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
        help="Compute everything anew, reusing no identical calculations of other campaigns (like reuse: false in the "
        "file)",
    ),
]


@implemented_in("campaign.commands.run")
def check(
    file: FileArgument,
    engine_elsewhere: EngineElsewhere = False,
    write_inputs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="New folder for example input files of one IS-DOS and one relaxation; default: none"
        ),
    ] = None,
    strict: StrictOption = False,
    left_out: LeftOutOption = None,
) -> None:
    """Check a campaign file and show what it would do; nothing is submitted.

    All problems are reported together, each with file, line, field, the value found and what would be right. The input
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
    """Submit a campaign, to be run by `rlaunch rapidfire` or `campaign cluster run`. Submitting it again adds nothing.

    Calculations that another campaign in the database has done with the same settings are reused at no cost.

    Example: campaign submit examples/quickstart.yaml --engine-elsewhere
    """


@implemented_in("campaign.commands.run")
def run(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Campaign file (YAML), e.g. examples/quickstart.yaml, or the name of a campaign in the database, "
            "e.g. an imported one",
        ),
    ],
    launchpad: LaunchpadOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Worker processes, each running one calculation; default: one per core; with VASP, as many as the "
            "MPI ranks of its command leave room for",
        ),
    ] = None,
    directory: Annotated[Path, typer.Option(help="Folder for launch directories and logs, in a subfolder NAME")] = Path(
        "runs"
    ),
    no_reuse: NoReuse = False,
    strict: StrictOption = False,
    left_out: LeftOutOption = None,
) -> None:
    """Run a whole campaign on this machine. Ctrl-C stops it; the same command resumes it.

    Starts the embedded database and Ray, if they are not running, and then the workers. Exit code 1 means that nothing
    is left to run although the campaign is not complete.

    Example: campaign run examples/quickstart.yaml --workers 4
    """
