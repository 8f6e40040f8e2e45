"""FireWorks, processes, the scheduler and the store made to agree. Idempotent, and safe from two places at once.

A process or a job that was killed says nothing: FireWorks shows its firework as RUNNING for ever. Each kind of repair
is a file of its own: `lost_runs`, `reservations`, `stuck_workflows`, `unrecorded`. An answer that is not there means
unknown, never finished (`whereabouts`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from campaign.attempts.ledger import Outcome
from campaign.recovery.lost_runs import end_lost
from campaign.recovery.orphaned_results import record_unrecorded
from campaign.recovery.reconcile_report import Reconciled
from campaign.recovery.reservations import free_reservations
from campaign.recovery.stuck_workflows import refresh_waiting, rerun_fizzled, unlock_stale
from campaign.scheduling.advance import advance
from campaign.store.campaigns import OpenCampaign

if TYPE_CHECKING:
    pass

__all__ = ["Reconciled", "reconcile"]

logger = logging.getLogger(__name__)


def reconcile(campaign: OpenCampaign, *, outcome: Outcome = "lost", dry_run: bool = False) -> Reconciled:
    """Repair what killed processes and jobs left behind in one campaign, then submit what is due.

    Parameters
    ----------
    campaign
        The campaign.
    outcome
        What the ledger says of attempts that ended unheard: ``lost``, or ``stopped`` where the user stopped them.
    dry_run
        Change nothing; what would be changed is returned all the same.
    """
    campaign = campaign.refresh()
    tries = campaign.spec.retries.max_retries
    done = Reconciled(dry_run=dry_run)
    done.unlocked = unlock_stale(campaign.launchpad, campaign.name, dry_run=dry_run)
    end_lost(campaign, outcome, done, dry_run=dry_run)
    free_reservations(campaign, tries, done, dry_run=dry_run)
    done.retried = rerun_fizzled(campaign, tries, dry_run=dry_run)
    done.refreshed = refresh_waiting(campaign.launchpad, campaign.name, dry_run=dry_run)
    done.recorded = record_unrecorded(campaign, dry_run=dry_run)
    if not dry_run:
        advance(campaign)
        for line in done.lines():
            logger.info("campaign %s: %s", campaign.name, line)
    return done
