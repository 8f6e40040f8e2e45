"""When a campaign's model is trained on: after `screening.retrain_every` new relaxations, while a candidate waits."""

from campaign.budget.limits import closed_reason
from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import is_any_in_state
from campaign.store.states import BEFORE_SCREEN, SCREENED, CandidateState, StepState
from campaign.store.steps import Step, StepKind, count_of_kind, find_step
from campaign.store.training_samples import count_to_learn_from

#: States of candidates that another model, or another correction, would still be asked about.
UNDECIDED = (*BEFORE_SCREEN, CandidateState.DOS_DONE, CandidateState.HELD)


def retrain_when_due(campaign: OpenCampaign) -> bool:
    """Submit the next retraining if it is due; return whether one is under way.

    Due is it when as many candidates as the campaign file says have been relaxed, and have got their RS-DOS, since the
    samples of the last one were taken (whether a model came of it or not). It is not when no candidate waits for a
    decision, since nobody would ask the new model, nor after the budget's end.
    """
    every, name = campaign.spec.screening.retrain_every, campaign.name
    if every is None:
        return False
    number = count_of_kind(campaign, StepKind.RETRAIN)
    learnt_from = 0
    if number:
        # state and count in one document: both are of the same moment
        last = find_step(campaign, Step.retrain(name, number - 1).id)
        if last is None or last["state"] != StepState.DONE:
            return True
        learnt_from = last["n_relaxed"]
    if count_to_learn_from(campaign) - learnt_from < every or closed_reason(campaign) is not None:
        return False
    if not is_any_in_state(campaign, *UNDECIDED, role=SCREENED):
        return False
    submit_step(campaign, Step.retrain(name, number))
    return True
