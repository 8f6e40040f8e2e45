"""What is due in a campaign, submitted. Every recording firework ends here, so no daemon is needed.

Each step has a unique key and each submission is one transaction: calling this at any time, from any number of
places, submits nothing twice.
"""

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
    """Submit what is due.

    Parameters
    ----------
    batch
        Look only at this batch of candidates for a Screen: the caller knows that no other one changed.
    """
    campaign = campaign.refresh()
    if campaign.document["state"] != CampaignState.RUNNING:
        return  # finished, or its documents are still being written
    if campaign.is_halted:
        return  # until it is resumed (`campaign.scheduling.stop`)
    settle_decided(campaign)
    submit_ready(campaign)
    reference_set = freeze_reference_set(campaign)
    if reference_set is None:
        return
    evaluate_relaxed(campaign, reference_set)
    prefilter_when_due(campaign)
    # results reused from another campaign count as relaxed at no cost, so that more may be released
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
    # asked after that: if the last result makes one of them due, the report must wait for it. A new model comes first:
    # it takes the corrections of the one before away
    learning = retrain_when_due(campaign) or recalibrate_when_due(campaign)
    report = Step.report(campaign.name)
    # whatever the settings are by now: a fit that is under way was submitted with those before
    if finished and not learning and not may_be_decided_again(campaign, report.id):
        submit_step(campaign, report)
