"""Make FireWorks, processes, the scheduler and the store agree. Idempotent, and safe to call at the same time.

A killed process or job reports nothing, so FireWorks shows its firework as RUNNING forever. Each kind of repair has its
own module: `lost_runs`, `reservations`, `stuck_workflows`, `recording`, `orphaned_results`. A missing answer means
unknown, never finished (`liveness`). Deliberate changes by a person are listed and left alone (`removed_workflows`).
"""

import logging

from campaign.recovery.lost_runs import end_lost
from campaign.recovery.orphaned_results import record_orphaned_results
from campaign.recovery.reconcile_report import ReconcileReport
from campaign.recovery.recording import record_waiting
from campaign.recovery.removed_workflows import format_removed, removed_workflows
from campaign.recovery.reservations import free_reservations
from campaign.recovery.stuck_workflows import defuse_recorders, refresh_waiting, rerun_fizzled, unlock_stale
from campaign.scheduling.advance import advance
from campaign.scheduling.stop import pause_again
from campaign.store.attempts import Outcome
from campaign.store.campaigns import OpenCampaign

logger = logging.getLogger(__name__)


def reconcile(campaign: OpenCampaign, *, outcome: Outcome = "lost", dry_run: bool = False) -> ReconcileReport:
    """Recover one campaign from killed processes and lost jobs, then submit all work that is due.

    Parameters
    ----------
    outcome
        Outcome for attempts that ended unnoticed: ``lost``, or ``stopped`` if stopped by the user.
    dry_run
        Whether to only return what would be changed.
    """
    campaign = campaign.refresh()
    tries = campaign.spec.retries.max_retries
    done = ReconcileReport(dry_run=dry_run)
    done.unlocked = unlock_stale(campaign.launchpad, campaign.name, dry_run=dry_run)
    end_lost(campaign, outcome, done, dry_run=dry_run)
    free_reservations(campaign, tries, done, dry_run=dry_run)
    rerun_fizzled(campaign, done, dry_run=dry_run)
    done.refreshed = refresh_waiting(campaign.launchpad, campaign.name, dry_run=dry_run)
    record_waiting(campaign, done, dry_run=dry_run)
    done.defused = defuse_recorders(campaign, dry_run=dry_run)
    done.recorded += record_orphaned_results(campaign, dry_run=dry_run)
    removed = [each for each in removed_workflows(campaign) if each.fw_ids[0] not in done.recorded]
    done.removed = list(format_removed(campaign, removed))
    if not dry_run:
        advance(campaign)
        if campaign.stop_kind != "failures":
            pause_again(campaign)  # repaired fireworks are ready, but nothing must start
        for line in done.lines():
            logger.info("campaign %s: %s", campaign.name, line)
    return done
