"""What is due in a campaign, submitted. Every recording firework ends here, so no daemon is needed.

Each step has a unique key and each submission is one transaction: calling this at any time, from any number of
places, submits nothing twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from campaign.budget.hold_queue import hold_waiting, release_held
from campaign.references.reference_sets import freeze_reference_set
from campaign.scheduling.evaluate import evaluate_relaxed
from campaign.scheduling.retrain_due import retrain_when_due
from campaign.scheduling.submit import submit_ready, submit_step
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.states import BEFORE_SCREEN, OPEN_RS_DOS, OPEN_STATES, SCREENED

if TYPE_CHECKING:
    pass


def advance(campaign: OpenCampaign, *, batch: int | None = None) -> None:
    """Submit what is due.

    Parameters
    ----------
    campaign
        The campaign.
    batch
        Look only at this batch of candidates for a Screen: the caller knows that no other one changed.
    """
    campaign = campaign.refresh()
    if campaign.document["state"] != "running":
        return  # finished, or its documents are still being written
    submit_ready(campaign)
    reference_set = freeze_reference_set(campaign)
    if reference_set is None:
        return
    evaluate_relaxed(campaign, reference_set)
    if release_held(campaign):
        submit_ready(campaign)
    hold_waiting(campaign)
    if campaign.document["n_screened"]:
        if campaign.spec.scorer.needs_model and campaign.document.get("model") is None:
            _train_when_due(campaign)
            return
        _screen_when_due(campaign, batch)
    finished = not _is_anything_open(campaign)
    # asked after that: if the last result makes a retraining due, the report must wait for it
    retraining = retrain_when_due(campaign)
    if finished and not retraining:
        submit_step(campaign, f"{campaign.name}/report", kind="report", category="screen")


def _is_anything_open(campaign: Campaign) -> bool:
    # candidates that a model learns from end with their RS-DOS; two queries, so that each is answered from its index
    open_queries = (
        {"state": {"$in": list(OPEN_STATES)}},
        {"state": "relaxed", "rs_dos.state": {"$in": list(OPEN_RS_DOS)}},
    )
    return any(
        campaign.store.candidates.find_one({"campaign": campaign.name, **query}, ["_id"]) is not None
        for query in open_queries
    )


def _train_when_due(campaign: OpenCampaign) -> None:
    """Train once the bootstrap sample and the references are relaxed and have their RS-DOS, or have failed."""
    name = campaign.name
    open_relaxation = {
        "campaign": name,
        "role": {"$ne": SCREENED},
        "state": {"$nin": ["relaxed", "relax_failed"]},
    }
    open_dos = {"campaign": name, "state": "relaxed", "rs_dos.state": {"$in": list(OPEN_RS_DOS)}}
    for collection in (campaign.store.references, campaign.store.candidates):
        for query in (open_relaxation, open_dos):
            if collection.find_one(query, ["_id"]) is not None:
                return
    submit_step(campaign, f"{name}/train", kind="train", category="train")


def _screen_when_due(campaign: OpenCampaign, batch: int | None) -> None:
    name, sizes = campaign.name, campaign.document["batch_sizes"]
    fraction = campaign.spec.screening.min_completed_fraction
    open_batches = _batches_without_screen(campaign, range(len(sizes)) if batch is None else [batch])
    waiting = _waiting_by_batch(campaign, open_batches)
    for number in open_batches:
        if sizes[number] - waiting.get(number, 0) >= math.ceil(fraction * sizes[number]):
            submit_step(campaign, f"{name}/screen/{number}", kind="screen", category="screen")
    _sweep_when_due(campaign)


def _batches_without_screen(campaign: Campaign, batches: Sequence[int]) -> list[int]:
    """Those of the batches whose Screen was not submitted yet: a large campaign has hundreds, most of them closed."""
    ids = {f"{campaign.name}/screen/{number}": number for number in batches}
    submitted = {found["_id"] for found in campaign.store.steps.find({"_id": {"$in": list(ids)}}, ["_id"])}
    return [number for step_id, number in ids.items() if step_id not in submitted]


def _waiting_by_batch(campaign: Campaign, batches: Sequence[int]) -> dict[int, int]:
    """How many candidates of each batch still have to come to their Screen."""
    if not batches:
        return {}
    before: dict[str, Any] = {"campaign": campaign.name, "state": {"$in": list(BEFORE_SCREEN)}, "role": SCREENED}
    # every one of hundreds by name would make thousands of ranges of the index
    before["batch"] = batches[0] if len(batches) == 1 else {"$gte": min(batches), "$lte": max(batches)}
    groups = campaign.store.candidates.aggregate([{"$match": before}, {"$group": {"_id": "$batch", "n": {"$sum": 1}}}])
    return {group["_id"]: group["n"] for group in groups}


def _sweep_when_due(campaign: OpenCampaign) -> None:
    """A last Screen for candidates that came after their batch was closed."""
    pending = {"campaign": campaign.name, "role": SCREENED, "state": {"$in": list(BEFORE_SCREEN)}}
    if campaign.store.candidates.find_one(pending, ["_id"]) is not None:
        return
    if campaign.store.candidates.find_one({"campaign": campaign.name, "state": "dos_done"}, ["_id"]) is None:
        return
    if (
        campaign.store.steps.find_one({"campaign": campaign.name, "kind": "screen", "state": "submitted"}, ["_id"])
        is not None
    ):
        return
    swept = campaign.store.steps.count_documents({"campaign": campaign.name, "_id": {"$regex": "/sweep-"}})
    submit_step(campaign, f"{campaign.name}/screen/sweep-{swept}", kind="screen", category="screen")
