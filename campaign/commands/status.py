"""The command `campaign status`: once, as JSON, or repeatedly until the campaign has ended."""

import json
import time
from pathlib import Path

import typer
from fireworks import LaunchPad
from pymongo.errors import PyMongoError
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from campaign.commands.connection import connect
from campaign.recovery.reconcile import reconcile
from campaign.recovery.reconcile_report import ReconcileReport
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.views.status.drawing import draw
from campaign.views.status.next_steps import status_notes
from campaign.views.status.report import StatusReport, status_report
from esnet.commands.console import console, draws_on
from esnet.files.errors import UserError

_EVERY_S = 5.0
#: The search for killed workers takes longer than counting.
_RECOVERY_EVERY_S = 60.0


class WatchOptionError(UserError, ValueError):
    """Incompatible options of `campaign status`; the message says what would be right."""


def status(*, name: str, seconds: float | None, watch: bool, launchpad: Path | None, as_json: bool) -> None:
    """Show the state of a campaign, and what `campaign reconcile` would repair. Read-only."""
    if seconds is not None and not watch:
        raise WatchOptionError(f"found {seconds:g} seconds without --watch; right: campaign status {name} --watch 10")
    if watch and as_json:
        raise WatchOptionError("--json prints once; right: give it without --watch, and repeat the command as needed")
    connection = connect(launchpad)
    store = CampaignStore(connection.db)
    if watch:
        _watch(store, connection, name, console(), every_s=seconds or _EVERY_S)
        return
    to_repair = _to_repair(store, connection, name)
    report = status_report(Campaign.read(store, name))
    if as_json:
        typer.echo(
            json.dumps({**report.to_dict(), "needs_recovery": [*to_repair.findings(), *to_repair.removed]}, indent=1)
        )
        return
    console().print(_picture(report, to_repair))


def _to_repair(store: CampaignStore, connection: LaunchPad, name: str) -> ReconcileReport:
    """Return what `campaign reconcile` would repair, and removed workflows, without changing anything."""
    return reconcile(OpenCampaign.open(store, connection, name, dry_run=True), dry_run=True)


def _picture(report: StatusReport, to_repair: ReconcileReport) -> Group:
    status = report.status
    more = [f"needs recovery: {found} (run `campaign reconcile {status.name}`)" for found in to_repair.findings()]
    more += to_repair.removed
    more += status_notes(report)
    if report.reused:
        more.append(report.reused)
    return draw(report, notes=tuple(more))


def _watch(store: CampaignStore, connection: LaunchPad, name: str, console: Console, *, every_s: float) -> None:
    """Redraw repeatedly on a terminal; otherwise print a block each time."""
    look = _Look(store, connection, name)
    try:
        picture, finished = look.again()
        if not draws_on(console):
            console.print(picture)
            while not finished:
                time.sleep(every_s)
                picture, finished = look.again()
                console.print()
                console.print(picture)
            return
        with Live(picture, console=console, screen=True, auto_refresh=False) as live:
            while not finished:
                time.sleep(every_s)
                picture, finished = look.again()
                live.update(picture, refresh=True)
        console.print(picture)  # the last one remains after the screen is closed
    except KeyboardInterrupt:
        if draws_on(console) and look.last is not None:
            console.print(look.last)


class _Look:
    """Repeated views of a campaign, which survive a temporarily unavailable database.

    Attributes
    ----------
    last
        The latest picture; None before the first.
    """

    def __init__(self, store: CampaignStore, connection: LaunchPad, name: str) -> None:
        self.last: Group | None = None
        self._store, self._connection, self._name = store, connection, name
        self._to_repair = ReconcileReport()
        self._looked: float | None = None

    def again(self) -> tuple[Group, bool]:
        """Return the current picture, and whether the campaign has ended."""
        try:
            if self._looked is None or time.monotonic() - self._looked > _RECOVERY_EVERY_S:
                self._to_repair = _to_repair(self._store, self._connection, self._name)
                self._looked = time.monotonic()
            report = status_report(Campaign.read(self._store, self._name))
        except PyMongoError as error:
            if self.last is None:
                raise
            away = Text(f"the database does not answer ({type(error).__name__}); last known state:", style="red")
            return Group(away, self.last), False
        self.last = _picture(report, self._to_repair)
        return self.last, report.status.is_finished
