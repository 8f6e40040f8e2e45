"""Run a whole campaign on this machine, with its database, worker processes and Ray; it can be stopped and resumed."""

import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self, TypeVar, get_args

from fireworks import LaunchPad
from pymongo.errors import PyMongoError

from campaign.attempts.blocked import BLOCKED
from campaign.config.wording import format_count
from campaign.recovery.processes import is_running_here
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.given import MadeCandidates
from campaign.steps.start import Started
from campaign.store.campaigns import campaign_exists
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import fireworks_in_state, has_live_fireworks, latest_launches
from campaign.views.status.counts import Status
from campaign.views.status.run_view import RunView, RunWatch
from esnet.ray.credentials import ray_token, write_private
from esnet.ray.kept import keep_ray
from esnet.ray.session import RaySession
from launchers.database.patience import is_outage, patiently
from launchers.workers.command_cores import command_cores
from launchers.workers.local import LocalWorkers, workers_of_others
from workflows.engine import CalculationKind, vasp_commands

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Files of a run's folder: the token that Ray's dashboard asks for, and the dashboard's address.
RAY_TOKEN, RAY_DASHBOARD = "ray-token", "ray-dashboard"

_POLL_S = 1.0
_RECONCILE_S = 60.0
_LAST_FIREWORK_S = 10.0
#: Time without ready or running fireworks, in s, after which the campaign counts as stuck.
_STUCK_S = 10.0


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings of a campaign's run on this machine.

    Attributes
    ----------
    launchpad_file
        Path of my_launchpad.yaml.
    directory
        Parent folder; launch directories and logs go to ``directory/<campaign>``.
    workers
        Number of worker processes; each runs one firework at a time.
    worker
        Name of the FireWorker, besides those of this run, that may take the campaign's fireworks. If None, any.
    stored
        Whether the campaign is run from the database, without its file.
    """

    launchpad_file: Path
    directory: Path
    workers: int
    worker: str | None = None
    stored: bool = False


def default_workers(spec: CampaignSpec) -> tuple[int, str | None]:
    """Return how many calculations the cores available to this process can run at the same time.

    Returns
    -------
    int, str or None
        Number of workers, and, if it is not one per core, the reason: the ranks requested by VASP's command line.
    """
    cores = max(1, len(os.sched_getaffinity(0)))
    asked = [command_cores(command, os.environ) for command in _vasp_commands(spec)]
    if not asked:
        return cores, None
    most = max(asked, key=lambda each: each.cores or cores)
    each = most.cores or cores
    return max(1, cores // each), f"{each} of {format_count(cores, 'core')} for each calculation: {most.why}"


def _vasp_commands(spec: CampaignSpec) -> list[str]:
    """Return the VASP command lines that the campaign's workers start; empty for another engine."""
    if spec.dft.engine != "vasp":
        return []
    settings = spec.dft_settings()
    return [vasp_commands(settings, kind)[0].text for kind in get_args(CalculationKind)]


class Others(NamedTuple):
    """Other workers of a campaign on this machine.

    Attributes
    ----------
    runs
        Number of workers of each other `campaign run`, by its process id.
    fireworks
        Number of the campaign's fireworks that other workers are running.
    """

    runs: dict[int, int]
    fireworks: int


def run_campaign(
    store: CampaignStore,
    launchpad: LaunchPad,
    spec: CampaignSpec,
    settings: RunSettings,
    *,
    on_start: Callable[[Started, Path, Others], None],
    on_ray: Callable[[str | None, Path], None],
    on_ray_change: Callable[[str], None],
    on_progress: Callable[[RunView], None],
    on_outage: Callable[[bool], None],
    made: MadeCandidates | None = None,
) -> Status:
    """Run a campaign to its end.

    Parameters
    ----------
    store, launchpad
        The campaign's database, already checked.
    settings
        Folder and number of processes.
    on_start
        Called once with the result of starting the campaign, the folder of launch directories and logs, and the other
        workers of the campaign on this machine.
    on_ray
        Called once, when Ray is up, with the address of its dashboard and the file that holds its token; not called if
        the scorer needs no Ray.
    on_ray_change
        Called from another thread, with a message, when Ray dies or is started again.
    on_progress
        Called about every second.
    on_outage
        Called with True when the database stops responding (the run waits) and with False when it is back.
    made
        The campaign's candidates, if already generated.

    Returns
    -------
    Status
        The last status; `is_finished` is False if nothing was left to run although the campaign is incomplete.

    Raises
    ------
    KeyboardInterrupt
        After the workers have exited and their calculations are ready to run again.
    """
    name = spec.name
    if campaign_exists(store, name):
        # work interrupted with an earlier runner was stopped; it did not fail
        RunningCampaign.open(store, launchpad, name).reconcile(outcome="stopped")
    if settings.stored:
        RunningCampaign.open(store, launchpad, name).advance()
        started = Started(name=name, added=0, known=sum(store.state_counts(name).values()))
    else:
        started = start_campaign(store, launchpad, spec, worker=settings.worker, made=made)
    directory = settings.directory.resolve() / name
    query = {"spec.campaign_name": name}
    others = Others(workers_of_others(settings.launchpad_file, query), _running_elsewhere(launchpad, name))
    on_start(started, directory, others)
    campaign = RunningCampaign.open(store, launchpad, name)
    watch = RunWatch()
    view = watch.look(campaign)
    if view.status.is_finished or (
        (view.status.is_stopped or view.status.state == BLOCKED) and not view.status.can_go_on
    ):
        return view.status
    if view.status.is_paused:
        on_progress(view)  # before Ray, which takes seconds to start
    try:
        with ExitStack() as ending:
            environment = {}
            if spec.dft.engine == "vasp" and (threads := os.environ.get("OMP_NUM_THREADS")):
                environment["OMP_NUM_THREADS"] = threads  # otherwise 1; `default_workers` has counted the threads
            if any(scorer.uses_ray(spec.screening) for scorer in spec.scorers()):
                # one Ray for the whole run, so that its dashboard stays up; the workers' steps connect to it
                files = ending.enter_context(_RayFiles(directory))
                ray = ending.enter_context(
                    keep_ray(dashboard=True, on_change=on_ray_change, on_restart=files.write_dashboard)
                )
                files.write_dashboard(ray)
                on_ray(ray.dashboard_url, write_private(files.token, ray_token()))
                environment["RAY_ADDRESS"] = ray.address
            with LocalWorkers(settings.launchpad_file, directory, query=query, environment=environment) as workers:
                workers.start(settings.workers)
                return _Watch(campaign, workers, on_progress, on_outage, watch).until_end()
    finally:
        # calculations interrupted with the workers are made ready for the next run
        try:
            campaign.reconcile(outcome="stopped")
        except PyMongoError as error:
            if not is_outage(error):
                raise
            logger.warning(
                "the database does not answer; the next `campaign run` recovers the calculations that this one leaves "
                "unfinished"
            )


