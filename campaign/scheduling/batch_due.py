"""When a batch of candidates is due for its Screen."""

from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import count_before_screen_by_batch, is_any_in_state
from campaign.store.prefilter.prefiltered import rejected_by_batch
from campaign.store.states import BEFORE_SCREEN, SCREENED, CandidateState
from campaign.store.steps import Step, StepKind, batches_without_step, count_sweeps, is_step_open


def screen_when_due(campaign: OpenCampaign, batch: int | None) -> None:
    """Submit the Screen of each batch of which enough candidates have their IS-DOS or have failed, once.

    What the prefilter rejects never comes to a Screen: enough is a share of the others.

    Parameters
    ----------
    campaign
        The campaign; ``screening.min_completed_fraction`` says how many are enough.
    batch
        Look only at this batch; None: at all.
    """
    name, sizes = campaign.name, campaign.document["batch_sizes"]
    open_batches = batches_without_step(campaign, Step.screen, range(len(sizes)) if batch is None else [batch])
    waiting = count_before_screen_by_batch(campaign, open_batches)
    # after those that wait: one that is rejected in between counts twice, so that no Screen comes too early
    rejected = rejected_by_batch(campaign, open_batches)
    for number in open_batches:
        left = sizes[number] - rejected.get(number, 0)
        if left and left - waiting.get(number, 0) >= campaign.spec.screening.enough_of(left):
            submit_step(campaign, Step.screen(name, number))
    _sweep_when_due(campaign)


def _sweep_when_due(campaign: OpenCampaign) -> None:
    """A last Screen for candidates that came after their batch was closed."""
    if is_any_in_state(campaign, *BEFORE_SCREEN, role=SCREENED):
        return
    if is_any_in_state(campaign, CandidateState.DOS_DONE) and not is_step_open(campaign, StepKind.SCREEN):
        submit_step(campaign, Step.sweep(campaign.name, count_sweeps(campaign)))
