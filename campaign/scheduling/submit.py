"""Candidates to workflows, in bulk, each exactly once."""

from __future__ import annotations

import logging
from itertools import count
from typing import TYPE_CHECKING, Any

from pymongo import UpdateOne

from campaign.budget.hold_queue import dos_room
from campaign.budget.limits import is_limited
from campaign.scheduling.workflows import stage_workflow, step_workflow
from campaign.store.campaigns import OpenCampaign
from campaign.store.collections import history_entry, now
from campaign.store.fireworks import insert_workflows, next_fw_ids
from campaign.store.held import lock_budget
from campaign.store.states import STAGES, Stage

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.collection import Collection

logger = logging.getLogger(__name__)

#: Candidates in one transaction; MongoDB ends transactions after 60 s.
_CHUNK = 500


def submit_ready(campaign: OpenCampaign) -> int:
    """Submit every calculation that may start; return how many were submitted.

    Safe to call at any time and from several places at once: a document and its workflow are written in one
    transaction, which only one of them wins.
    """
    submitted = 0
    for stage in STAGES.values():
        for collection in (campaign.store.references, campaign.store.candidates):
            submitted += _submit_stage(campaign, stage, collection)
    return submitted


def _submit_stage(campaign: OpenCampaign, stage: Stage, collection: Collection[dict[str, Any]]) -> int:
    submitted = 0
    query = {"campaign": campaign.name, **stage.ready}
    # the budget has a say in the IS-DOS of candidates only; relaxations were promised when they were decided on
    budgeted = campaign if stage.name == "dos" and collection is campaign.store.candidates else None
    limited = budgeted is not None and is_limited(budgeted)
    while True:
        ids = [found["_id"] for found in collection.find(query, ["_id"]).limit(_CHUNK)]
        if not ids:
            return submitted
        fw_ids = next_fw_ids(campaign.launchpad, 2 * len(ids))
        first = next(fw_ids)

        def submit(
            session: ClientSession, ids: list[str] = ids, first: int = first
        ) -> int:  # run again by pymongo after a write conflict: everything it needs is read inside
            room = None
            if limited and budgeted is not None:
                lock_budget(campaign, session)
                room = dos_room(budgeted, session=session)
            numbers = count(first)
            fields = ["campaign", "formula", "role", "state", stage.facts]
            documents = list(collection.find({"_id": {"$in": ids}, **query}, fields, session=session))[:room]
            if not documents:
                return 0
            workflows = [stage_workflow(document, stage, fw_ids=numbers) for document in documents]
            updates = [
                _claim(document, stage, fw_ids=workflow.fw_ids)
                for document, workflow in zip(documents, workflows, strict=True)
            ]
            collection.bulk_write(updates, ordered=False, session=session)
            insert_workflows(campaign.launchpad, workflows, session=session)
            return len(documents)

        done = campaign.store.in_transaction(submit)
        if limited and not done:
            return submitted  # what is left waits for the budget
        submitted += done


def _claim(document: dict[str, Any], stage: Stage, *, fw_ids: list[int]) -> UpdateOne:
    earlier = document.get(stage.facts) or {}
    return UpdateOne(
        {"_id": document["_id"], **stage.ready},
        {
            "$set": {
                stage.state_field: stage.running,
                f"{stage.facts}.fw_id": fw_ids[0],
                f"{stage.facts}.record_fw_id": fw_ids[1],
                f"{stage.facts}.attempt": int(earlier.get("attempt") or 0),
                # where a machine failure sends it back to
                f"{stage.facts}.from_state": document["state"] if stage.state_field == "state" else "new",
                f"{stage.facts}.submitted": now(),
            },
            "$push": {"history": history_entry(stage, stage.running)},
        },
    )


def submit_step(campaign: OpenCampaign, step_id: str, *, kind: str, category: str) -> bool:
    """Submit one step of the campaign, once for its id; False if it was submitted before."""
    if campaign.store.steps.find_one({"_id": step_id}, ["_id"]) is not None:
        return False
    fw_ids = next_fw_ids(campaign.launchpad, 1)
    first = next(fw_ids)

    def submit(session: ClientSession) -> bool:
        if not campaign.store.open_step(step_id, campaign=campaign.name, kind=kind, fw_id=first, session=session):
            return False
        workflow = step_workflow(campaign.name, step_id, kind=kind, category=category, fw_ids=count(first))
        insert_workflows(campaign.launchpad, [workflow], session=session)
        return True

    added = campaign.store.in_transaction(submit)
    if added:
        logger.info("campaign %s: submitted %s", campaign.name, step_id)
    return added
