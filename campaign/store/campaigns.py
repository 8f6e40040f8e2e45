"""A campaign as it stands in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaign.recovery.processes import fizzled_reason
from campaign.store.collections import SCHEMA_VERSION, CampaignStore
from esnet.files.errors import UserError

if TYPE_CHECKING:
    from campaign.spec.campaign_spec import CampaignSpec


class UnknownCampaignError(UserError, LookupError):
    """There is no campaign of that name in this database."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A stored campaign.

    Attributes
    ----------
    spec
        What the user asked for.
    document
        The campaign's document: state, model, reference set, counts.
    """

    spec: CampaignSpec
    document: dict[str, Any]


def _refuse_unstarted(store: CampaignStore, name: str) -> None:
    """Say what became of a campaign file that `lpad add` brought and that has not started."""
    query = {"name": name, "spec.campaign": {"$exists": True}}
    firework = store.database["fireworks"].find_one(query, ["fw_id", "state", "launches"], sort=[("fw_id", -1)])
    if firework is None:
        return
    if firework["state"] == "FIZZLED":
        why = fizzled_reason(store.database, firework)
        raise UnknownCampaignError(
            f"campaign {name!r} was refused by its StartCampaign (firework {firework['fw_id']}): {why}"
        )
    raise UnknownCampaignError(
        f"campaign {name!r} has not started: its StartCampaign (firework {firework['fw_id']}) is {firework['state']}; "
        "run `rlaunch rapidfire`, on a cluster `campaign cluster run`"
    )


def load_campaign(store: CampaignStore, name: str) -> Campaign:
    """Read a campaign.

    Raises
    ------
    UnknownCampaignError
        Naming the campaigns that there are.
    ValueError
        If it was written by a newer version of this program.
    """
    from campaign.spec.campaign_spec import CampaignSpec

    document = store.campaigns.find_one({"_id": name})
    if document is None:
        _refuse_unstarted(store, name)
        known = sorted(found["_id"] for found in store.campaigns.find({}, ["_id"]))
        there = f"this database has {', '.join(known)}" if known else "this database has none"
        raise UnknownCampaignError(f"there is no campaign {name!r}: {there}")
    if document["schema_version"] > SCHEMA_VERSION:
        raise ValueError(
            f"campaign {name!r} was written with schema version {document['schema_version']}; "
            f"this program knows versions up to {SCHEMA_VERSION}: update esnet-campaign"
        )
    return Campaign(spec=CampaignSpec.model_validate(document["spec"]), document=document)
