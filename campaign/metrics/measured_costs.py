"""Measured C_pre and C_opt of a campaign: mean costs of a candidate's IS-DOS and relaxation."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from campaign.metrics.metrics import Costs, finite_or_none
from campaign.store.campaigns import Campaign
from campaign.store.counts import stage_costs
from campaign.store.listings import screened_ids_after_dos, screened_ids_after_relaxation
from campaign.store.prefilter.prefiltered import prefilter_counts
from campaign.store.states import PREFILTER
from campaign.store.usage import cost_by_stage


@dataclass(frozen=True, kw_only=True)
class MeasuredCosts:
    """Mean costs of screened candidates, from the ledger.

    Attributes
    ----------
    c_pre, c_opt
        IS-DOS and relaxation of one candidate, CPU-s, over all attempts including failed ones; NaN if none has ended.
    c_prefilter
        Prefilter of one candidate, CPU-s, over all attempts; 0 without a prefilter.
    dos_share
        Fraction of candidates with an IS-DOS, as far as the prefilter has decided; 1 without one.
    n_dos, n_relaxations
        Number of candidates averaged over.
    n_unknown
        Number of their attempts without CPU-seconds because the process was killed, whose usage is missing from the
        means.
    """

    c_pre: float
    c_opt: float
    n_dos: int
    n_relaxations: int
    n_unknown: int
    c_prefilter: float = 0.0
    dos_share: float = 1.0

    @property
    def costs(self) -> Costs:
        """Return the means; C_pre is the cost before the decision per candidate considered."""
        of_dos = self.dos_share * self.c_pre if self.dos_share else 0.0
        return Costs(c_pre=self.c_prefilter + of_dos, c_opt=self.c_opt)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types, with None for a mean over nothing."""
        return {key: finite_or_none(value) for key, value in asdict(self).items()}


def measured_costs(campaign: Campaign) -> MeasuredCosts:
    """Average the ledger over screened candidates whose calculation has ended, successfully or not.

    A candidate to be retried is left out until it has ended, since its cost is not yet known.
    """
    # ids first: calculations ended by then have their full cost in the ledger
    after_dos = screened_ids_after_dos(campaign)
    c_pre, n_dos, unknown_dos = _mean(stage_costs(campaign, "dos"), after_dos)
    relaxed = screened_ids_after_relaxation(campaign)
    c_opt, n_relaxations, unknown_relax = _mean(stage_costs(campaign, "relax"), relaxed)
    prefiltered = prefilter_counts(campaign)
    spent = cost_by_stage(campaign).get(PREFILTER, {}).get("cpu_s", 0.0) if prefiltered.seen else 0.0
    return MeasuredCosts(
        c_pre=c_pre,
        c_opt=c_opt,
        n_dos=n_dos,
        n_relaxations=n_relaxations,
        n_unknown=unknown_dos + unknown_relax,
        c_prefilter=spent / prefiltered.seen if prefiltered.seen else 0.0,
        dos_share=1.0 - prefiltered.rejected / prefiltered.seen if prefiltered.seen else 1.0,
    )


def _mean(costs: Iterable[Mapping[str, Any]], ended: Collection[str]) -> tuple[float, int, int]:
    """Return the mean CPU-s of a stage over candidates with a known cost, their number, and attempts of
    unknown cost.
    """
    here = [group for group in costs if group["_id"] in ended]
    paid = [group["cpu_s"] for group in here if group["known"]]
    unknown = sum(group["attempts"] - group["known"] for group in here)
    return (math.fsum(paid) / len(paid) if paid else math.nan), len(paid), unknown
