"""Refusal of changes to a campaign that cannot take them."""

from campaign.store.campaigns import Campaign
from campaign.store.states import CampaignState
from esnet.files.errors import UserError


class NoChangesError(UserError, ValueError):
    """The campaign cannot be changed now; the message says why, and what has to be done first."""


def refuse_changes(campaign: Campaign) -> None:
    """Raise if candidates, decisions and settings of a campaign cannot be changed.

    Raises
    ------
    NoChangesError
        If the campaign is still starting or is archived.
    """
    name = campaign.name
    if campaign.document["state"] == CampaignState.STARTING:
        raise NoChangesError(
            f"campaign {name!r} has not been started completely; right: complete it with `campaign submit FILE`, then "
            "repeat the command"
        )
    if campaign.document.get("archived") is not None:
        raise NoChangesError(f"campaign {name!r} is archived; right: `campaign resume {name}`, then repeat the command")
