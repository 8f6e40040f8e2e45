"""Record of the messages about a campaign sent to each user, so that each is sent once.

A message is claimed before it is sent. Of two processes that see the same event, one gets the claim; if it is killed
before sending, the message is lost rather than sent twice.
"""

from datetime import datetime
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.collections import OUR_CAMPAIGNS, CampaignStore, Document, now
from campaign.store.documents import NoticeDocument
from campaign.store.listings import STABLE_FIELDS
from campaign.store.states import CampaignState

RUNNING, FINISHED, STUCK = "running", "finished", "stuck"


def campaigns_to_tell_of(store: CampaignStore, user: str) -> list[str]:
    """Return the names of running campaigns, and of finished ones whose end has not been announced to the user."""
    untold = {"notices": {"$elemMatch": {"user": user, "said": {"$ne": FINISHED}}}, "state": CampaignState.FINISHED}
    query = {**OUR_CAMPAIGNS, "archived": None, "$or": [{"state": CampaignState.RUNNING}, untold]}
    return sorted(found["_id"] for found in store.campaigns.find(query, ["_id"]))


def notice_of(campaign: Campaign, user: str) -> NoticeDocument | None:
    """Return the last notification of a user; None until the campaign is first seen running for that user."""
    return next((found for found in campaign.document.get("notices") or () if found["user"] == user), None)


def begin_notices(campaign: Campaign, user: str) -> None:
    """Note that a user is to be notified of a campaign from now on."""
    missing = {"_id": campaign.name, "notices.user": {"$ne": user}}
    campaign.store.campaigns.update_one(missing, {"$push": {"notices": {"user": user, "said": RUNNING}}})


def claim_notice(campaign: Campaign, user: str, said: str) -> bool:
    """Claim a message before sending it; return False if it was already sent, by this process or another one."""
    unsaid = {"_id": campaign.name, "notices": {"$elemMatch": {"user": user, "said": {"$ne": said}}}}
    change = {"$set": {"notices.$.said": said, "notices.$.time": now()}, "$unset": {"notices.$.idle_since": ""}}
    return campaign.store.campaigns.update_one(unsaid, change).modified_count == 1


def note_idle(campaign: Campaign, user: str, since: datetime | None) -> None:
    """Record since when nothing of a campaign can run, for a later process; None if something can."""
    change = {"$unset": {"notices.$.idle_since": ""}} if since is None else {"$set": {"notices.$.idle_since": since}}
    campaign.store.campaigns.update_one({"_id": campaign.name, "notices.user": user}, change)


def claim_discoveries(campaign: Campaign, user: str, claim: str) -> list[Document]:
    """Claim the stable candidates not yet announced to the user, newest first; no other process gets them.

    Parameters
    ----------
    claim
        Unique word; repeating a claim after a lost connection returns what it had taken.
    """
    stable: dict[str, Any] = {"campaign": campaign.name, "result.stable": True}
    candidates = campaign.store.candidates
    # several processes may compete for each document: the filter is checked again at the update
    told = {"$push": {"announced": {"user": user, "claim": claim}}}
    candidates.update_many({**stable, "announced.user": {"$ne": user}}, told)
    found = candidates.find({**stable, "announced.claim": claim}, STABLE_FIELDS)
    return list(found.sort([("result.time", -1), ("_id", 1)]))
