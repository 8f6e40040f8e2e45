"""A campaign opened for writing, with its operations."""

from dataclasses import dataclass
from typing import TypedDict

from fireworks import LaunchPad

from campaign.budget.hold_queue import hold_waiting, release_held
from campaign.candidates.given.reading import OnProgress, Reading
from campaign.recovery.reconcile import reconcile
from campaign.recovery.reconcile_report import ReconcileReport
from campaign.recovery.recording import record_and_advance, record_here
from campaign.scheduling.advance import advance
from campaign.scheduling.reuse import take_over_all
from campaign.scheduling.stop import put_step_back
from campaign.scheduling.submit import submit_ready
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.given import MadeCandidates
from campaign.steps.add import Added, add_candidates
from campaign.steps.calculate import StageIsOverError, run_calculation
from campaign.steps.finish import finish_campaign
from campaign.steps.prefilter import prefilter_step
from campaign.steps.recalibrate import recalibrate_step
from campaign.steps.retrain import retrain_step
from campaign.steps.screen import screen_step
from campaign.steps.start import Started, write_campaign
from campaign.steps.train import train_step
from campaign.store.attempts import Outcome
from campaign.store.campaigns import OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.store.states import Stage
from launchers.database.settings import DatabaseSettings


class _OfWhat(TypedDict):
    """Arguments that identify a calculation."""

    document_id: str
    stage: Stage
    fw_id: int


def start_campaign(
    store: CampaignStore,
    launchpad: LaunchPad,
    spec: CampaignSpec,
    *,
    worker: str | None = None,
    made: MadeCandidates | None = None,
) -> Started:
    """Store a campaign and submit its first work. Repeating it adds nothing.

    Parameters
    ----------
    made
        The candidates, if already generated.
    worker
        Name of the only FireWorker that takes its fireworks. If None, any.

    Raises
    ------
    CampaignExistsError
        If a campaign of that name was started with other settings; lists the differences.
    CampaignFileError
        If its file of entries cannot be used.
    """
    started = write_campaign(store, spec, worker=worker, made=made)
    running = RunningCampaign.open(store, launchpad, spec.name)
    take_over_all(running)
    running.advance()
    return started


@dataclass(frozen=True, kw_only=True)
class RunningCampaign(OpenCampaign):
    """A campaign opened for writing, and every operation on it.

    A firework, a command or `campaign run` opens it once. Each operation rereads the campaign's document if it depends
    on values that other processes may have changed.

    Examples
    --------
    >>> running = RunningCampaign.open(store, launchpad, "quickstart")
    >>> running.reconcile()
    """

    def advance(self, *, batch: int | None = None) -> None:
        """Submit all work that is due, see `campaign.scheduling.advance`."""
        advance(self, batch=batch)

    def submit_ready(self) -> int:
        """Submit every calculation that may start; return their number."""
        return submit_ready(self)

    def hold(self) -> int:
        """Hold candidates whose IS-DOS the budget does not allow; return their number."""
        return hold_waiting(self)

    def release(self) -> int:
        """Promote held candidates as far as the budget allows and submit them; return their number."""
        released = release_held(self)
        advance(self)
        return released

    def reconcile(self, *, outcome: Outcome = "lost", dry_run: bool = False) -> ReconcileReport:
        """Recover from killed processes and lost jobs, see `campaign.recovery.reconcile`."""
        return reconcile(self, outcome=outcome, dry_run=dry_run)

    def put_step_back(self, step_id: str, *, fw_id: int) -> bool:
        """Put a queued step back if the campaign has been paused since; return whether it was put back."""
        return put_step_back(self, step_id, fw_id=fw_id)

    def calculate(self, database: DatabaseSettings, *, document_id: str, stage: Stage, fw_id: int) -> None:
        """Compute one stage of one candidate in the current directory and record it, see `campaign.steps.calculate`."""
        of_what: _OfWhat = {"document_id": document_id, "stage": stage, "fw_id": fw_id}
        try:
            run_calculation(self, database, **of_what)
        except StageIsOverError:
            raise  # nothing was computed
        except BaseException as error:
            record_here(self, database, **of_what, error=error)
            raise
        record_here(self, database, **of_what)

    def record(self, database: DatabaseSettings, *, document_id: str, stage: Stage, fw_id: int) -> None:
        """Record the outcome of a calculation, see `campaign.steps.record`, then submit all work that is due."""
        record_and_advance(self, database, document_id=document_id, stage=stage, fw_id=fw_id)

    def train(self, database: DatabaseSettings, step_id: str, *, fw_id: int) -> None:
        """Train the model, register it, and submit the Screens that waited for it."""
        train_step(self, database, step_id, fw_id=fw_id)

    def retrain(self, database: DatabaseSettings, step_id: str, *, fw_id: int) -> None:
        """Fine-tune the model, register the new one, and have the waiting candidates scored again."""
        retrain_step(self, database, step_id, fw_id=fw_id)

    def recalibrate(self, step_id: str, *, fw_id: int) -> None:
        """Fit a correction of the predictions, and have the waiting candidates decided on again."""
        recalibrate_step(self, step_id, fw_id=fw_id)

    def prefilter(self, database: DatabaseSettings, step_id: str, *, fw_id: int) -> None:
        """Run the prefilter on one batch, then submit the IS-DOS of the rest and recover from killed workers."""
        prefilter_step(self, database, step_id, fw_id=fw_id)
        reconcile(self)

    def screen(self, database: DatabaseSettings, step_id: str, *, fw_id: int) -> None:
        """Run one Screen, then submit the relaxations and recover from workers killed meanwhile."""
        screen_step(self, database, step_id, fw_id=fw_id)
        reconcile(self)

    def finish(self, step_id: str) -> dict[str, float | int]:
        """Store the summary in the campaign's document and close the campaign."""
        summary = finish_campaign(self, step_id)
        if not summary:
            advance(self)  # candidates added meanwhile
        return summary

    def add(self, found: Reading, *, rescale: str | None, on_progress: OnProgress | None = None) -> Added:
        """Add crystals as further candidates, see `campaign.steps.add`, and submit their first work."""
        added = add_candidates(self, found, rescale=rescale, on_progress=on_progress)
        advance(self)
        return added
