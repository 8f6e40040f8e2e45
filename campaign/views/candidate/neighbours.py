"""Previous and next candidate in the ranking, found by indexes without ranking all candidates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.listings import candidates_by_energy
from campaign.views.candidate.crystal import label_of
from campaign.views.results import STABILITY_FIELDS, stability

_PARTS = ("result", "prediction")
_MOST = 15
_FIELDS = ("formula", "prototype", "parent.name", *STABILITY_FIELDS)


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """Adjacent candidate in the ranking."""

    id: str
    name: str


def neighbours(campaign: Campaign, document: Mapping[str, Any]) -> dict[str, Neighbour]:
    """Return the ``previous`` and ``next`` candidate of the ranking.

    A key is absent if the candidate has no energies, is first or last among the relaxed or among the predicted
    candidates, or shares its distance to the hull with more than `_MOST` others.
    """
    mine = stability(document)
    if mine[0] >= len(_PARTS):
        return {}
    found = {}
    for word, upwards in (("previous", False), ("next", True)):
        near = candidates_by_energy(campaign, _PARTS[mine[0]], mine[1], _FIELDS, upwards=upwards, limit=_MOST)
        keys = {key: one for one in near if (key := stability(one))[0] == mine[0]}
        beyond = sorted(key for key in keys if (key > mine if upwards else key < mine))
        if beyond and not (len(near) == _MOST and len({stability(one)[1] for one in near}) == 1):
            one = keys[beyond[0 if upwards else -1]]
            found[word] = Neighbour(id=one["_id"], name=f"{one.get('formula')} {label_of(one)}")
    return found
