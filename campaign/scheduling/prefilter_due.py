"""When candidates are due for the prefilter: once their hull is known, batch by batch."""

from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import OpenCampaign
from campaign.store.prefilter.prefiltered import batches_before_prefilter
from campaign.store.steps import Step


def prefilter_when_due(campaign: OpenCampaign) -> None:
    """Submit the prefilter of each batch with candidates that wait for it, once."""
    if campaign.spec.prefilter is None:
        return
    for batch in batches_before_prefilter(campaign):
        submit_step(campaign, Step.prefilter(campaign.name, batch))
