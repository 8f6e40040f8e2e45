"""Records which messages about a campaign were sent to each user, so that each is sent once.

A message is claimed before it is sent. Of two processes that see the same, one gets the claim; one that is killed after
its claim has sent nothing, and that message is lost rather than sent twice.
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
    """Names of the campaigns that run, and of those that were seen running and whose end was not said to the user."""
    untold = {"notices": {"$elemMatch": {"user": user, "said": {"$ne": FINISHED}}}, "state": CampaignState.FINISHED}
    query = {**OUR_CAMPAIGNS, "archived": None, "$or": [{"state": CampaignState.RUNNING}, untold]}
    return sorted(found["_id"] for found in store.campaigns.find(query, ["_id"]))


def notice_of(campaign: Campaign, user: str) -> NoticeDocument | None:
    """What was last said to a user; None before the campaign was first seen running for that user."""
    return next((found for found in campaign.document.get("notices") or () if found["user"] == user), None)


def begin_notices(campaign: Campaign, user: str) -> None:
    """Note that a user is to be notified of a campaign from now on."""
    missing = {"_id": campaign.name, "notices.user": {"$ne": user}}
    campaign.store.campaigns.update_one(missing, {"$push": {"notices": {"user": user, "said": RUNNING}}})


def claim_notice(campaign: Campaign, user: str, said: str) -> bool:
    """Note the message being sent; False where it was said already, by this process or another one."""
    unsaid = {"_id": campaign.name, "notices": {"$elemMatch": {"user": user, "said": {"$ne": said}}}}
    change = {"$set": {"notices.$.said": said, "notices.$.time": now()}, "$unset": {"notices.$.idle_since": ""}}
    return campaign.store.campaigns.update_one(unsaid, change).modified_count == 1


def note_idle(campaign: Campaign, user: str, since: datetime | None) -> None:
    """Note since when nothing of a campaign can run, for a process that looks again later; None: something can."""
    change = {"$unset": {"notices.$.idle_since": ""}} if since is None else {"$set": {"notices.$.idle_since": since}}
    campaign.store.campaigns.update_one({"_id": campaign.name, "notices.user": user}, change)


def claim_discoveries(campaign: Campaign, user: str, claim: str) -> list[Document]:
    """Take the stable candidates of which the user was not told yet, the newest first; no other process gets them.

    Parameters
    ----------
    claim
        A word that no other claim has; where the database went away, the same again gets what it had taken.
    """
    stable: dict[str, Any] = {"campaign": campaign.name, "result.stable": True}
    candidates = campaign.store.candidates
    # each document goes to one of several processes: the filter is looked at again where another one was first
    told = {"$push": {"announced": {"user": user, "claim": claim}}}
    candidates.update_many({**stable, "announced.user": {"$ne": user}}, told)
    found = candidates.find({**stable, "announced.claim": claim}, STABLE_FIELDS)
    return list(found.sort([("result.time", -1), ("_id", 1)]))
