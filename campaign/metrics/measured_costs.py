"""C_pre and C_opt of a campaign, measured: what the IS-DOS and the relaxation of a candidate cost on average."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from campaign.metrics.metrics import Costs
from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore
from campaign.store.states import BEFORE_SCREEN, SCREENED


@dataclass(frozen=True, kw_only=True)
class MeasuredCosts:
    """Mean costs of screened candidates, from the ledger.

    Attributes
    ----------
    c_pre, c_opt
        IS-DOS and relaxation of one candidate, CPU-s, all its attempts, failed ones included; NaN where none has ended.
    n_dos, n_relaxations
        Candidates that the means are over.
    n_unknown
        Attempts of those candidates that have no CPU-seconds because their process was killed: the means are too low
        by what these used.
    """

    c_pre: float
    c_opt: float
    n_dos: int
    n_relaxations: int
    n_unknown: int

    @property
    def costs(self) -> Costs:
        """The means alone."""
        return Costs(c_pre=self.c_pre, c_opt=self.c_opt)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it: None for a mean over nothing."""
        return {key: None if math.isnan(value) else value for key, value in asdict(self).items()}


def measured_costs(campaign: Campaign) -> MeasuredCosts:
    """Average the ledger over the screened candidates whose calculation has ended, well or not.

    A candidate that is to be tried again is left out until it has ended: its cost is not known yet.
    """
    screened = {"campaign": campaign.name, "role": SCREENED}
    after_dos = {"$nin": list(BEFORE_SCREEN)}
    c_pre, n_dos, unknown_dos = _mean(campaign, "dos", _ids(campaign.store, {**screened, "state": after_dos}))
    ended = {"$in": ["relaxed", "relax_failed"]}
    c_opt, n_relaxations, unknown_relax = _mean(campaign, "relax", _ids(campaign.store, {**screened, "state": ended}))
    return MeasuredCosts(
        c_pre=c_pre, c_opt=c_opt, n_dos=n_dos, n_relaxations=n_relaxations, n_unknown=unknown_dos + unknown_relax
    )


def _ids(store: CampaignStore, query: dict[str, Any]) -> set[str]:
    return {found["_id"] for found in store.candidates.find(query, ["_id"])}


def _mean(campaign: Campaign, stage: str, ended: Collection[str]) -> tuple[float, int, int]:
    """Mean CPU-s of a stage over candidates with a known cost, how many those are, and attempts of unknown cost."""
    known = {"$cond": [{"$gt": ["$cpu_s", None]}, 1, 0]}
    groups = campaign.store.attempts.aggregate(
        [
            {"$match": {"campaign": campaign.name, "stage": stage, "document": {"$ne": None}}},
            {
                "$group": {
                    "_id": "$document",
                    "cpu_s": {"$sum": "$cpu_s"},
                    "known": {"$sum": known},
                    "attempts": {"$sum": 1},
                }
            },
        ]
    )
    here = [group for group in groups if group["_id"] in ended]
    paid = [group["cpu_s"] for group in here if group["known"]]
    unknown = sum(group["attempts"] - group["known"] for group in here)
    return (math.fsum(paid) / len(paid) if paid else math.nan), len(paid), unknown
