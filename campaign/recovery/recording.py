"""Record the outcome of a calculation in the process that computed or found it, without a queue job.

The recording firework is the fallback. It is completed without a launch once its work is done here; if this process is
killed before that, it becomes ready (category `RECORD_CATEGORY`) for a worker or `record_waiting`. Recording twice
records once (`campaign.steps.record`).
"""

import logging
import socket
from functools import partial
from pathlib import Path

from pymongo.errors import PyMongoError

from campaign.recovery.firework_repairs import complete_unlaunched, defuse_recorder
from campaign.recovery.reconcile_report import ReconcileReport
from campaign.scheduling.advance import advance
from campaign.scheduling.queue_share import share_workers
from campaign.steps.record import record_calculation
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import read_document
from campaign.store.fireworks import firework_states, ready_recorders, refresh_workflow
from campaign.store.states import STAGES, Stage
from launchers.database.patience import is_outage, patiently
from launchers.database.settings import DatabaseSettings

logger = logging.getLogger(__name__)


def record_and_advance(
    campaign: OpenCampaign, database: DatabaseSettings, *, document_id: str, stage: Stage, fw_id: int
) -> None:
    """Record the outcome of a calculation, see `campaign.steps.record`, then submit all work that is due."""
    record_calculation(campaign, database, document_id=document_id, stage=stage, fw_id=fw_id)
    # it can only have completed its own batch; references have none, so all are checked
    document = read_document(campaign.store, document_id, ["batch"])
    advance(campaign, batch=document and document.get("batch"))
    share_workers(campaign)


def record_here(
    campaign: OpenCampaign,
    database: DatabaseSettings,
    *,
    document_id: str,
    stage: Stage,
    fw_id: int,
    error: BaseException | None = None,
) -> None:
    """Record a calculation in the process that computed it, right after its end; never raises.

    Parameters
    ----------
    fw_id
        Firework of the calculation, which is still running.
    error
        Exception that ended it, or None. An interrupted process does not wait for a database.
    """
    recorder = fw_id + 1  # `stage_workflow`
    record = partial(record_and_advance, campaign, database, document_id=document_id, stage=stage, fw_id=recorder)
    in_haste = error is not None and (not isinstance(error, Exception) or is_outage(error))
    wait_s = 0.0 if in_haste else campaign.spec.retries.database_wait_s
    try:
        # a person has paused or removed the workflow: nothing may follow from it
        if patiently(partial(firework_states, campaign.launchpad, [recorder]), wait_s=wait_s) != {recorder: "WAITING"}:
            return
        patiently(record, wait_s=wait_s)
        note = f"recorded by the process of firework {fw_id}"
        complete_unlaunched(campaign.launchpad, recorder, directory=str(Path.cwd()), note=note)
        # it has nothing left to do, and would wait forever for a calculation defused while running
        defuse_recorder(campaign.launchpad, recorder)
    except Exception as error:
        # the results are safe in any case
        logger.debug("firework %d", recorder, exc_info=True)
        _say_why_not(recorder, error)


def record_waiting(campaign: OpenCampaign, done: ReconcileReport, *, dry_run: bool) -> None:
    """Record waiting results whose process was killed."""
    for firework in ready_recorders(campaign.launchpad, campaign.name):
        fw_id, spec = firework["fw_id"], firework["spec"]
        if not dry_run:
            database = DatabaseSettings.from_launchpad(campaign.launchpad)
            of_what = {"document_id": spec["document"], "stage": STAGES[spec["stage"]]}
            try:
                record_calculation(campaign, database, **of_what, fw_id=fw_id)
            except PyMongoError:
                raise
            except Exception as error:
                # a worker that runs the firework will record the reason
                logger.debug("firework %d", fw_id, exc_info=True)
                _say_why_not(fw_id, error)
                continue
            note = f"recorded on {socket.gethostname()}"
            if complete_unlaunched(campaign.launchpad, fw_id, directory=str(Path.cwd()), note=note):
                refresh_workflow(campaign.launchpad, fw_id)
        done.recorded.append(fw_id - 1)


def _say_why_not(recorder: int, error: Exception) -> None:
    """Warn that recording is left to a firework, in a sentence instead of a stack trace."""
    said = "firework %d will record its calculation: it could not be done here (%s: %s)"
    logger.warning(said, recorder, type(error).__name__, " ".join(str(error).split()))
