"""Apply a new model or correction to waiting candidates; existing decisions are kept.

A Screen uses one model and one correction. A Screen that started with the previous ones finishes with them; candidates
that it leaves waiting go to a later Screen.
"""

import logging
from dataclasses import replace

from pymongo.client_session import ClientSession

from campaign.scheduling.submit import submit_step
from campaign.steps.correction import current_correction
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.held import lock_budget, reopen
from campaign.store.predictions import discard_predictions, is_any_discarded, model_of_predictions
from campaign.store.steps import Step, open_screens

logger = logging.getLogger(__name__)


def rescore_waiting(campaign: Campaign) -> int:
    """Put candidates that wait with a prediction of an earlier model or fit before the next Screen; return their
    number.

    These are held candidates, and those with a prediction but no decision, unless a Screen is working on them. Their
    prediction moves to ``previous_predictions``, the decision to hold them to ``previous_decisions``, and their state
    to
    ``dos_done``. Promoted and rejected candidates are left alone. Repeating it does nothing.
    """
    campaign = campaign.refresh()
    # before the fits are read: a Screen that starts afterwards sees them too
    busy = open_screens(campaign)
    correction = current_correction(campaign)
    number = discard_predictions(
        campaign,
        current_model=campaign.model_checksum,
        current_fit=None if correction is None else correction.step,
        busy_steps=busy,
    )
    if number:
        logger.info("campaign %s: waiting candidates that are decided on again: %d", campaign.name, number)
    return number


def screen_again(campaign: OpenCampaign, *, after: str) -> None:
    """Submit a separate Screen for candidates that wait with a prediction of an earlier model or fit.

    They must not wait for a batch: the next one may exceed the budget.

    Parameters
    ----------
    after
        Id of the step that it follows; there is one such Screen per step.
    """
    rescore_waiting(campaign)
    if is_any_discarded(campaign):
        # the campaign may have finished with only held candidates left: those that the Screen promotes must be relaxed
        campaign.store.in_transaction(lambda session: _let_run(campaign, session))
        submit_step(campaign, Step.screen_after(campaign.name, after))


def _let_run(campaign: Campaign, session: ClientSession) -> None:
    lock_budget(campaign, session)  # otherwise a Finish step closing the campaign at this moment would be missed
    reopen(campaign, session=session)


def with_model_of_step(campaign: OpenCampaign, step_id: str) -> OpenCampaign:
    """Return the campaign with the model that a Screen started with; unchanged if the Screen is just starting.

    A Screen that is killed and run again after a retraining would otherwise mix two models.
    """
    begun_with = model_of_predictions(campaign, step_id)
    for model in campaign.document.get("models") or []:
        if model["checksum"] == begun_with:
            return replace(campaign, document=campaign.document | {"model": model})
    return campaign
