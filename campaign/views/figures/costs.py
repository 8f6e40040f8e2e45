"""Cost of a campaign per stage."""

import math
from dataclasses import dataclass

from campaign.store.campaigns import Campaign
from campaign.store.usage import cost_by_stage

TITLES = {
    "prefilter": "prefilter",
    "dos": "IS-DOS",
    "relax": "relaxations",
    "rs_dos": "RS-DOS",
    "train": "training",
    "retrain": "retraining",
    "screen": "Screens (predictions)",
}


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """Cost of one stage: number of attempts (failed ones included), CPU-seconds and GPU-seconds."""

    stage: str
    title: str
    attempts: int
    cpu_s: float
    gpu_s: float

    @property
    def cpu_hours(self) -> float:
        """CPU-hours."""
        return self.cpu_s / 3600.0


@dataclass(frozen=True, kw_only=True)
class CampaignCosts:
    """Costs of all stages.

    Attributes
    ----------
    stages
        In the order in which a candidate meets them; references and training structures are among them.
    cpu_s
        Sum, CPU-s.
    """

    stages: list[StageCost]
    cpu_s: float


def campaign_costs(campaign: Campaign) -> CampaignCosts:
    """Return the costs of a campaign, summed over the ledger."""
    found = cost_by_stage(campaign)
    order = [*(stage for stage in TITLES if stage in found), *(stage for stage in found if stage not in TITLES)]
    stages = [
        StageCost(
            stage=stage,
            title=TITLES.get(stage, stage),
            attempts=int(found[stage]["attempts"]),
            cpu_s=found[stage]["cpu_s"],
            gpu_s=found[stage]["gpu_s"],
        )
        for stage in order
    ]
    return CampaignCosts(stages=stages, cpu_s=math.fsum(stage.cpu_s for stage in stages))
