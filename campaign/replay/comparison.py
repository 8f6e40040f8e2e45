"""Several policies on the same known data, with random and oracle as the limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from campaign.policies.base import Policy, without_uncertainty
from campaign.replay.data import ReplayData, ReplayDataError
from campaign.replay.result import Replay, Spread, spread
from campaign.replay.simulate import ORACLE, RANDOM, replay, replay_limit
from campaign.spec.sections.budget import BudgetSection
from campaign.spec.sections.stable import StableSection
from campaign.store.collections import now

FORMAT, FORMAT_VERSION = "esnet-campaign-replay", 1


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several policies and the two limits on the same candidates.

    Attributes
    ----------
    data
        What was replayed.
    settings
        How, as JSON takes it: limits, batch size, seeds, what counts as stable.
    policies
        By the name that the user gave it, the replays of every seed.
    limits
        The same of ``random`` and ``oracle``.
    described
        What each policy promotes, and its settings.
    """

    data: ReplayData
    settings: Mapping[str, Any]
    policies: Mapping[str, Sequence[Replay]]
    limits: Mapping[str, Sequence[Replay]]
    described: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def every(self) -> dict[str, Sequence[Replay]]:
        """Policies, then limits."""
        return {**self.policies, **self.limits}

    def limit_at_same_cost(self, label: str, limit: str) -> Spread | None:
        """Stable materials that a limit has found for the CPU-hours that a policy has spent."""
        reached = {
            found.seed: float(other.stable_at(found.total_cpu_hours))
            for found, other in zip(self.every()[label], self.limits[limit], strict=True)
        }
        return spread(self.every()[label], lambda found: reached[found.seed])

    def to_dict(self) -> dict[str, Any]:
        """All but the curves, as JSON takes it."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created": now().isoformat(timespec="seconds"),
            "source": self.data.source,
            "notes": list(self.data.notes),
            "prediction_error": self.data.prediction_error()._asdict(),
            "settings": dict(self.settings),
            "policies": {
                label: {
                    **self.described.get(label, {}),
                    "random_at_same_cost": _as_dict(self.limit_at_same_cost(label, RANDOM)),
                    "oracle_at_same_cost": _as_dict(self.limit_at_same_cost(label, ORACLE)),
                    "seeds": [found.totals() for found in replays],
                }
                for label, replays in self.every().items()
            },
        }


def _as_dict(value: Spread | None) -> dict[str, float] | None:
    return None if value is None else value._asdict()


def compare(
    data: ReplayData,
    policies: Mapping[str, Policy],
    *,
    budget: BudgetSection | None = None,
    stable: StableSection | None = None,
    batch_size: int = 256,
    seeds: Sequence[int] = (1,),
) -> Comparison:
    """Replay every policy and both limits with every seed.

    Parameters
    ----------
    data
        Of `campaign.replay.read.read_replay_data`.
    policies
        At least one, by the name to show.
    budget, stable, batch_size
        As in `campaign.replay.simulate.replay`.
    seeds
        At least one.

    Returns
    -------
    Comparison
        The replays by policy; costs in CPU-s.

    Raises
    ------
    ReplayDataError
        If a policy needs uncertainties, and no candidate has one.

    Examples
    --------
    >>> import campaign
    >>> from campaign.policies.thresholds import Thresholds
    >>> data = campaign.read_replay_data("examples/replay.csv")
    >>> found = campaign.compare(data, {"thresholds": Thresholds()})
    >>> list(found.policies)
    ['thresholds']
    """
    known = data.candidates
    if all(found.uncertainty is None for found in known):
        wrong = {policy.kind for policy in policies.values() if policy.needs_uncertainty()}
        remedies = f"right: {data.uncertainty_from}; or e.g. {{}}:uncertainty=0.3, which assumes one"
        if problems := [f"{without_uncertainty(kind)}; {remedies.format(kind)}" for kind in sorted(wrong)]:
            raise ReplayDataError(data.source, problems)
    budget, stable = budget or BudgetSection(), stable or StableSection()
    replays = {
        label: [
            replay(policy, known, budget=budget, stable=stable, batch_size=batch_size, seed=seed, label=label)
            for seed in seeds
        ]
        for label, policy in policies.items()
    }
    return Comparison(
        data=data,
        settings={
            "budget": budget.model_dump(mode="json"),
            "stable": stable.model_dump(mode="json"),
            "batch_size": batch_size,
            "seeds": list(seeds),
        },
        policies=replays,
        limits={
            limit: [replay_limit(limit, known, budget=budget, stable=stable, seed=seed) for seed in seeds]
            for limit in (RANDOM, ORACLE)
        },
        described={
            label: {"promotes": policy.describe(), "settings": policy.to_dict()} for label, policy in policies.items()
        },
    )
