"""The settings of a campaign as stored in its document."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from campaign.scorers.registry import stored_scorer
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.translation import wrong_settings
from esnet.files.errors import UserError


class StoredSpecError(UserError, ValueError):
    """The stored settings of a campaign are invalid: changed from outside, or of a plugin that is missing."""


def read_stored_spec(name: str, stored: Any, changed: Mapping[str, Any] | None = None) -> CampaignSpec:
    """Return the spec of a stored campaign, as written by `CampaignSpec.model_dump`.

    A spec without a version of the built-in data predates the second version, and a potential without guards predates
    that setting.

    Parameters
    ----------
    stored
        The stored settings.
    changed
        Complete sections that have been changed since, if any.

    Raises
    ------
    StoredSpecError
        One line with the campaign and, for each field, what was found and what would be right.
    """
    try:
        # anything but a dictionary is refused by the model itself
        spec = {"built_in": 1, **stored, **(changed or {})} if isinstance(stored, Mapping) else stored
        if isinstance(spec, Mapping) and isinstance(scorer := spec.get("scorer"), Mapping):
            spec = {**spec, "scorer": stored_scorer(scorer)}
        return CampaignSpec.model_validate(spec)
    except ValidationError as error:
        raise StoredSpecError(f"campaign {name!r}: its stored settings: {'; '.join(wrong_settings(error))}") from error
