"""The commands `campaign cluster ...`: a cluster's launch files, their check, and filled queues."""

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path

import typer
from fireworks import LaunchPad
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.text import Text

from campaign.commands.connection import connect, open_for_writing
from campaign.commands.errors import is_user_error
from campaign.commands.lifecycle.notify import look_at_all, notifications
from campaign.commands.machines.cluster_questions import SiteAnswers, site_settings
from campaign.config.wording import format_count
from campaign.notify.notifier import Notifier
from campaign.recovery.reconcile import reconcile
from campaign.spec.reader import read_campaign_file
from campaign.store.campaigns import OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.store.listings import running_campaigns
from campaign.views.engine_questions import engine_questions, together, unfinished_specs
from campaign.views.status.progress import format_progress
from campaign.views.status.run_view import RunWatch
from esnet.commands.console import console, print_plain
from launchers.cluster.checking import Checked, check_here, check_queues, check_scheduler
from launchers.cluster.launch_files import write_again, write_new
from launchers.cluster.queue_filler import fill_queues
from launchers.cluster.site import SiteSettings
from launchers.database.errors import DatabaseError
from launchers.database.settings import find_launchpad_file


def init(
    *,
    folder: Path,
    scheduler: str | None,
    queue: list[str] | None,
    account: str | None,
    walltime: list[str] | None,
    cores: list[str] | None,
    nodes: list[str] | None,
    memory: list[str] | None,
    gpus: list[str] | None,
    max_jobs: list[str] | None,
    jobs_per_allocation: list[str] | None,
    side_by_side: list[str] | None,
    estimate: list[str] | None,
    weight: list[str] | None,
    modules: list[str] | None,
    environment: list[str] | None,
    vasp_command: str | None,
    launch_directory: Path | None,
    name: str,
    launchpad: Path | None,
    again: bool,
) -> None:
    """Write the files of a cluster: cluster.yaml and, generated from it, the qlaunch files of each category."""
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
        environment=environment or [],
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
            "side_by_side": side_by_side or [],
            "estimate": estimate or [],
            "weight": weight or [],
        },
    )
    site = site_settings(answers)
    for path in write_new(site, folder):
        out.print(f"wrote {path}", highlight=False, soft_wrap=True)
    if not site.queues["dos"].is_packed:
        print_plain(
            out,
            "each IS-DOS gets its own job; if they take only minutes, let several share one: set jobs_per_allocation "
            f"of queues.dos in {folder / 'cluster.yaml'} (see docs/how-to/queues.md), then use --again",
        )
    out.print(f"review {folder / 'cluster.yaml'}, then run: campaign cluster check {folder} --submit", soft_wrap=True)


def check(*, folder: Path, submit: bool, wait: float, files: list[Path] | None) -> None:
    """Check what jobs need and request; exit code 1 means that a check failed."""
    out = console()
    site = SiteSettings.from_file(folder)
    specs = [read_campaign_file(file) for file in files or []]
    with contextlib.suppress(DatabaseError, PyMongoError):  # the check itself reports an unavailable database
        store = CampaignStore(connect(site.launchpad).db)
        specs += unfinished_specs(store, except_of={spec.name for spec in specs})
    questions = engine_questions(specs)
    here, versions = check_here(site, folder, together(questions))
    wrong = _report_check(here, out)
    asked, good = check_scheduler(site, folder)
    wrong += sum(_report_check(found, out) for found in asked)
    if submit and good:
        of_jobs = check_queues(
            site,
            folder.absolute(),
            versions,
            wait_s=wait,
            categories=good,
            questions=questions,
            on_submitted=lambda line: print_plain(out, line),
        )
        with contextlib.closing(of_jobs):
            wrong += sum(_report_check(found, out) for found in of_jobs)
    if wrong:
        out.print(f"{format_count(wrong, 'problem')}", style="red")
        raise typer.Exit(1)
    first = ", ".join(map(str, files or [])) or "FILE"
    following = (
        f"campaign submit {first} --engine-elsewhere, then campaign cluster run {folder} --every 300"
        if submit
        else f"campaign cluster check {folder} --submit, which tries a small job in each queue"
    )
    out.print("no problems", style="green")
    print_plain(out, f"next: {following}")


def _report_check(checked: Checked, out: Console) -> int:
    """Print the findings of one place; return the number of problems."""
    out.print(checked.place, style="bold", highlight=False)
    for finding in checked.findings:
        is_well = finding.remedy is None
        mark = ("ok   ", "green") if is_well else ("note ", "yellow") if finding.is_warning else ("wrong", "red")
        out.print(Text.assemble("  ", mark, f" {finding.what}"), highlight=False, soft_wrap=True)
        if not is_well:
            print_plain(out, f"        remedy: {finding.remedy}")
    return sum(finding.remedy is not None and not finding.is_warning for finding in checked.findings)


def run(*, folder: Path, once: bool, every: float | None) -> None:
    """Keep the queues filled: as many jobs as there are fireworks for, within each queue's limit."""
    if once and every is not None:
        raise typer.BadParameter("--once and --every exclude each other")
    site = SiteSettings.from_file(folder)
    out = console()
    with notifications(out, is_only=every is None) as notifier:
        while True:
            all_well = _fill_once(site, folder.absolute(), out, notifier, is_only=every is None)
            if every is None:
                break
            time.sleep(every)
    raise typer.Exit(0 if all_well else 1)


def _fill_once(site: SiteSettings, folder: Path, out: Console, notifier: Notifier | None, *, is_only: bool) -> bool:
    """Run one round; return False if there was a problem. An unavailable database does not end the program."""
    all_well = True
    # in a log appended to by cron, lines need their time
    out.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", highlight=False)
    try:
        store, launchpad = open_for_writing(site.launchpad)
        _reconcile_running(store, launchpad, out)
        for done in fill_queues(launchpad, site, folder):
            print_plain(out, done.line())
            all_well = all_well and done.problem is None
        if notifier is not None:
            look_at_all(store, notifier, out, collect=not is_only)
    except (DatabaseError, PyMongoError) as error:
        reason = (
            error if isinstance(error, DatabaseError) else f"the database became unavailable ({type(error).__name__})"
        )
        print_plain(out, f"nothing (more) submitted: {reason}")
        return False
    return all_well


def _reconcile_running(store: CampaignStore, launchpad: LaunchPad, out: Console) -> None:
    for name in running_campaigns(store):
        try:
            campaign = OpenCampaign.open(store, launchpad, name)
            lines = list(reconcile(campaign).lines())
            view = RunWatch().look(campaign.refresh())
            if (reason := view.status.problem or view.status.paused) is not None:
                lines.append(reason)
            lines.append(format_progress(view))
        except Exception as error:
            # a problem of one campaign must not stop the queues; database errors concern all
            if not is_user_error(error) or isinstance(error, DatabaseError):
                raise
            lines = [f"cannot be reconciled: {error}"]
        print_plain(out, *(f"{name}: {line}" for line in lines))
