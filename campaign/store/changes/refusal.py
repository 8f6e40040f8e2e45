"""When a campaign takes no changes."""

from campaign.store.campaigns import Campaign
from campaign.store.states import CampaignState
from esnet.files.errors import UserError


class NoChangesError(UserError, ValueError):
    """A campaign that cannot be changed now; the message says why and what comes first."""


def refuse_changes(campaign: Campaign) -> None:
    """Let candidates, decisions and settings be changed only where something comes of it.

    Raises
    ------
    NoChangesError
        The campaign has not been started to its end, or is archived.
    """
    name = campaign.name
    if campaign.document["state"] == CampaignState.STARTING:
        raise NoChangesError(
            f"campaign {name!r} has not been started completely; right: complete it with `campaign submit FILE`, then "
            "repeat the command"
        )
    if campaign.document.get("archived") is not None:
        raise NoChangesError(f"campaign {name!r} is archived; right: `campaign resume {name}`, then repeat the command")