class _RayFiles:
    """Files read by `campaign dashboard`, present only while the run's Ray is: another may use its port afterwards."""

    def __init__(self, directory: Path) -> None:
        self.token, self._dashboard = directory / RAY_TOKEN, directory / RAY_DASHBOARD
        self._written = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(FileNotFoundError):
            if self._dashboard.read_text(encoding="utf-8") != self._written:
                return  # written by a later run in the same folder
        for path in (self._dashboard, self.token):
            path.unlink(missing_ok=True)

    def write_dashboard(self, ray: RaySession) -> None:
        """Write the address of the dashboard; empty if there is none."""
        self._written = ray.dashboard_url or ""
        write_private(self._dashboard, self._written)


class _Watch:
    """Watch a campaign while workers run it; like them, wait for a database that does not respond."""

    def __init__(
        self,
        campaign: RunningCampaign,
        workers: LocalWorkers,
        on_progress: Callable[[RunView], None],
        on_outage: Callable[[bool], None],
        watch: RunWatch,
    ) -> None:
        self.campaign = campaign
        self.workers = workers
        self.on_progress = on_progress
        self.on_outage = on_outage
        self._reconcile_at = time.monotonic() + _RECONCILE_S
        self._idle_since: float | None = None
        self._watch = watch

    def until_end(self) -> Status:
        """Wait until the campaign is finished or nothing of it is left to run; return the last status."""
        while True:
            view = self._patiently(self._look)
            status = view.status
            self.on_progress(view)
            if status.is_finished:
                self._patiently(partial(_let_last_firework_end, self.campaign.launchpad, self.campaign.name))
                return status
            if status.ends_running:
                return status  # `campaign stop` has stopped it, running work included
            if self._is_stuck(status):
                return self._patiently(self._look).status
            time.sleep(_POLL_S)

    def _patiently(self, body: Callable[[], T]) -> T:
        return patiently(body, wait_s=math.inf, on_outage=self._note_outage)

    def _note_outage(self, away: bool) -> None:
        self._reconcile_at = time.monotonic()  # workers may have died in the outage
        self.on_outage(away)

    def _look(self) -> RunView:
        if self.workers.replace_dead():
            self._reconcile_at = time.monotonic()
        if time.monotonic() >= self._reconcile_at:
            self.campaign.reconcile()
            self._reconcile_at = time.monotonic() + _RECONCILE_S
        return self._watch.look(self.campaign.refresh())

    def _is_stuck(self, status: Status) -> bool:
        """Whether nothing has been ready or running for some time and recovery finds nothing to repair."""
        if status.can_go_on or status.is_paused:
            self._idle_since = None
            return False
        if self._idle_since is None:
            self._idle_since = time.monotonic()
        if time.monotonic() - self._idle_since <= _STUCK_S:
            return False
        self._idle_since = None
        repaired = self._patiently(self.campaign.reconcile)
        return not repaired and not self._patiently(self._look).status.can_go_on


def _running_elsewhere(launchpad: LaunchPad, name: str) -> int:
    running = fireworks_in_state(launchpad, name, "RUNNING", ["fw_id", "launches", "spec.worker"])
    launches = latest_launches(launchpad, running)
    return sum(is_running_here(firework, launches.get(firework["fw_id"])) is True for firework in running)


def _let_last_firework_end(launchpad: LaunchPad, name: str) -> None:
    """Wait for the Finish firework, which FireWorks marks as completed just after the campaign is finished."""
    deadline = time.monotonic() + _LAST_FIREWORK_S
    while has_live_fireworks(launchpad, name) and time.monotonic() < deadline:
        time.sleep(0.1)
