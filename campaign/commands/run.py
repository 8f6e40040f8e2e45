"""The commands `campaign check`, `campaign submit`, `campaign run`: from a campaign file to its table."""

import contextlib
import os
import shlex
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import typer
from rich.console import Console

from campaign.attempts.blocked import BLOCKED, blocked
from campaign.candidates.given.source_files import LEFT_OUT_ENDING
from campaign.commands.connection import connect, ensure_running
from campaign.commands.given import make_and_report
from campaign.commands.lifecycle.notify import notifications
from campaign.commands.shared_database import worker_for
from campaign.config.wording import format_count
from campaign.config.yaml_file import CampaignFileError
from campaign.recovery.removed_workflows import format_removed, removed_workflows
from campaign.runner import Others, RunSettings, default_workers, run_campaign
from campaign.running_campaign import start_campaign
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.checks import check_engine, check_new
from campaign.spec.engine_checks import check_node_settings, command_notes, elsewhere_note
from campaign.spec.given import MadeCandidates
from campaign.spec.potcar_checks import potcar_notes
from campaign.spec.reader import read_campaign_file
from campaign.steps.start import Started
from campaign.store.campaigns import Campaign, OpenCampaign, UnknownCampaignError, campaign_exists
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import initialise_launchpad
from campaign.store.states import CandidateState
from campaign.views.example_inputs import write_example_inputs
from campaign.views.failures import pause_reason, stop_reason
from campaign.views.preview import format_preview
from campaign.views.results import closing_lines, result_rows, rows_as_table
from campaign.views.reused import format_reused
from campaign.views.status.counts import Status
from campaign.views.status.progress import Progress
from campaign.views.status.run_view import RunView
from esnet.commands.console import console as _console
from esnet.commands.console import draws_on, print_labelled, print_plain, typed_program
from esnet.files.output_folder import OutputPlaceError
from esnet.ray.dashboard_link import DashboardLink
from launchers.database.settings import find_launchpad_file
from workflows.inputs.outside_settings import has_settings_file


def _checked(
    file: Path, list_file: Path, *, strict: bool, engine_here: bool = True, reuse: bool = True
) -> tuple[CampaignSpec, MadeCandidates]:
    spec = read_campaign_file(file)
    made = make_and_report(spec, strict=strict, list_file=list_file)
    if engine_here:
        check_engine(spec, file=file)
    return spec if reuse else spec.model_copy(update={"reuse": False}), made


def _print_reused(store: CampaignStore, name: str, console: Console) -> None:
    if (reused := format_reused(Campaign.read(store, name))) is not None:
        console.print(reused, highlight=False, soft_wrap=True)


def _check_new(store: CampaignStore, spec: CampaignSpec, file: Path) -> None:
    if not campaign_exists(store, spec.name):
        check_new(spec, file=file)


def _list_file(file: Path, left_out: Path | None) -> Path:
    """Return the file that lists the crystals left out: next to the campaign file unless given."""
    return left_out or file.with_suffix(LEFT_OUT_ENDING)


