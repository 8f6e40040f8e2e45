"""Another model for candidates that still wait; what has been decided stays as it was decided.

One Screen uses one model. A Screen that began with the model before ends with it, and what it leaves waiting is scored
again afterwards.
"""

import logging
from dataclasses import replace

from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.predictions import discard_predictions, is_any_discarded, model_of_predictions
from campaign.store.steps import Step, open_screens

logger = logging.getLogger(__name__)


def rescore_waiting(campaign: Campaign) -> int:
    """Put candidates that wait with a prediction of an earlier model before the next Screen; return how many.

    These are candidates that are held, and those with a prediction and no decision yet, unless a Screen is at them just
    now. Their prediction goes into ``previous_predictions``, the decision to hold them into ``previous_decisions``, and
    they are ``dos_done`` without a prediction. Promoted and rejected ones are left alone. Doing it again does nothing.
    """
    campaign = campaign.refresh()
    model = campaign.model_checksum
    if model is None:
        return 0
    number = discard_predictions(campaign, current_model=model, busy_steps=open_screens(campaign))
    if number:
        logger.info("campaign %s: %d waiting candidates are scored again by the new model", campaign.name, number)
    return number


def screen_again(campaign: OpenCampaign, *, after: str) -> None:
    """Have candidates that wait with a prediction of an earlier model scored and decided on by a Screen of their own.

    They must not wait for a batch: the next one may need what the budget does not allow.

    Parameters
    ----------
    after
        Id of the step that it follows; one Screen for each.
    """
    rescore_waiting(campaign)
    if is_any_discarded(campaign):
        submit_step(campaign, Step.screen_after(campaign.name, after))


def with_model_of_step(campaign: OpenCampaign, step_id: str) -> OpenCampaign:
    """Return the campaign with the model that a Screen has begun to predict with; as it is if the Screen begins.

    A Screen that was killed half-way and is run again after a retraining would mix two models otherwise.
    """
    begun_with = model_of_predictions(campaign, step_id)
    for model in campaign.document.get("models") or []:
        if model["checksum"] == begun_with:
            return replace(campaign, document=campaign.document | {"model": model})
    return campaign
