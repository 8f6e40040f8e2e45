"""The settings of a campaign as they stand in its document."""

from typing import Any

from pydantic import ValidationError

from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.reader import wrong_settings
from esnet.files.errors import UserError


class StoredSpecError(UserError, ValueError):
    """The settings of a stored campaign are not valid: something else has changed them, or a plugin is missing."""


def read_stored_spec(name: str, stored: Any) -> CampaignSpec:
    """The spec of a stored campaign, as `CampaignSpec.model_dump` wrote it.

    One that names no version of the built-in data is from before there was a second one.

    Raises
    ------
    StoredSpecError
        One line that names the campaign, each field, what was found and what would be right.
    """
    try:
        return CampaignSpec.model_validate({"built_in": 1, **stored} if isinstance(stored, dict) else stored)
    except ValidationError as error:
        raise StoredSpecError(f"campaign {name!r}: its stored settings: {'; '.join(wrong_settings(error))}") from error
