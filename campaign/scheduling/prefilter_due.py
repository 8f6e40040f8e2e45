"""When candidates are due for the prefilter: once their hull is known, batch by batch."""

from campaign.budget.hold_queue import dos_room
from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import OpenCampaign
from campaign.store.steps import Step, batches_without_step


def prefilter_when_due(campaign: OpenCampaign) -> None:
    """Submit the prefilter of each batch once, unless the budget allows no IS-DOS after it."""
    if campaign.spec.prefilter is None:
        return
    batches = batches_without_step(campaign, Step.prefilter, range(len(campaign.document["batch_sizes"])))
    # sums over the ledger come last, since this is called after every calculation
    if not batches or dos_room(campaign) == 0:
        return
    for batch in batches:
        submit_step(campaign, Step.prefilter(campaign.name, batch))
