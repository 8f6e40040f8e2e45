"""A campaign put away: hidden from lists, its fireworks from workers. Nothing is lost."""

from campaign.recovery.at_work import refuse_at_work
from campaign.store.campaigns import OpenCampaign
from campaign.store.lifecycle.stops import write_archived
from campaign.store.lifecycle.waiting_fireworks import archive_waiting


def archive(campaign: OpenCampaign) -> tuple[bool, int]:
    """Archive a campaign; called again after it was cut short, it does the rest.

    Returns
    -------
    bool, int
        Whether it was not archived before, and how many of its fireworks are archived now.

    Raises
    ------
    CampaignAtWorkError
        If something of it runs.
    """
    refuse_at_work(campaign.launchpad, campaign.name, to="archived")
    # marked first: what a worker takes meanwhile goes back to where it came from
    return write_archived(campaign), archive_waiting(campaign)
