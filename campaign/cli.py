"""The command `campaign`. Thin: it reads options, calls the rest, and says what happened."""

from __future__ import annotations

import signal
import sys
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from campaign.cli_budget import budget as budget_command
from campaign.cli_cluster import app as cluster_app
from campaign.cli_database import LaunchpadOption, connect
from campaign.cli_database import app as database_app
from campaign.cli_dataset import dataset as dataset_command
from campaign.cli_decisions import decide as decide_command
from campaign.cli_decisions import explain as explain_command
from campaign.cli_failures import failures as failures_command
from campaign.cli_failures import reconcile as reconcile_command
from campaign.cli_failures import retry as retry_command
from campaign.cli_metrics import metrics as metrics_command
from campaign.cli_references import app as references_app
from campaign.cli_replay import replay as replay_command
from campaign.cli_report import report as report_command
from campaign.cli_serve import serve as serve_command
from campaign.cli_status import status as status_command
from esnet.commands.console import console as _console
from esnet.commands.console import print_error

if TYPE_CHECKING:
    from rich.console import Console

    from campaign.execution.start import Started
    from campaign.spec import CampaignSpec
    from campaign.views.status import Status

app = typer.Typer(
    name="campaign",
    help="Find the few stable crystals among tens of thousands: DOS, ESNet, and relaxations where they pay."
    "\n\nExample: campaign run examples/quickstart.yaml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(database_app, name="db")
app.command("budget")(budget_command)
app.add_typer(cluster_app, name="cluster")
app.add_typer(references_app, name="references")
app.command("dataset")(dataset_command)
app.command("decide")(decide_command)
app.command("explain")(explain_command)
app.command("failures")(failures_command)
app.command("metrics")(metrics_command)
app.command("reconcile")(reconcile_command)
app.command("replay")(replay_command)
app.command("retry")(retry_command)
app.command("serve")(serve_command)
app.command("report")(report_command)
app.command("status")(status_command)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Campaign file (YAML), e.g. examples/quickstart.yaml")
]
EngineElsewhere = Annotated[
    bool,
    typer.Option("--engine-elsewhere", help="The engine is on the compute nodes only: do not look for it here"),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the campaign, as in its file")]


class Format(StrEnum):
    """How `campaign results` prints."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def _checked(file: Path, *, engine_here: bool = True) -> CampaignSpec:
    from campaign.spec import CampaignSpec
    from campaign.spec_checks import check_engine

    spec = CampaignSpec.from_file(file)
    if engine_here:
        check_engine(spec, file=file)
    return spec


@app.command()
def check(file: FileArgument, engine_elsewhere: EngineElsewhere = False) -> None:
    """Check a campaign file and say what it would do; nothing is submitted.

    All that is wrong is said at once, each with file, line, field, what was found and what would be right.

    Example: campaign check examples/quickstart.yaml
    """
    from campaign.views.preview import preview_lines

    spec = _checked(file, engine_here=not engine_elsewhere)
    lines = list(preview_lines(spec))
    console = _console()
    console.print(f"[green]{file}: no problems[/green]", soft_wrap=True)
    for line in lines:
        console.print(f"  {line}", highlight=False, soft_wrap=True)


@app.command()
def submit(file: FileArgument, launchpad: LaunchpadOption = None, engine_elsewhere: EngineElsewhere = False) -> None:
    """Submit a campaign; workers (`rlaunch rapidfire`, `qlaunch`) then run it. Submitting again adds nothing.

    Example: campaign submit examples/quickstart.yaml --engine-elsewhere
    """
    from campaign.execution.fireworks import initialise_launchpad
    from campaign.execution.start import start_campaign
    from campaign.store import CampaignStore

    spec = _checked(file, engine_here=not engine_elsewhere)
    connection = connect(launchpad)
    initialise_launchpad(connection)
    started = start_campaign(CampaignStore(connection.db), connection, spec)
    console = _console()
    console.print(started.message, soft_wrap=True)
    console.print(
        f"run it with `rlaunch rapidfire`, or `campaign run {file}`; watch it with `campaign status {spec.name}`",
        soft_wrap=True,
    )


@app.command()
def run(
    file: FileArgument,
    launchpad: LaunchpadOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes, one core each; default: all cores")
    ] = None,
    directory: Annotated[Path, typer.Option(help="Folder for launch directories and logs, in a subfolder NAME")] = Path(
        "runs"
    ),
) -> None:
    """Run a whole campaign on this machine. Ctrl-C stops it; the same command goes on where it was.

    Starts the embedded database and Ray where they do not run, then worker processes. Exit code 1: nothing is left to
    run although the campaign is not complete.

    Example: campaign run examples/quickstart.yaml --workers 4
    """
    from campaign.cli_database import ensure_running
    from campaign.execution.fireworks import initialise_launchpad
    from campaign.execution.runner import RunSettings, default_workers, run_campaign
    from campaign.store import CampaignStore
    from campaign.views.progress import Progress
    from campaign.views.results import model_line, result_rows, rows_as_table

    spec = _checked(file)
    console = _console()
    launchpad_file = ensure_running(launchpad, console)
    connection = connect(launchpad_file)
    initialise_launchpad(connection)
    store = CampaignStore(connection.db)
    number = workers or default_workers()
    settings = RunSettings(launchpad_file=launchpad_file, directory=directory, workers=number)

    def on_start(started: Started, folder: Path, elsewhere: int) -> None:
        console.print(started.message, soft_wrap=True)
        if elsewhere:
            console.print(
                f"[yellow]other workers of this machine run {elsewhere} firework(s) of this campaign already[/yellow]; "
                "those started now come on top",
                soft_wrap=True,
            )
        console.print(f"{number} worker(s); launch directories and logs in {folder}", highlight=False)

    def on_ray(dashboard: str | None, token: Path) -> None:
        if dashboard:
            console.print(
                f"Ray dashboard: {dashboard} (it asks for the token in {token})", highlight=False, soft_wrap=True
            )

    # a closed terminal and a polite kill end a run as Ctrl-C does
    for number_of_signal in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number_of_signal, _interrupt)
    with Progress(console) as progress:
        try:
            status = run_campaign(
                store, connection, spec, settings, on_start=on_start, on_ray=on_ray, on_progress=progress.show
            )
        except KeyboardInterrupt:
            progress.close()
            console.print(f"[yellow]stopped[/yellow]; `campaign run {file}` goes on where it was")
            raise typer.Exit(130) from None
    console.print(rows_as_table(result_rows(store, spec.name), title=f"campaign {spec.name}"))
    console.print(f"\n{model_line(store, spec.name)}", highlight=False)
    _say_how_it_ended(status, console)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say_how_it_ended(status: Status, console: Console) -> None:
    seconds = sum(cost["cpu_s"] for cost in status.cost.values())
    console.print(
        f"{status.stable} stable; {seconds:.0f} CPU-s in all. Look again with `campaign results {status.name}`; "
        "the database goes on running, `campaign db stop` ends it",
        highlight=False,
    )
    _say_what_is_held(status, console)
    if not status.is_finished:
        console.print(
            f"[red]campaign {status.name} is not complete, and nothing of it is left to run.[/red] "
            f"{status.problem or 'See `campaign status`, and `lpad get_fws -s FIZZLED -d more` for the reason.'}"
        )
        raise typer.Exit(1)


def _say_what_is_held(status: Status, console: Console) -> None:
    if held := status.candidates.get("held"):
        console.print(f"the budget holds {held} candidates: see `campaign budget {status.name}`", soft_wrap=True)


@app.command()
def results(
    name: NameArgument,
    launchpad: LaunchpadOption = None,
    format: Annotated[Format, typer.Option(help="A table to read, or all fields as JSON or CSV")] = Format.TABLE,
) -> None:
    """Print the candidates of a campaign, the most stable first. Energies in eV/atom, cost in CPU-s.

    Example: campaign results quickstart --format csv
    """
    from campaign.store import CampaignStore
    from campaign.views.results import (
        model_line,
        result_rows,
        rows_as_csv,
        rows_as_json,
        rows_as_table,
    )

    store = CampaignStore(connect(launchpad).db)
    rows = result_rows(store, name)
    if format is Format.JSON:
        typer.echo(rows_as_json(rows))
    elif format is Format.CSV:
        typer.echo(rows_as_csv(rows), nl=False)
    else:
        console = _console()
        console.print(rows_as_table(rows, title=f"campaign {name}"))
        console.print(f"\n{model_line(store, name)}", highlight=False)


def main() -> None:
    """Entry point: errors that a user can mend are one message, not a traceback."""
    from campaign.user_errors import is_user_error, lost_database

    try:
        app()
    except Exception as error:
        message = lost_database(error) or (str(error) if is_user_error(error) else None)
        if message is None:
            raise
        print_error(message)
        sys.exit(2)
