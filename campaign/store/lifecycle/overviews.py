"""Read-only overview of all campaigns of a database, in a few queries answered by indexes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from campaign.store.collections import OUR_CAMPAIGNS, CampaignStore, Document, counts_by

#: Fields of a campaign's document.
_FIELDS = ("state", "stopped", "archived", "engine", "quality", "created", "ended", "problem")
#: States of fireworks that show a campaign's current activity; the others are final.
_AT_WORK = ("RUNNING", "RESERVED", "READY", "PAUSED")


def read_overviews(store: CampaignStore, *, archived: bool) -> list[Document]:
    """Read the data for a list of campaigns, ordered by name.

    Parameters
    ----------
    archived
        Include archived campaigns.

    Returns
    -------
    list
        For each campaign: ``_id``, ``state``, ``problem``, ``stopped``, ``archived``, ``engine``, ``quality``,
        ``created``, ``ended``, and: ``counts`` (candidates by role and state), ``stable``, ``fireworks`` (by state and
        category), ``cpu_s``, ``last_attempt`` (when the last attempt ended, or None), ``last_event`` (when a person
        last changed it, or None).
    """
    query = OUR_CAMPAIGNS if archived else {**OUR_CAMPAIGNS, "archived": None}
    fields: dict[str, Any] = dict.fromkeys(_FIELDS, 1)
    found = list(store.campaigns.find(query, fields).sort("_id"))
    names = [campaign["_id"] for campaign in found]
    of_these = {"campaign": {"$in": names}}
    counts = _by_campaign(counts_by(store.candidates, of_these, "campaign", "role", "state"))
    stable = counts_by(store.candidates, {**of_these, "result.stable": True}, "campaign", "result.stable")
    at_work = {"spec.campaign_name": {"$in": names}, "state": {"$in": list(_AT_WORK)}}
    fireworks = counts_by(store.database["fireworks"], at_work, "spec.campaign_name", "state", "spec._category")
    by_name = _by_campaign(fireworks)
    ledger = _ledgers(store, names)
    last: list[dict[str, Any]] = [{"$match": of_these}, {"$group": {"_id": "$campaign", "time": {"$max": "$time"}}}]
    events = {group["_id"]: group["time"] for group in store.events.aggregate(last)}
    for campaign in found:
        name = campaign["_id"]
        campaign["counts"] = counts.get(name, {})
        campaign["stable"] = stable.get((name, True), 0)
        campaign["fireworks"] = by_name.get(name, {})
        campaign["cpu_s"], campaign["last_attempt"] = ledger.get(name, (0.0, None))
        campaign["last_event"] = events.get(name)
    return found


def _by_campaign(counts: Mapping[tuple[Any, ...], int]) -> dict[str, dict[tuple[Any, ...], int]]:
    found: defaultdict[str, dict[tuple[Any, ...], int]] = defaultdict(dict)
    for (name, *rest), number in counts.items():
        found[name][tuple(rest)] = number
    return found


def _ledgers(store: CampaignStore, names: Sequence[str]) -> dict[str, tuple[float, Any]]:
    """Return CPU-seconds and the end of the last attempt of each campaign."""
    # only fields in the index: no entry of the ledger is read
    group = {"_id": "$campaign", "cpu_s": {"$sum": "$cpu_s"}, "ended": {"$max": "$ended"}}
    found = store.attempts.aggregate([{"$match": {"campaign": {"$in": list(names)}}}, {"$group": group}])
    return {each["_id"]: (float(each["cpu_s"]), each["ended"]) for each in found}
