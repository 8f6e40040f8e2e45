"""When predictions are corrected anew: after `screening.recalibrate_every` new relaxations, while a candidate waits."""

from campaign.budget.limits import closed_reason
from campaign.scheduling.retrain_due import UNDECIDED
from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import is_any_in_state
from campaign.store.recalibration.fits import count_relaxed
from campaign.store.states import SCREENED, StepState
from campaign.store.steps import Step, StepKind, count_of_kind, find_step


def recalibrate_when_due(campaign: OpenCampaign) -> bool:
    """Submit the next recalibration if it is due; return whether one is under way.

    Due is it when as many screened candidates as the campaign file says have been relaxed since the last one looked
    (whether it has changed anything or not). It is not when no candidate waits for a decision, nor after the budget's
    end.
    """
    every, name = campaign.spec.screening.recalibrate_every, campaign.name
    if every is None:
        return False
    number, learnt_from = count_of_kind(campaign, StepKind.RECALIBRATE), 0
    if number:
        # state and count in one document: both are of the same moment
        last = find_step(campaign, Step.recalibrate(name, number - 1).id)
        if last is None or last["state"] != StepState.DONE:
            return True
        learnt_from = last["n_relaxed"]
    if count_relaxed(campaign) - learnt_from < every or closed_reason(campaign) is not None:
        return False
    if not is_any_in_state(campaign, *UNDECIDED, role=SCREENED):
        return False
    submit_step(campaign, Step.recalibrate(name, number))
    return True
