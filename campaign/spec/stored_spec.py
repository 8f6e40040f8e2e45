"""The settings of a campaign as stored in its document."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from campaign.scorers.registry import stored_scorer
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.translation import wrong_settings
from esnet.files.errors import UserError


class StoredSpecError(UserError, ValueError):
    """The settings of a stored campaign are not valid: something else has changed them, or a plugin is missing."""


def read_stored_spec(name: str, stored: Any, changed: Mapping[str, Any] | None = None) -> CampaignSpec:
    """The spec of a stored campaign, as `CampaignSpec.model_dump` wrote it.

    One that names no version of the built-in data is from before there was a second one, and a potential without guards
    from before they could be set.

    Parameters
    ----------
    stored
        Its file.
    changed
        Sections that were changed since, whole; None: none was.

    Raises
    ------
    StoredSpecError
        One line that names the campaign, each field, what was found and what would be right.
    """
    try:
        # what is no dictionary is refused by the model itself
        spec = {"built_in": 1, **stored, **(changed or {})} if isinstance(stored, Mapping) else stored
        if isinstance(spec, Mapping) and isinstance(scorer := spec.get("scorer"), Mapping):
            spec = {**spec, "scorer": stored_scorer(scorer)}
        return CampaignSpec.model_validate(spec)
    except ValidationError as error:
        raise StoredSpecError(f"campaign {name!r}: its stored settings: {'; '.join(wrong_settings(error))}") from error
