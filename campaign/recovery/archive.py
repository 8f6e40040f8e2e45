"""Archive a campaign: hide it from lists and its fireworks from workers. Nothing is lost."""

from campaign.recovery.at_work import refuse_at_work
from campaign.store.campaigns import OpenCampaign
from campaign.store.lifecycle.stops import write_archived
from campaign.store.lifecycle.waiting_fireworks import archive_waiting


def archive(campaign: OpenCampaign) -> tuple[bool, int]:
    """Archive a campaign; a repeated call completes an interrupted one.

    Returns
    -------
    bool, int
        Whether it was newly archived, and the number of archived fireworks.

    Raises
    ------
    CampaignAtWorkError
        If any of its work is running.
    """
    refuse_at_work(campaign.launchpad, campaign.name, to="archived")
    # marked first, so that a firework that a worker takes meanwhile is put back
    return write_archived(campaign), archive_waiting(campaign)