def check(
    *, file: Path, engine_elsewhere: bool, write_inputs: Path | None, strict: bool, left_out: Path | None
) -> None:
    """Check a campaign file and show what it would do; nothing is submitted."""
    spec = read_campaign_file(file)
    made = make_and_report(spec, strict=strict, list_file=_list_file(file, left_out))
    if has_settings_file() and (engine_elsewhere or write_inputs is not None):
        check_node_settings(file=file)
    if write_inputs is not None:
        # written before the checks of this machine, which they do not depend on
        for line in write_example_inputs(spec, write_inputs):
            _console().print(line, highlight=False, soft_wrap=True)
    try:
        if not engine_elsewhere:
            check_engine(spec, file=file)
        check_new(spec, file=file)
    except CampaignFileError:
        if write_inputs is not None:
            print_labelled(
                _console(), "note:", f"the input files in {write_inputs} are complete; the problems do not concern them"
            )
        raise
    lines = list(format_preview(spec, made))
    if engine_elsewhere:
        lines.append(f"note: {elsewhere_note(spec.dft, file=file, has_scorer=spec.purpose == 'screening')}")
    elif spec.dft.engine == "vasp":
        lines += [*command_notes(spec.dft), *potcar_notes(spec)]
    console = _console()
    console.print(f"{file}: no problems", style="green", soft_wrap=True)
    for line in lines:
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def submit(
    *, file: Path, launchpad: Path | None, engine_elsewhere: bool, no_reuse: bool, strict: bool, left_out: Path | None
) -> None:
    """Submit a campaign, to be run by `rlaunch rapidfire` or `campaign cluster run`. Submitting it again adds
    nothing.
    """
    spec, made = _checked(
        file, _list_file(file, left_out), engine_here=not engine_elsewhere, strict=strict, reuse=not no_reuse
    )
    console = _console()
    if engine_elsewhere:
        print_labelled(console, "note:", elsewhere_note(spec.dft, file=file, has_scorer=spec.purpose == "screening"))
    connection = connect(launchpad)
    store = CampaignStore(connection.db)
    _check_new(store, spec, file)
    initialise_launchpad(connection)
    worker = worker_for(file, spec.name, connection, find_launchpad_file(launchpad), console)
    started = start_campaign(store, connection, spec, worker=worker, made=made)
    console.print(started.message, soft_wrap=True)
    _print_reused(store, spec.name, console)
    if not started.added and (notes := _why_it_waits(OpenCampaign.open(store, connection, spec.name))):
        for note in notes:
            print_labelled(console, "note:", note)
        return
    console.print(
        f"run it with `rlaunch rapidfire` or `campaign run {file}`, on a cluster with `campaign cluster run`; "
        f"watch it with `campaign status {spec.name}`",
        soft_wrap=True,
    )


def _why_it_waits(campaign: OpenCampaign) -> list[str]:
    """Return why an existing campaign does not run: stopped by a person, blocked, or without its workflows."""
    waits_for = blocked(campaign)
    halted = stop_reason(campaign) or pause_reason(campaign) or (str(waits_for) if waits_for is not None else None)
    return [*([halted] if halted else []), *format_removed(campaign, removed_workflows(campaign))]


def run(
    *,
    file: Path,
    launchpad: Path | None,
    workers: int | None,
    directory: Path,
    no_reuse: bool,
    strict: bool,
    left_out: Path | None,
) -> None:
    """Run a whole campaign on this machine. Ctrl-C stops it; the same command resumes it."""
    console = _console()
    stored = _is_name(file)
    given = None if stored else _checked(file, _list_file(file, left_out), strict=strict, reuse=not no_reuse)
    launchpad_file = ensure_running(find_launchpad_file(launchpad) if stored else launchpad, console)
    connection = connect(launchpad_file)
    store = CampaignStore(connection.db)
    spec, made = given or (_checked_stored(store, file), None)
    if not stored:
        _check_new(store, spec, file)
    _make_run_folder(directory / spec.name)
    initialise_launchpad(connection)
    number, why = (workers, None) if workers is not None else default_workers(spec)
    worker = None if stored else worker_for(file, spec.name, connection, launchpad_file, console)
    settings = RunSettings(
        launchpad_file=launchpad_file, directory=directory, workers=number, worker=worker, stored=stored
    )

    def on_start(started: Started, folder: Path, others: Others) -> None:
        console.print(started.message, soft_wrap=True)
        _print_reused(store, spec.name, console)
        _print_others(others, number, spec.name, console)
        said = (
            f"{format_count(number, 'worker')}"
            if why is None
            else f"{format_count(number, 'worker')} ({why}; change with --workers N)"
        )
        console.print(f"{said}; launch directories and logs in {folder}", highlight=False)

    def on_ray(dashboard: str | None, token: Path) -> None:
        if not dashboard:
            return
        if draws_on(console):
            # never into a file, where it would remain: until used, it is equivalent to the token
            link = ending.enter_context(DashboardLink(dashboard, token.read_text(encoding="utf-8")))
            again = f"`campaign dashboard {spec.name}`"
            print_plain(console, f"Ray dashboard: {link.address} (opens once, on this machine; again: {again})")
        else:
            opens = f"`campaign dashboard {spec.name}` on this machine opens it"
            print_plain(console, f"Ray dashboard: {dashboard} ({opens}; its token is in {token})")

    def on_ray_change(said: str) -> None:
        print_labelled(console, "Ray:", said)

    def on_outage(away: bool) -> None:
        if away:
            print_labelled(console, "the database does not answer;", "waiting for it; see `campaign db status`")
        else:
            console.print("the database answers again", highlight=False)

    # a closed terminal and SIGTERM end a run like Ctrl-C, unless ignored (nohup)
    for number_of_signal in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number_of_signal) is not signal.SIG_IGN:
            signal.signal(number_of_signal, _interrupt)
    with (
        contextlib.ExitStack() as ending,
        contextlib.closing(Progress(console)) as progress,
        notifications(console) as notifier,
    ):

        def on_progress(view: RunView) -> None:
            progress.show(view)
            if notifier is not None:
                notifier.look(view.campaign, view.status)

        try:
            status = run_campaign(
                store,
                connection,
                spec,
                settings,
                on_start=on_start,
                on_ray=on_ray,
                on_ray_change=on_ray_change,
                on_progress=on_progress,
                on_outage=on_outage,
                made=made,
            )
        except KeyboardInterrupt:
            progress.close()
            print_labelled(
                console, "stopped;", f"`{typed_program('campaign')} run {shlex.quote(str(file))}` resumes it"
            )
            raise typer.Exit(130) from None
        progress.close()
        campaign = Campaign.read(store, spec.name)
        if notifier is not None:
            notifier.look(campaign, status, is_over=True)
        # before waiting for the last message
        rows = result_rows(campaign)
        console.print(rows_as_table(rows, title=f"campaign {spec.name}"))
        print_plain(console, *closing_lines(campaign, rows))
    opened = OpenCampaign.open(store, connection, spec.name)
    removed = [] if status.is_finished else list(format_removed(opened, removed_workflows(opened)))
    _report_outcome(status, console, removed=removed)


