"""The commands `campaign cluster ...`: a cluster's launch files, their check, and filled queues."""

from pathlib import Path
from typing import Annotated, Any

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in

app = typer.Typer(
    help="Campaigns on a cluster with SLURM or PBS.\n\nExample: campaign cluster check --submit", no_args_is_help=True
)
Words = list[str] | None

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of cluster.yaml and the launch files")]


def _each(text: str, *names: str) -> Any:
    return typer.Option(*names, metavar="[CATEGORY=]VALUE", help=f"{text}; may be given for each category")


@app.command()
@implemented_in("campaign.commands.machines.cluster")
def init(
    folder: FolderArgument = Path("cluster"),
    scheduler: Annotated[str | None, typer.Option(help="slurm or pbs; default: you are asked")] = None,
    queue: Annotated[
        Words, _each("Partition (SLURM) or queue (PBS); default: you are asked", "--queue", "--partition")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Account that is charged; default: the scheduler's own for you")
    ] = None,
    walltime: Annotated[Words, _each("Time limit of a job, HH:MM:SS; default: 04:00:00", "--walltime")] = None,
    cores: Annotated[Words, _each("MPI processes of a job, one core each; default: 1", "--cores")] = None,
    nodes: Annotated[Words, _each("Nodes of a job; default: 1", "--nodes")] = None,
    memory: Annotated[Words, _each("Memory of each node, e.g. 16G; default: the queue's own", "--memory")] = None,
    gpus: Annotated[Words, _each("GPUs of each node; default: 0", "--gpus")] = None,
    max_jobs: Annotated[
        Words, _each("Most jobs of yours in the queue; default: 20 (screen 4, train 2)", "--max-jobs")
    ] = None,
    jobs_per_allocation: Annotated[
        Words, _each("Calculations that share one job; default: 1", "--jobs-per-allocation")
    ] = None,
    side_by_side: Annotated[
        Words, _each("How many of these run at the same time; default: 1", "--side-by-side")
    ] = None,
    estimate: Annotated[
        Words, _each("Expected time of one of these, HH:MM:SS; default: 00:10:00", "--estimate")
    ] = None,
    weight: Annotated[
        Words, _each("Jobs of relax and dos in proportion, where both have work; default: 1", "--weight")
    ] = None,
    modules: Annotated[Words, typer.Option(help="Module that jobs load; default: none; may be repeated")] = None,
    environment: Annotated[
        Words, typer.Option(help="Shell line of every job; default: this virtual environment; may be repeated")
    ] = None,
    vasp_command: Annotated[
        str | None, typer.Option(help="Command line of VASP, e.g. 'srun vasp_std'; default: no VASP")
    ] = None,
    launch_directory: Annotated[
        Path | None, typer.Option(help="Where calculations run, seen by all nodes; default: runs/ beside DIR")
    ] = None,
    name: Annotated[str, typer.Option(help="What its workers are called in FireWorks")] = "cluster",
    launchpad: LaunchpadOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Make the launch files anew from an edited cluster.yaml")
    ] = False,
) -> None:
    """Write the files of a cluster: cluster.yaml, and from it what qlaunch reads for each category.

    Asks on a terminal for what is missing. The categories are dos, relax, screen and train; a value without a category
    is for all. Nothing is overwritten.

    Example: campaign cluster init --scheduler slurm --account lab --queue cpu --queue screen=gpu --gpus screen=1
    """


@app.command()
@implemented_in("campaign.commands.machines.cluster")
def check(
    folder: FolderArgument = Path("cluster"),
    submit: Annotated[
        bool, typer.Option("--submit", help="Also from a compute node of each queue, by a small job in each")
    ] = False,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for these jobs")] = 600.0,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--campaign",
            metavar="FILE",
            help="Campaign file to be submitted; default: those in the database; may be repeated",
        ),
    ] = None,
) -> None:
    """Check what jobs need: database, clock, data store, launch directory, programs, versions; and what they ask for.

    Where campaigns with VASP are in the database, or named by --campaign, their command lines and the POTCARs of all
    their elements are looked for too, with --submit on the nodes.

    SLURM is asked whether it would take the jobs of each category, and whether their partition gives so much time.
    Exit code 1 says that not all is right.

    Example: campaign cluster check --submit
    """


@app.command()
@implemented_in("campaign.commands.machines.cluster")
def run(
    folder: FolderArgument = Path("cluster"),
    once: Annotated[bool, typer.Option("--once", help="Once, for cron; the default")] = False,
    every: Annotated[float | None, typer.Option(min=1, help="Every so many seconds; default: once")] = None,
) -> None:
    """Keep the queues filled: as many jobs as there are fireworks for, within each queue's limit.

    Running campaigns are reconciled first. It needs no memory between calls and may be called from several places.
    With --once, exit code 1 says that a scheduler did not answer or rejected a job, or that the database is away.

    Example: campaign cluster run --every 300
    """
