"""Expected costs of calculations, estimated from finished ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.client_session import ClientSession

from campaign.policies.cost_model import CostModel, Ended, valence_electrons
from campaign.store.campaigns import Campaign
from campaign.store.counts import CostSum, ended_attempts
from campaign.store.usage import cells, latest_relaxation_costs

#: Number of latest relaxations from which costs are estimated.
_LEARN_FROM = 2000


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Expected costs of a campaign's calculations.

    Attributes
    ----------
    relax
        Cost of a relaxation by the size of the cell.
    dos_cpu_s
        Mean cost of a DOS, CPU-s (they are many and differ little).
    rs_dos_cpu_s
        Cost of the RS-DOS after the relaxation of a screened candidate, CPU-s; 0 if there is none.
    """

    relax: CostModel
    dos_cpu_s: float
    rs_dos_cpu_s: float = 0.0

    def relaxation(self, document: Mapping[str, Any]) -> float:
        """Return the expected cost of a candidate's or a reference's relaxation, CPU-s."""
        return self.relax.estimate(**_size(document))

    def screened(self, document: Mapping[str, Any]) -> float:
        """Return the expected cost of relaxing a screened candidate, CPU-s, including its RS-DOS."""
        return self.relaxation(document) + self.rs_dos_cpu_s


def learn_costs(
    campaign: Campaign, *, relax_cpu_s: float, dos_cpu_s: float, session: ClientSession | None = None
) -> Costs:
    """Estimate the costs of calculations from those that finished last.

    Parameters
    ----------
    relax_cpu_s, dos_cpu_s
        Expected costs until calculations have finished, CPU-s.
    """
    used, completed = _used_and_completed(campaign, "relax", session)
    # each bears its share of failed attempts
    share = used / completed.cpu_s if completed.cpu_s > 0.0 else 1.0
    cost = latest_relaxation_costs(campaign, limit=_LEARN_FROM, session=session)
    sizes = cells(campaign, cost.keys(), session=session) if cost else {}
    ended = [Ended(cpu_s=cost[name] * share, **_size(document)) for name, document in sizes.items()]
    return Costs(
        relax=CostModel.fit(ended, default_cpu_s=relax_cpu_s),
        dos_cpu_s=learn_dos_cost(campaign, dos_cpu_s=dos_cpu_s, session=session),
    )


def learn_dos_cost(campaign: Campaign, *, dos_cpu_s: float, session: ClientSession | None = None) -> float:
    """Return the mean cost of a DOS, CPU-s, including failed attempts; `dos_cpu_s` until one has finished."""
    used, completed = _used_and_completed(campaign, "dos", session)
    return used / completed.number if completed.cpu_s > 0.0 else dos_cpu_s


def _used_and_completed(campaign: Campaign, stage: str, session: ClientSession | None) -> tuple[float, CostSum]:
    """Return the CPU-s of all finished attempts, and the completed ones among them."""
    groups = ended_attempts(campaign, [stage], session=session)
    return sum(group.cpu_s for group in groups.values()), groups.get((stage, "completed"), CostSum())


def _size(document: Mapping[str, Any]) -> dict[str, int]:
    return {"n_sites": int(document["n_sites"]), "n_electrons": valence_electrons(document["composition"])}
