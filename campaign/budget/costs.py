"""What calculations are expected to cost, learnt from those that have finished."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.client_session import ClientSession

from campaign.policies.cost_model import CostModel, Ended, valence_electrons
from campaign.store.campaigns import Campaign
from campaign.store.counts import CostSum, ended_attempts
from campaign.store.usage import cells, latest_relaxation_costs

#: Costs are learnt from this many of the relaxations that finished last.
_LEARN_FROM = 2000


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Expected costs of a campaign's calculations.

    Attributes
    ----------
    relax
        Of a relaxation, by the size of the cell.
    dos_cpu_s
        Of a DOS, CPU-s: the mean (they differ little, and there are many).
    rs_dos_cpu_s
        Of the RS-DOS that follows the relaxation of a screened candidate, CPU-s; 0 where none follows.
    """

    relax: CostModel
    dos_cpu_s: float
    rs_dos_cpu_s: float = 0.0

    def relaxation(self, document: Mapping[str, Any]) -> float:
        """Expected cost of a candidate's or a reference's relaxation, CPU-s."""
        return self.relax.estimate(**_size(document))

    def screened(self, document: Mapping[str, Any]) -> float:
        """Expected cost of relaxing a screened candidate, CPU-s, with the RS-DOS that follows."""
        return self.relaxation(document) + self.rs_dos_cpu_s


def learn_costs(
    campaign: Campaign, *, relax_cpu_s: float, dos_cpu_s: float, session: ClientSession | None = None
) -> Costs:
    """Estimate the cost of the next calculations from those that finished last.

    Parameters
    ----------
    relax_cpu_s, dos_cpu_s
        Expected costs while none has finished, CPU-s.
    """
    used, completed = _used_and_completed(campaign, "relax", session)
    # each bears its share of the attempts that failed
    share = used / completed.cpu_s if completed.cpu_s > 0.0 else 1.0
    cost = latest_relaxation_costs(campaign, limit=_LEARN_FROM, session=session)
    sizes = cells(campaign, cost.keys(), session=session) if cost else {}
    ended = [Ended(cpu_s=cost[name] * share, **_size(document)) for name, document in sizes.items()]
    return Costs(
        relax=CostModel.fit(ended, default_cpu_s=relax_cpu_s),
        dos_cpu_s=learn_dos_cost(campaign, dos_cpu_s=dos_cpu_s, session=session),
    )


def learn_dos_cost(campaign: Campaign, *, dos_cpu_s: float, session: ClientSession | None = None) -> float:
    """Mean cost of a DOS so far, CPU-s, failed attempts included; `dos_cpu_s` while none has finished."""
    used, completed = _used_and_completed(campaign, "dos", session)
    return used / completed.number if completed.cpu_s > 0.0 else dos_cpu_s


def _used_and_completed(campaign: Campaign, stage: str, session: ClientSession | None) -> tuple[float, CostSum]:
    """CPU-s of all attempts that have finished, and the completed ones among them."""
    groups = ended_attempts(campaign, [stage], session=session)
    return sum(group.cpu_s for group in groups.values()), groups.get((stage, "completed"), CostSum())


def _size(document: Mapping[str, Any]) -> dict[str, int]:
    return {"n_sites": int(document["n_sites"]), "n_electrons": valence_electrons(document["composition"])}
