"""When a campaign learns from new relaxations while candidates wait: by fine-tuning or recalibration."""

from collections.abc import Callable

from campaign.budget.limits import closed_reason
from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.candidates import is_any_in_state
from campaign.store.recalibration.fits import count_relaxed
from campaign.store.states import BEFORE_SCREEN, SCREENED, CandidateState, StepState
from campaign.store.steps import Step, count_of_kind, find_step
from campaign.store.training_samples import count_to_learn_from

#: States of candidates that a new model or correction would still affect.
_UNDECIDED = (*BEFORE_SCREEN, CandidateState.DOS_DONE, CandidateState.HELD)


def retrain_when_due(campaign: OpenCampaign) -> bool:
    """Submit the next retraining if it is due; return whether one is in progress.

    It is due when `screening.retrain_every` candidates have been relaxed and have their RS-DOS since the samples of the
    last one were taken (whether or not that gave a model), but not if no candidate waits for a decision, or the budget
    has
    ended.
    """
    return _learn_when_due(campaign, Step.retrain, campaign.spec.screening.retrain_every, count_to_learn_from)


def recalibrate_when_due(campaign: OpenCampaign) -> bool:
    """Submit the next recalibration if it is due; return whether one is in progress.

    It is due when `screening.recalibrate_every` screened candidates have been relaxed since the last one (whether or
    not
    that changed anything), but not if no candidate waits for a decision, or the budget has ended.
    """
    return _learn_when_due(campaign, Step.recalibrate, campaign.spec.screening.recalibrate_every, count_relaxed)


def _learn_when_due(
    campaign: OpenCampaign, step: Callable[[str, int], Step], every: int | None, count: Callable[[Campaign], int]
) -> bool:
    """Submit the next step of a kind if the data have grown sufficiently since the last one."""
    if every is None:
        return False
    number = count_of_kind(campaign, step(campaign.name, 0).kind)
    learnt_from = 0
    if number:
        # state and count are in one document, so both are of the same moment
        last = find_step(campaign, step(campaign.name, number - 1).id)
        if last is None or last["state"] != StepState.DONE:
            return True
        learnt_from = last["n_relaxed"]
    if count(campaign) - learnt_from < every or closed_reason(campaign) is not None:
        return False
    if not is_any_in_state(campaign, *_UNDECIDED, role=SCREENED):
        return False
    submit_step(campaign, step(campaign.name, number))
    return True
