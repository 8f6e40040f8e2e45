"""The commands `campaign cluster ...`: a cluster's launch files, their check, and filled queues."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaign.cli.database import LaunchpadOption, connect
from campaign.store.campaigns import OpenCampaign
from esnet.commands.console import console

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from rich.console import Console

    from launchers.cluster.checking import Checked
    from launchers.cluster.site import SiteSettings

app = typer.Typer(
    help="Campaigns on a cluster with SLURM or PBS.\n\nExample: campaign cluster check --submit", no_args_is_help=True
)

Word = str | None
Words = list[str] | None
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of cluster.yaml and the launch files")]


def _each(text: str, *names: str) -> Any:
    return typer.Option(*names, metavar="[CATEGORY=]VALUE", help=f"{text}; may be given for each category")


@app.command()
def init(
    folder: FolderArgument = Path("cluster"),
    scheduler: Annotated[str | None, typer.Option(help="slurm or pbs; default: you are asked")] = None,
    queue: Annotated[
        Words,
        _each("Partition (SLURM) or queue (PBS); default: you are asked", "--queue", "--partition"),
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
    modules: Annotated[Words, typer.Option(help="Module that jobs load; default: none; may be repeated")] = None,
    environment: Annotated[
        Words,
        typer.Option(help="Shell line of every job; default: this virtual environment; may be repeated"),
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
    from campaign.cli.cluster_questions import SiteAnswers, site_settings
    from launchers.cluster.launch_files import write_again, write_new
    from launchers.database.settings import find_launchpad_file

    out = console()
    if again:
        for path in write_again(folder):
            out.print(f"wrote {path}", highlight=False, soft_wrap=True)
        return
    answers = SiteAnswers(
        scheduler=scheduler,
        account=account,
        name=name,
        modules=modules or [],
        environment=environment,
        vasp_command=vasp_command,
        launch_directory=(launch_directory or folder.absolute().parent / "runs").absolute(),
        launchpad=find_launchpad_file(launchpad),
        of_queues={
            "queue": queue or [],
            "walltime": walltime or [],
            "ntasks": cores or [],
            "nodes": nodes or [],
            "memory": memory or [],
            "gpus": gpus or [],
            "max_jobs": max_jobs or [],
            "jobs_per_allocation": jobs_per_allocation or [],
        },
    )
    for path in write_new(site_settings(answers), folder):
        out.print(f"wrote {path}", highlight=False, soft_wrap=True)
    out.print(f"look at {folder / 'cluster.yaml'}, then: campaign cluster check {folder} --submit", soft_wrap=True)


@app.command()
def check(
    folder: FolderArgument = Path("cluster"),
    submit: Annotated[
        bool, typer.Option("--submit", help="Also from a compute node of each queue, by a small job in each")
    ] = False,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for these jobs")] = 600.0,
) -> None:
    """Check what jobs need: database, clock, data store, launch directory, programs, versions; and what they ask for.

    SLURM is asked whether it would take the jobs of each category, and whether their partition gives so much time.
    Exit code 1 says that not all is right.

    Example: campaign cluster check --submit
    """
    from launchers.cluster.checking import check_here, check_queues, check_scheduler
    from launchers.cluster.site import SiteSettings

    out = console()
    site = SiteSettings.from_file(folder)
    here, versions = check_here(site, folder)
    wrong = _report_check(here, out)
    asked, good = check_scheduler(site, folder)
    wrong += sum(_report_check(found, out) for found in asked)
    if submit and good:
        out.print("waiting for a job in each queue ...")
        of_jobs = check_queues(site, folder.absolute(), versions, wait_s=wait, categories=good)
        with contextlib.closing(of_jobs):
            wrong += sum(_report_check(found, out) for found in of_jobs)
    if wrong:
        out.print(f"[red]{wrong} problem(s)[/red]")
        raise typer.Exit(1)


def _report_check(checked: Checked, out: Console) -> int:
    """Print the findings of one place; return how many are wrong."""
    from rich.markup import escape

    out.print(f"[bold]{escape(checked.place)}[/bold]", highlight=False)
    for finding in checked.findings:
        mark = "[green]ok[/green]   " if finding.remedy is None else "[red]wrong[/red]"
        out.print(f"  {mark} {escape(finding.what)}", highlight=False, soft_wrap=True)
        if finding.remedy is not None:
            out.print(f"        remedy: {escape(finding.remedy)}", highlight=False, soft_wrap=True)
    return sum(finding.remedy is not None for finding in checked.findings)


@app.command()
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
    from launchers.cluster.site import SiteSettings

    if once and every is not None:
        raise typer.BadParameter("--once and --every exclude each other")
    site = SiteSettings.from_file(folder)
    out = console()
    while True:
        all_well = _fill_once(site, folder.absolute(), out)
        if every is None:
            raise typer.Exit(0 if all_well else 1)
        time.sleep(every)


def _fill_once(site: SiteSettings, folder: Path, out: Console) -> bool:
    """One round; False if something was not as it should be. A database that is away is no reason to stop for good."""
    from pymongo.errors import PyMongoError

    from launchers.cluster.queue_filler import fill_queues
    from launchers.database.errors import DatabaseError

    all_well = True
    # appended to a file by cron, lines without their time tell nothing
    out.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", highlight=False)
    try:
        launchpad = connect(site.launchpad)
        _reconcile_running(launchpad, out)
        for done in fill_queues(launchpad, site, folder):
            out.print(done.line(), highlight=False, soft_wrap=True, markup=False)
            all_well = all_well and done.problem is None
    except (DatabaseError, PyMongoError) as error:
        reason = error if isinstance(error, DatabaseError) else f"the database went away ({type(error).__name__})"
        out.print(f"nothing (more) submitted: {reason}", highlight=False, soft_wrap=True, markup=False)
        return False
    return all_well


def _reconcile_running(launchpad: LaunchPad, out: Console) -> None:
    from campaign.cli.errors import is_user_error
    from campaign.recovery.reconcile import reconcile
    from campaign.store.collections import CampaignStore
    from launchers.database.errors import DatabaseError

    store = CampaignStore(launchpad.db)
    for name in store.campaigns.distinct("_id", {"state": "running"}):
        try:
            lines = list(reconcile(OpenCampaign.open(store, launchpad, name)).lines())
        except Exception as error:
            # what is wrong with one campaign keeps no other from the queues; the database's errors are everybody's
            if not is_user_error(error) or isinstance(error, DatabaseError):
                raise
            lines = [f"cannot be reconciled: {error}"]
        for line in lines:
            out.print(f"{name}: {line}", highlight=False, soft_wrap=True, markup=False)
