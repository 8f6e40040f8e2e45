"""Settings in force that differ from the campaign's file, and their history."""

from collections.abc import Mapping
from typing import Any

from pymongo.client_session import ClientSession

from campaign.policies.base import Policy
from campaign.policies.registry import make_policy
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.changes import SETTABLE
from campaign.spec.sections.stable import StableSection
from campaign.store.campaigns import Campaign
from campaign.store.collections import exists, now

_APART = "budget"


def write_settings(campaign: Campaign, spec: CampaignSpec, *, event: str, session: ClientSession) -> None:
    """Put new settings in force, and append them to ``settings_history`` and ``budget_history``.

    Parameters
    ----------
    spec
        All settings, including the budget.
    event
        Id of the entry in the campaign's history.
    """
    content, entry = spec.model_dump(mode="json"), {"time": now(), "event": event}
    sections = {section: content[section] for section in SETTABLE if section != _APART}
    in_force = campaign.spec.model_dump(mode="json") | {_APART: campaign.document.get(_APART)}
    changes: dict[str, Any] = {}
    if any(in_force[section] != content for section, content in sections.items()):
        changes["settings"] = sections
    if content[_APART] != (in_force[_APART] or campaign.spec.budget.model_dump(mode="json")):
        changes[_APART] = content[_APART]
    campaign.store.campaigns.update_one(
        {"_id": campaign.name},
        {
            "$set": changes,
            "$push": {f"{field}_history": {field: value, **entry} for field, value in changes.items()},
            # under the new settings another candidate may be next
            "$unset": {"next_held": ""},
        },
        session=session,
    )


def policies_in_force(campaign: Campaign) -> list[Policy]:
    """Return all policies that the campaign has had, oldest first."""
    history = campaign.document.get("settings_history") or []
    stored = [campaign.document["spec"].get("policy") or {}, *(entry["settings"]["policy"] for entry in history)]
    return [make_policy(dict(policy)) for policy in stored]


def restate_stability(campaign: Campaign, limits: StableSection, *, session: ClientSession | None = None) -> None:
    """Reevaluate whether each result is stable, also in the summary of a finished campaign."""
    is_stable = {
        "$and": [
            {"$lte": ["$result.e_form_per_atom", limits.max_formation_energy]},
            {"$lte": ["$result.e_above_hull", limits.max_hull_energy]},
        ]
    }
    with_result = {"campaign": campaign.name, "result.stable": {"$in": [True, False]}}
    candidates = campaign.store.candidates
    candidates.update_many(with_result, [{"$set": {"result.stable": is_stable}}], session=session)
    stable = candidates.count_documents({"campaign": campaign.name, "result.stable": True}, session=session)
    finished = {"_id": campaign.name, "summary": {"$exists": True}}
    campaign.store.campaigns.update_one(finished, {"$set": {"summary.stable": stable}}, session=session)


def gives_uncertainty(campaign: Campaign) -> bool | None:
    """Whether any prediction so far has an uncertainty; None if there is no prediction yet."""
    predicted: Mapping[str, Any] = {"campaign": campaign.name, "prediction.e_form_per_atom": {"$gt": -1e300}}
    if not exists(campaign.store.candidates, predicted):
        return None
    return exists(campaign.store.candidates, {**predicted, "prediction.uncertainty": {"$gte": 0.0}})
