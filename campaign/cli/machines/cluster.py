"""The commands `campaign cluster ...`: writes and checks a cluster's launch files, and keeps its queues filled."""

from pathlib import Path
from typing import Annotated, Any

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in
from esnet.cli.program import Program

app = Program(help="Campaigns on a cluster with SLURM or PBS.\n\nExample: campaign cluster check --submit")
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
        str | None, typer.Option(help="Account to charge; default: your default account in the scheduler")
    ] = None,
    walltime: Annotated[Words, _each("Time limit of a job, HH:MM:SS; default: 04:00:00", "--walltime")] = None,
    cores: Annotated[Words, _each("MPI processes per job, one core each; default: 1", "--cores")] = None,
    nodes: Annotated[Words, _each("Nodes per job; default: 1", "--nodes")] = None,
    memory: Annotated[Words, _each("Memory per node, e.g. 16G; default: the queue's default", "--memory")] = None,
    gpus: Annotated[Words, _each("GPUs per node; default: 0", "--gpus")] = None,
    max_jobs: Annotated[
        Words, _each("Maximum number of your jobs in the queue; default: 20 (screen 4, train 2)", "--max-jobs")
    ] = None,
    jobs_per_allocation: Annotated[
        Words, _each("Calculations that share one job; default: 1", "--jobs-per-allocation")
    ] = None,
    side_by_side: Annotated[
        Words, _each("How many of these calculations run at the same time; default: 1", "--side-by-side")
    ] = None,
    estimate: Annotated[
        Words, _each("Expected time of one of these calculations, HH:MM:SS; default: 00:10:00", "--estimate")
    ] = None,
    weight: Annotated[
        Words, _each("Relative share of jobs of relax and dos, where both have work; default: 1", "--weight")
    ] = None,
    modules: Annotated[Words, typer.Option(help="Module to load in each job; default: none; may be repeated")] = None,
    environment: Annotated[
        Words,
        typer.Option(
            help="Shell line to run in each job, after those that activate this virtual environment; default: no more; "
            "may be repeated"
        ),
    ] = None,
    vasp_command: Annotated[
        str | None, typer.Option(help="Command line of VASP, e.g. 'srun vasp_std'; default: no VASP")
    ] = None,
    launch_directory: Annotated[
        Path | None,
        typer.Option(help="Folder in which calculations run, visible to all nodes; default: runs/ beside DIR"),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of its workers in FireWorks")] = "cluster",
    launchpad: LaunchpadOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Regenerate the launch files from an edited cluster.yaml")
    ] = False,
) -> None:
    """Write the files of a cluster: cluster.yaml and, generated from it, the qlaunch files of each category.

    On a terminal, the command asks for missing values. The categories are dos, relax, screen and train; a value without
    a category applies to all. Nothing is overwritten.

    Example: campaign cluster init --scheduler slurm --account lab --queue cpu --queue screen=gpu --gpus screen=1
    """


@app.command()
@implemented_in("campaign.commands.machines.cluster")
def check(
    folder: FolderArgument = Path("cluster"),
    submit: Annotated[
        bool, typer.Option("--submit", help="Also check from a compute node of each queue, with a small job")
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
    """Check what jobs need (database, clock, data store, launch directory, programs, versions) and request.

    For campaigns with VASP, in the database or given by --campaign, the command lines and the POTCARs of all elements
    are checked too, with --submit on the nodes.

    SLURM is asked whether it would accept the jobs of each category, and whether their partition allows their time
    limit. Exit code 1 means that a check failed.

    Example: campaign cluster check --submit
    """


@app.command()
@implemented_in("campaign.commands.machines.cluster")
def run(
    folder: FolderArgument = Path("cluster"),
    once: Annotated[bool, typer.Option("--once", help="Run once, for cron; the default")] = False,
    every: Annotated[
        float | None, typer.Option(min=1, help="Run repeatedly, at this interval in seconds; default: once")
    ] = None,
) -> None:
    """Keep the queues filled: one job for each waiting firework, within the limit of each queue.

    Running campaigns are reconciled first. The command keeps no state between calls and may be called from several
    places. With --once, exit code 1 means that a scheduler did not answer or rejected a job, or that the database is
    unavailable.

    Example: campaign cluster run --every 300
    """
