"""Submit candidates as workflows, in bulk, each exactly once."""

import logging
from itertools import count

from pymongo.client_session import ClientSession

from campaign.attempts.outputs import first_tries
from campaign.budget.hold_queue import dos_room
from campaign.budget.limits import is_limited
from campaign.scheduling.reuse import take_over
from campaign.scheduling.workflows import stage_workflow, step_workflow
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import claim, read_ready, ready_ids
from campaign.store.fireworks import insert_workflows, next_fw_ids
from campaign.store.held import lock_budget
from campaign.store.states import STAGES, Stage
from campaign.store.steps import Step, is_submitted, open_step, replace_firework

logger = logging.getLogger(__name__)

#: Candidates per transaction; MongoDB aborts transactions after 60 s.
_CHUNK = 500


def submit_ready(campaign: OpenCampaign) -> int:
    """Submit every calculation that may start; return their number.

    Safe to call at any time and from several places at the same time: a document and its workflow are written in one
    transaction, which succeeds for only one of them.
    """
    submitted = 0
    for stage in STAGES.values():
        for references in (True, False):
            submitted += _submit_stage(campaign, stage, references=references)
    return submitted


def _submit_stage(campaign: OpenCampaign, stage: Stage, *, references: bool) -> int:
    submitted = 0
    # the budget only limits candidates' IS-DOS here; relaxations were reserved when they were decided on
    limited = stage.name == "dos" and not references and is_limited(campaign)
    while True:
        ids = ready_ids(campaign, stage, references=references, limit=_CHUNK)
        if not ids:
            return submitted
        # equal calculations of other campaigns are reused; those kept waiting by a spent budget were checked when the
        # campaign was started (`take_over_all`)
        if (not limited or dos_room(campaign) != 0) and take_over(campaign, stage, ids, references=references):
            continue
        fw_ids = next_fw_ids(campaign.launchpad, 2 * len(ids))
        first = next(fw_ids)

        def submit(
            session: ClientSession, ids: list[str] = ids, first: int = first
        ) -> int:  # run again by pymongo after a write conflict: everything it needs is read inside
            room = None
            if limited:
                lock_budget(campaign, session)
                room = dos_room(campaign, session=session)
            numbers = count(first)
            documents = read_ready(campaign, stage, ids, references=references, session=session)[:room]
            if not documents:
                return 0
            worker = campaign.document.get("worker")
            workflows = [stage_workflow(document, stage, fw_ids=numbers, worker=worker) for document in documents]
            claimed = [(document, workflow.fw_ids) for document, workflow in zip(documents, workflows, strict=True)]
            begun_at = first_tries(campaign.store, documents, stage)
            claim(campaign, stage, claimed, first_tries=begun_at, references=references, session=session)
            insert_workflows(campaign.launchpad, workflows, session=session)
            return len(documents)

        done = campaign.store.in_transaction(submit)
        if limited and not done:
            return submitted  # the rest waits for the budget
        submitted += done


def submit_step(campaign: OpenCampaign, step: Step) -> bool:
    """Submit one step of the campaign, once per id; return False if it was submitted before."""
    if is_submitted(campaign, step):
        return False
    fw_ids = next_fw_ids(campaign.launchpad, 1)
    first = next(fw_ids)

    def submit(session: ClientSession) -> bool:
        if not open_step(campaign, step, fw_id=first, session=session):
            return False
        _insert_step(campaign, step, first, session)
        return True

    added = campaign.store.in_transaction(submit)
    if added:
        logger.info("campaign %s: submitted %s", campaign.name, step.id)
    return added


def submit_step_again(campaign: OpenCampaign, step: Step, *, fw_id: int) -> bool:
    """Give a step whose firework will not run a new one; return False if `fw_id` is no longer its firework."""
    first = next(next_fw_ids(campaign.launchpad, 1))

    def submit(session: ClientSession) -> bool:
        if not replace_firework(campaign, step, old=fw_id, new=first, session=session):
            return False
        _insert_step(campaign, step, first, session)
        return True

    return campaign.store.in_transaction(submit)


def _insert_step(campaign: OpenCampaign, step: Step, fw_id: int, session: ClientSession) -> None:
    worker, of_what = campaign.document.get("worker"), {"kind": step.kind, "category": step.category}
    workflow = step_workflow(campaign.name, step.id, **of_what, fw_ids=count(fw_id), worker=worker)
    insert_workflows(campaign.launchpad, [workflow], session=session)
