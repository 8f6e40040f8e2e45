"""When a batch of candidates is due for its Screen."""

from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import count_before_screen_by_batch, is_any_in_state
from campaign.store.prefilter.prefiltered import rejected_by_batch
from campaign.store.states import BEFORE_SCREEN, SCREENED, CandidateState
from campaign.store.steps import Step, StepKind, batches_without_step, count_sweeps, is_step_open


def screen_when_due(campaign: OpenCampaign, batch: int | None) -> None:
    """Submit, once, the Screen of each batch in which enough candidates have their IS-DOS or have failed.

    Candidates rejected by the prefilter never reach a Screen, so enough is a fraction of the others.

    Parameters
    ----------
    campaign
        The campaign; ``screening.min_completed_fraction`` determines how many are enough.
    batch
        Only check this batch. If None, all.
    """
    name, sizes = campaign.name, campaign.document["batch_sizes"]
    open_batches = batches_without_step(campaign, Step.screen, range(len(sizes)) if batch is None else [batch])
    waiting = count_before_screen_by_batch(campaign, open_batches)
    # counted after the waiting ones, so that one rejected in between counts twice and no Screen comes too early
    rejected = rejected_by_batch(campaign, open_batches)
    for number in open_batches:
        left = sizes[number] - rejected.get(number, 0)
        if left and left - waiting.get(number, 0) >= campaign.spec.screening.enough_of(left):
            submit_step(campaign, Step.screen(name, number))
    _sweep_when_due(campaign)


def _sweep_when_due(campaign: OpenCampaign) -> None:
    """Submit a last Screen for candidates that came after their batch was closed."""
    if is_any_in_state(campaign, *BEFORE_SCREEN, role=SCREENED):
        return
    if is_any_in_state(campaign, CandidateState.DOS_DONE) and not is_step_open(campaign, StepKind.SCREEN):
        submit_step(campaign, Step.sweep(campaign.name, count_sweeps(campaign)))
