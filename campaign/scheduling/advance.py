"""Submit the work that is due in a campaign. Every recording firework ends with this, so no daemon is needed.

Each step has a unique key and each submission is one transaction, so that nothing is submitted twice, whenever and from
wherever this is called.
"""

from campaign.attempts.blocked import note_blocked
from campaign.budget.hold_queue import hold_waiting, release_held
from campaign.budget.persons import settle_decided
from campaign.references.reference_sets import freeze_reference_set
from campaign.scheduling.batch_due import screen_when_due
from campaign.scheduling.evaluate import evaluate_relaxed
from campaign.scheduling.learning_due import recalibrate_when_due, retrain_when_due
from campaign.scheduling.prefilter_due import prefilter_when_due
from campaign.scheduling.submit import submit_ready, submit_step
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import is_any_open
from campaign.store.held import may_be_decided_again
from campaign.store.states import CampaignState
from campaign.store.steps import Step
from campaign.store.training_samples import is_bootstrap_open


def advance(campaign: OpenCampaign, *, batch: int | None = None) -> None:
    """Submit all work that is due.

    Parameters
    ----------
    batch
        Only check this batch for a Screen, because the caller knows that no other one changed.
    """
    campaign = campaign.refresh()
    if campaign.document["state"] != CampaignState.RUNNING:
        return  # finished, or its documents are still being written
    if campaign.is_halted:
        return  # until resumed (`campaign.scheduling.stop`)
    settle_decided(campaign)
    submit_ready(campaign)
    reference_set = freeze_reference_set(campaign)
    if reference_set is None:
        note_blocked(campaign)
        return
    evaluate_relaxed(campaign, reference_set)
    prefilter_when_due(campaign)
    # reused results count as relaxed at no cost, so that more may be released
    while release_held(campaign):
        submit_ready(campaign)
        if not evaluate_relaxed(campaign, reference_set):
            break
    hold_waiting(campaign)
    if campaign.document["n_screened"]:
        if campaign.spec.scorer.needs_model and campaign.document.get("model") is None:
            # once the bootstrap sample and the references are relaxed and have their RS-DOS, or have failed
            if not is_bootstrap_open(campaign):
                submit_step(campaign, Step.train(campaign.name))
            return
        screen_when_due(campaign, batch)
    finished = not is_any_open(campaign)
    # checked afterwards: if the last result makes one of these due, the report must wait. A new model comes first,
    # since it invalidates corrections
    learning = retrain_when_due(campaign) or recalibrate_when_due(campaign)
    report = Step.report(campaign.name)
    # whatever the settings are now: a fit in progress was submitted with earlier ones
    if finished and not learning and not may_be_decided_again(campaign, report.id):
        submit_step(campaign, report)
