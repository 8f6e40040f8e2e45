"""FireWorks, this machine's processes and the store made to agree. Idempotent, and safe from two places at once.

A process that was killed says nothing: FireWorks shows its firework as RUNNING for ever. What is repaired here:

* a firework RUNNING in a process of this host that is gone: it runs again, `max_retries` times (its attempt goes into
  the ledger as lost);
* a firework that was being checked out when its process was killed: FireWorks left it RESERVED, without a launch;
* a firework that records and has fizzled, or a step that has: it runs again, `max_retries` times;
* a workflow whose second firework still waits although the first has ended: FireWorks looks at it again;
* a workflow left locked by a process that was killed while it wrote: unlocked, once the lock is seen to be stale.

An answer that is not there (another host) means unknown, never finished.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from campaign.decisions.ledger import Outcome, close_open_attempt
from campaign.execution.advance import advance
from campaign.execution.processes import fizzled_query, is_running
from campaign.loading import load_campaign
from campaign.process_identity import is_alive
from campaign.stages import STAGES
from campaign.store import CampaignStore
from launchers.worker import process_of

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

_CHUNK = 5000
#: Taking a firework lasts some 10 ms; one that is half taken for so long was left by a process that was killed.
_STALE_CHECKOUT = timedelta(seconds=60)
#: A FireWorks lock lives for milliseconds; one that stays this long belongs to nobody.
_STALE_LOCK_S = 3.0


@dataclass
class Reconciled:
    """What was repaired: firework ids by kind, and the workflows that were unlocked."""

    lost: list[int] = field(default_factory=list)
    half_checked_out: list[int] = field(default_factory=list)
    retried: list[int] = field(default_factory=list)
    refreshed: list[int] = field(default_factory=list)
    unlocked: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything was repaired."""
        return any(asdict(self).values())

    def lines(self) -> Iterator[str]:
        """Say what was done, a line for each kind."""
        kinds = [
            (self.lost, "ran in a process that is gone; run again while tries are left"),
            (self.half_checked_out, "was taken by a process that is gone before it began, and is ready again"),
            (self.retried, "had fizzled and will run again"),
            (self.refreshed, "waited for a firework that had ended"),
            (self.unlocked, "were left locked"),
        ]
        for ids, what in kinds:
            if ids:
                yield f"{len(ids)} firework(s) {what}: {', '.join(map(str, ids))}"


def reconcile(store: CampaignStore, launchpad: LaunchPad, name: str, *, outcome: Outcome = "lost") -> Reconciled:
    """Repair what killed processes left behind in one campaign, then submit what is due.

    Parameters
    ----------
    store, launchpad
        The campaign's database.
    name
        The campaign.
    outcome
        What the ledger says of attempts that ended unheard: ``lost``, or ``stopped`` where the user stopped them.
    """
    campaign = load_campaign(store, name)
    done = Reconciled()
    done.unlocked = _unlock_stale(launchpad, name)
    done.lost = _end_lost(store, launchpad, name, outcome, campaign.spec.retries.max_retries)
    done.half_checked_out = _free_half_checked_out(launchpad, name)
    done.retried = _rerun_fizzled(store, launchpad, name, campaign.spec.retries.max_retries)
    done.refreshed = _refresh_waiting(launchpad, name)
    advance(store, launchpad, name)
    for line in done.lines():
        logger.info("campaign %s: %s", name, line)
    return done


def _unlock_stale(launchpad: LaunchPad, name: str) -> list[int]:
    query = {"metadata.campaign": name, "locked": {"$exists": True}}
    before = {found["_id"]: found for found in launchpad.workflows.find(query, ["nodes", "updated_on"])}
    if not before:
        return []
    time.sleep(_STALE_LOCK_S)
    unlocked: list[int] = []
    for workflow_id, found in before.items():
        # still locked and not written to since: nobody is at work on it
        unchanged = {"_id": workflow_id, "locked": {"$exists": True}, "updated_on": found["updated_on"]}
        if launchpad.workflows.find_one_and_update(unchanged, {"$unset": {"locked": True}}) is not None:
            unlocked.append(min(found["nodes"]))
            launchpad._refresh_wf(min(found["nodes"]))  # what `lpad admin refresh` calls
    return unlocked


def _rerun(launchpad: LaunchPad, fw_id: int, *, state: str, launches: Sequence[int]) -> bool:
    """Run a firework again if it still is as it was seen; False if somebody else was faster.

    `LaunchPad.rerun_fw` looks before it takes the workflow's lock: of two callers the second would reset a firework
    that a worker has taken meanwhile.
    """
    from fireworks.core.launchpad import WFLock

    with WFLock(launchpad, fw_id):
        seen = {"fw_id": fw_id, "state": state, "launches": list(launches)}
        if launchpad.fireworks.find_one(seen, ["_id"]) is None:
            return False
        workflow = launchpad.get_wf_by_fw_id_lzyfw(fw_id)
        launchpad._update_wf(workflow, workflow.rerun_fw(fw_id))
        return True


def _fizzle(launchpad: LaunchPad, fw_id: int, *, launches: Sequence[int]) -> bool:
    """End a running firework as fizzled if it still is as it was seen; False if somebody else was faster."""
    from fireworks.core.launchpad import WFLock

    with WFLock(launchpad, fw_id):
        seen = {"fw_id": fw_id, "state": "RUNNING", "launches": list(launches)}
        if launchpad.fireworks.find_one(seen, ["_id"]) is None:
            return False
        ended = launchpad.launches.update_one(
            {"launch_id": launches[-1], "state": "RUNNING"}, {"$set": {"state": "FIZZLED"}}
        )
    launchpad._refresh_wf(fw_id)
    return bool(ended.modified_count)


