"""Another model for candidates that still wait; what has been decided stays as it was decided.

One Screen uses one model. A Screen that began with the model before ends with it, and what it leaves waiting is scored
again afterwards.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.states import STAGES

if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)


def rescore_waiting(campaign: Campaign) -> int:
    """Put candidates that wait with a prediction of an earlier model before the next Screen; return how many.

    These are candidates that are held, and those with a prediction and no decision yet, unless a Screen is at them just
    now. Their prediction goes into ``earlier_predictions``, the decision to hold them into ``earlier_decisions``, and
    they are ``dos_done`` without a prediction. Promoted and rejected ones are left alone. Doing it again does nothing.

    Parameters
    ----------
    store
        The campaign's collections.
    name
        The campaign, which has a model.
    """
    campaign = campaign.refresh()
    deciding = {"campaign": campaign.name, "kind": "screen", "state": {"$ne": "done"}}
    query = {
        "campaign": campaign.name,
        "prediction.model": {"$nin": [None, campaign.document["model"]["checksum"]]},
        "prediction.step": {"$nin": campaign.store.steps.distinct("_id", deciding)},
    }
    undecided = campaign.store.candidates.update_many(
        {**query, "state": "dos_done", "decision": None}, [{"$set": _pushed("prediction") | {"prediction": None}}]
    )
    moved = {"stage": STAGES["dos"].name, "state": "dos_done", "time": "$$NOW"}
    held = campaign.store.candidates.update_many(
        {**query, "state": "held"},
        [
            {
                "$set": _pushed("prediction")
                | _pushed("decision")
                | {
                    "prediction": None,
                    "state": "dos_done",
                    "history": {"$concatArrays": [{"$ifNull": ["$history", []]}, [moved]]},
                }
            },
            {"$unset": "decision"},
        ],
    )
    number = undecided.modified_count + held.modified_count
    if number:
        logger.info("campaign %s: %d waiting candidates are scored again by the new model", campaign.name, number)
    return int(number)


def _pushed(field: str) -> dict[str, Any]:
    """Append a field to the list of earlier ones, in an update pipeline."""
    earlier = f"earlier_{field}s"
    return {earlier: {"$concatArrays": [{"$ifNull": [f"${earlier}", []]}, [f"${field}"]]}}


def screen_again(campaign: OpenCampaign, *, after: str) -> None:
    """Have candidates that wait with a prediction of an earlier model scored and decided on by a Screen of their own.

    They must not wait for a batch: the next one may need what the budget does not allow.

    Parameters
    ----------
    campaign
        The campaign.
    after
        The step after which it is done, which names the Screen: one each.
    """
    rescore_waiting(campaign)
    waiting = {
        "campaign": campaign.name,
        "state": "dos_done",
        "prediction": None,
        "earlier_predictions.0": {"$exists": True},
    }
    if campaign.store.candidates.find_one(waiting, ["_id"]) is not None:
        step_id = f"{campaign.name}/screen/after-{after.removeprefix(f'{campaign.name}/').replace('/', '-')}"
        submit_step(campaign, step_id, kind="screen", category="screen")


def with_model_of_step(campaign: OpenCampaign, step_id: str) -> OpenCampaign:
    """Return the campaign with the model that a Screen has begun to predict with; as it is if the Screen begins.

    A Screen that was killed half-way and is run again after a retraining would mix two models otherwise.
    """
    found = campaign.store.candidates.find_one(
        {"campaign": campaign.name, "prediction.step": step_id}, ["prediction.model"]
    )
    begun_with = ((found or {}).get("prediction") or {}).get("model")
    for model in campaign.document.get("models") or []:
        if model["checksum"] == begun_with:
            return replace(campaign, document=campaign.document | {"model": model})
    return campaign