def _print_others(others: Others, number: int, name: str, console: Console) -> None:
    """Print which other workers of the campaign are running on this machine."""
    for pid, workers in others.runs.items():
        label = f"another `campaign run` of this campaign is running (host {socket.gethostname()}, process {pid});"
        total = format_count(number + sum(others.runs.values()), "worker")
        said = f"it has {format_count(workers, 'worker')}, with this one there are {total}. "
        said += f"Ctrl-C ends this one, `kill -INT {pid}` the other; `campaign pause {name}` starts nothing more in any"
        print_labelled(console, label, said)
    if others.fireworks and not others.runs:
        label = f"other workers on this machine already run {format_count(others.fireworks, 'firework')} of it;"
        print_labelled(console, label, "the workers started now are additional")


def _is_name(file: Path) -> bool:
    """Whether this is the name of a stored campaign: neither a file nor similar to a file name."""
    return not file.is_file() and file.suffix not in (".yaml", ".yml") and file.name == str(file)


def _checked_stored(store: CampaignStore, name: Path) -> CampaignSpec:
    try:
        spec = Campaign.read(store, str(name)).spec
    except UnknownCampaignError as error:
        raise UnknownCampaignError(f"{name} is not a file, and {error}") from None
    check_engine(spec, file=name)
    return spec


def _make_run_folder(folder: Path) -> None:
    """Create the folder of the launch directories before anything is submitted."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputPlaceError(
            f"{folder} cannot be created: {error.strerror}; use --directory to name a writable folder"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputPlaceError(f"{folder} is not writable; use --directory to name another folder")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _report_outcome(status: Status, console: Console, *, removed: Sequence[str]) -> None:
    program = typed_program("campaign")
    console.print(
        f"{status.stable} stable; {status.cpu_s:.0f} CPU-s in total. See the results again with `{program} results "
        f"{status.name}`, or in a browser with `{program} report {status.name} --open`. The database keeps running; "
        f"`{program} db stop` stops it",
        highlight=False,
    )
    if held := status.candidates.get(CandidateState.HELD):
        console.print(
            f"{format_count(held, 'candidate')} held by the budget: see `campaign budget {status.name}`", soft_wrap=True
        )
    if status.state == BLOCKED:
        print_labelled(console, f"campaign {status.name} is {BLOCKED}:", status.labelled_problem[1], style="red")
        raise typer.Exit(1)
    if not status.is_finished:
        print_labelled(
            console,
            f"campaign {status.name} is not complete, but nothing is left to run.",
            status.problem
            or "; ".join(removed)
            or "See `campaign status`, and `lpad get_fws -s FIZZLED -d more` for the reason.",
            style="red",
        )
        raise typer.Exit(1)