def _end_lost(store: CampaignStore, launchpad: LaunchPad, name: str, outcome: Outcome, max_retries: int) -> list[int]:
    """Run fireworks of dead processes again; one that loses its process every time is ended as fizzled."""
    lost: list[int] = []
    # the firework that `lpad add` made of the campaign's file carries no campaign_name
    of_campaign = {"$or": [{"spec.campaign_name": name}, {"name": name, "spec.campaign": {"$exists": True}}]}
    query = {"state": "RUNNING", **of_campaign}
    for firework in list(
        launchpad.fireworks.find(query, ["fw_id", "launches", "spec.worker", "spec.stage", "spec.document"])
    ):
        fw_id, launches = firework["fw_id"], firework["launches"]
        if is_running(launchpad, firework) is not False:
            continue
        latest = launchpad.launches.find_one({"launch_id": launches[-1]}, ["state"])
        if latest is not None and latest["state"] != "RUNNING":
            # it had ended, and its process died before the firework was told
            launchpad._refresh_wf(fw_id)
            continue
        tries = store.attempts.count_documents({"fw_id": fw_id, "outcome": "lost"})
        end = _rerun(launchpad, fw_id, state="RUNNING", launches=launches) if tries < max_retries else None
        if end or (end is None and _fizzle(launchpad, fw_id, launches=launches)):
            # only whoever changed it writes the ledger: others who look at the same time must not count it twice
            close_open_attempt(store, firework, campaign=name, outcome=outcome)
            lost.append(fw_id)
    return lost


def _free_half_checked_out(launchpad: LaunchPad, name: str) -> list[int]:
    """Make fireworks ready that were left RESERVED with no launch; a queue's reservation has one."""
    freed: list[int] = []
    query = {"spec.campaign_name": name, "state": "RESERVED", "launches": []}
    for firework in list(launchpad.fireworks.find(query, ["fw_id", "updated_on"])):
        taken = firework["updated_on"].replace(tzinfo=UTC)
        # the launch is written before the firework knows of it: the process may be known already
        launch = launchpad.launches.find_one(
            {"fw_id": firework["fw_id"], "time_start": {"$gte": taken.isoformat()}}, ["fworker"]
        )
        process = process_of(launch["fworker"]["name"]) if launch is not None else None
        gone = process is not None and is_alive(process) is False
        stale = gone or datetime.now(UTC) - taken > _STALE_CHECKOUT
        if stale and _rerun(launchpad, firework["fw_id"], state="RESERVED", launches=[]):
            freed.append(firework["fw_id"])
    return freed


def _rerun_fizzled(store: CampaignStore, launchpad: LaunchPad, name: str, max_retries: int) -> list[int]:
    """Run recording fireworks and steps again; a calculation that fizzled is its recorder's business."""
    retried: list[int] = []
    for firework in list(launchpad.fireworks.find(fizzled_query(name), ["fw_id", "launches", "archived_launches"])):
        failed = {"fw_id": firework["fw_id"], "outcome": {"$in": ["science", "machine", "lost"]}}
        # a step keeps a ledger; what merely records has its launches alone
        tries = store.attempts.count_documents(failed) or len(firework.get("archived_launches") or []) + 1
        if tries <= max_retries and _rerun(
            launchpad, firework["fw_id"], state="FIZZLED", launches=firework["launches"]
        ):
            retried.append(firework["fw_id"])
    return retried


def _refresh_waiting(launchpad: LaunchPad, name: str) -> list[int]:
    """Let FireWorks look again at recording fireworks that wait although their calculation has ended."""
    waiting = launchpad.fireworks.distinct("fw_id", {"spec.campaign_name": name, "state": "WAITING"})
    refreshed: list[int] = []
    for start in range(0, len(waiting), _CHUNK):
        # a workflow's calculation has the id before that of the firework that records it (stage_workflow)
        parents = [fw_id - 1 for fw_id in waiting[start : start + _CHUNK]]
        ended = {"fw_id": {"$in": parents}, "state": {"$in": ["COMPLETED", "FIZZLED"]}}
        for parent in list(launchpad.fireworks.find(ended, ["fw_id"])):
            launchpad._refresh_wf(parent["fw_id"])  # what `lpad admin refresh` calls
            refreshed.append(parent["fw_id"] + 1)
    return refreshed


def retry_failed(store: CampaignStore, launchpad: LaunchPad, name: str) -> int:
    """Send every candidate and reference that failed for good back for another try; return how many."""
    retried = 0
    for collection in (store.references, store.candidates):
        for stage in STAGES.values():
            query = {"campaign": name, stage.state_field: stage.failed}
            for document in list(collection.find(query, [stage.facts])):
                facts = document[stage.facts]
                retried += store.move(
                    document["_id"],
                    stage,
                    expected=stage.failed,
                    to=facts["from_state"],
                    changes={f"{stage.facts}.attempt": facts["attempt"] + 1, "failure": None},
                )
    if retried:
        # a campaign that had come to its report goes on, and comes to it again
        store.steps.delete_one({"_id": f"{name}/report"})
        store.campaigns.update_one({"_id": name}, {"$set": {"state": "running"}, "$unset": {"problem": ""}})
    advance(store, launchpad, name)
    return retried
