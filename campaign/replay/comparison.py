"""Compare several policies on the same known data, with random choice and an oracle as limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from campaign.policies.base import Policy, without_uncertainty
from campaign.replay.data import ReplayData, ReplayDataError, prediction_error
from campaign.replay.result import Replay, Spread, spread
from campaign.replay.simulate import ORACLE, RANDOM, replay, replay_limit
from campaign.spec.policy_text import parse_policy
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
        The replayed data.
    settings
        Settings in JSON types: limits, batch size, seeds, definition of stable.
    policies
        Replays of every seed by the name that the user gave the policy, or by ``SCORER: POLICY`` if the data have
        several scorers.
    limits
        Replays of ``random`` and ``oracle``.
    described
        Description and settings of each policy; for data with several scorers also ``scorer`` and ``policy``.

    Examples
    --------
    >>> import campaign
    >>> data = campaign.read_replay_data("examples/replay.csv")
    >>> found = campaign.compare(data, ["thresholds", "probability:p=0.3,uncertainty=0.27"], seeds=[1, 2])
    >>> [replay.seed for replay in found.policies["thresholds"]]
    [1, 2]
    """

    data: ReplayData
    settings: Mapping[str, Any]
    policies: Mapping[str, Sequence[Replay]]
    limits: Mapping[str, Sequence[Replay]]
    described: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def every(self) -> dict[str, Sequence[Replay]]:
        """Return the replays of all policies, then of the limits.

        Returns
        -------
        dict
            Replays of every seed by the policy's name; the limits are named ``random`` and ``oracle``.

        Examples
        --------
        >>> import campaign
        >>> data = campaign.read_replay_data("examples/replay.csv")
        >>> found = campaign.compare(data, ["thresholds"])
        >>> list(found.every())
        ['thresholds', 'random', 'oracle']
        """
        return {**self.policies, **self.limits}

    def limit_at_same_cost(self, label: str, limit: str) -> Spread | None:
        """Return the number of stable materials that a limit finds with the CPU-hours spent by a policy.

        Parameters
        ----------
        label
            Name of the policy in `policies`.
        limit
            ``random`` or ``oracle``.

        Returns
        -------
        Spread or None
            ``mean``, ``least`` and ``most`` of the numbers over the seeds.

        Raises
        ------
        KeyError
            If there is no such policy or limit.

        Examples
        --------
        >>> import campaign
        >>> data = campaign.read_replay_data("examples/replay.csv")
        >>> found = campaign.compare(data, ["thresholds"])
        >>> spread = found.limit_at_same_cost("thresholds", "oracle")
        >>> spread.mean >= found.policies["thresholds"][0].total_stable
        True
        """
        reached = {
            found.seed: float(other.stable_at(found.total_cpu_hours))
            for found, other in zip(self.every()[label], self.limits[limit], strict=True)
        }
        return spread(self.every()[label], lambda found: reached[found.seed])

    def c_eff_over_oracle(self, label: str) -> Spread | None:
        """Return C_eff relative to the oracle's for the same number of stable materials; at least 1.

        Parameters
        ----------
        label
            Name of a policy or limit in `every`.

        Returns
        -------
        Spread or None
            ``mean``, ``least`` and ``most`` over the seeds; None if a seed found nothing.

        Raises
        ------
        KeyError
            If there is no such policy or limit.

        Examples
        --------
        >>> import campaign
        >>> data = campaign.read_replay_data("examples/replay.csv")
        >>> found = campaign.compare(data, ["thresholds"])
        >>> round(found.c_eff_over_oracle("thresholds").mean, 2), found.c_eff_over_oracle("oracle").mean
        (3.56, 1.0)
        """
        ratios = {}
        for found, oracle in zip(self.every()[label], self.limits[ORACLE], strict=True):
            least = oracle.cpu_hours_to(found.total_stable) if found.total_stable else None
            # undefined if relaxations cost nothing
            ratios[found.seed] = found.counted_cpu_hours / least if least else None
        return spread(self.every()[label], lambda found: ratios[found.seed])

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the curves in JSON types.

        Returns
        -------
        dict
            The output of `campaign replay --json`: settings, and totals of every policy and seed; costs in CPU-hours.

        Examples
        --------
        >>> import campaign
        >>> data = campaign.read_replay_data("examples/replay.csv")
        >>> found = campaign.compare(data, ["thresholds"])
        >>> len(found.to_dict()["policies"]["thresholds"]["seeds"])
        1
        """
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created": now().isoformat(timespec="seconds"),
            "source": self.data.source,
            "notes": list(self.data.notes),
            "prediction_error": self.data.prediction_error()._asdict(),
            "prediction_errors": {
                scorer: prediction_error(known)._asdict() for scorer, known in self.data.scorers.items()
            },
            "settings": dict(self.settings),
            "policies": {
                label: {
                    **self.described.get(label, {}),
                    "random_at_same_cost": _as_dict(self.limit_at_same_cost(label, RANDOM)),
                    "oracle_at_same_cost": _as_dict(self.limit_at_same_cost(label, ORACLE)),
                    "c_eff_cpu_s": _as_dict(spread(replays, attrgetter("c_eff_cpu_s"))),
                    "c_eff_over_oracle": _as_dict(self.c_eff_over_oracle(label)),
                    "seeds": [found.totals() for found in replays],
                }
                for label, replays in self.every().items()
            },
        }


def _as_dict(value: Spread | None) -> dict[str, float] | None:
    return None if value is None else value._asdict()


def _policies(data: ReplayData, asked: Mapping[str, Policy | str] | Sequence[str]) -> dict[str, Policy]:
    if isinstance(asked, str):
        asked = [asked]
    named = asked if isinstance(asked, Mapping) else {text: text for text in asked}
    if not named:
        raise ReplayDataError(data.source, ["policies: found none; right: at least one, e.g. ['thresholds']"])
    return {name: parse_policy(policy) if isinstance(policy, str) else policy for name, policy in named.items()}


def compare(
    data: ReplayData,
    policies: Mapping[str, Policy | str] | Sequence[str],
    *,
    budget: BudgetSection | None = None,
    stable: StableSection | None = None,
    batch_size: int = 256,
    seeds: Sequence[int] = (1,),
) -> Comparison:
    """Replay every policy on every scorer's predictions, and both limits, with every seed.

    Parameters
    ----------
    data
        Result of `read_replay_data` or `CampaignResults.replay_data`.
    policies
        At least one policy: texts as for ``campaign replay --policy`` (``thresholds``, ``probability:p=0.3``), or a
        mapping from the displayed name to such a text or to a policy of ``campaign.policies``.
    budget
        Limits and stop rules as in the section ``budget`` of a campaign file (`campaign.spec.sections.budget`). If
        None, no limit.
    stable
        Definition of stable, eV/atom (`campaign.spec.sections.stable`). If None, that of the data, otherwise the
        defaults of a campaign file.
    batch_size
        Number of candidates decided on together.
    seeds
        At least one seed, for the order of the candidates and the audit sample.

    Returns
    -------
    Comparison
        The replays by policy; costs in CPU-s.

    Raises
    ------
    ReplayDataError
        If there is no policy or no seed, or a policy needs uncertainties and no candidate has one.
    PolicyTextError
        If a text is not a policy; the message names the problem.

    Examples
    --------
    >>> import campaign
    >>> data = campaign.read_replay_data("examples/replay.csv")
    >>> found = campaign.compare(data, ["thresholds", "best_first:cpu_hours=10"])
    >>> {label: replays[0].relaxations for label, replays in found.policies.items()}
    {'thresholds': 18, 'best_first:cpu_hours=10': 8}
    """
    policies = _policies(data, policies)
    if not seeds:
        raise ReplayDataError(data.source, ["seeds: found none; right: at least one integer"])
    _require_uncertainties(data, policies)
    budget, stable = budget or BudgetSection(), stable or data.stable or StableSection()
    replays: dict[str, list[Replay]] = {}
    described = {}
    for scorer, known in data.by_scorer().items():
        for name, policy in policies.items():
            label = f"{scorer}: {name}" if scorer else name
            replays[label] = [
                replay(
                    policy.reseeded(seed),
                    known,
                    budget=budget,
                    stable=stable,
                    batch_size=batch_size,
                    seed=seed,
                    label=label,
                )
                for seed in seeds
            ]
            named = {"scorer": scorer, "policy": name} if scorer else {}
            described[label] = {**named, "promotes": policy.describe(), "settings": policy.to_dict()}
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
            limit: [replay_limit(limit, data.candidates, budget=budget, stable=stable, seed=seed) for seed in seeds]
            for limit in (RANDOM, ORACLE)
        },
        described=described,
    )


def _require_uncertainties(data: ReplayData, policies: Mapping[str, Policy]) -> None:
    """Refuse a policy that would reject all predictions of a scorer for lack of uncertainties."""
    wrong = sorted({policy.kind for policy in policies.values() if policy.needs_uncertainty()})
    problems = []
    for scorer, known in data.by_scorer().items():
        if all(found.uncertainty is None for found in known):
            of, right = (f"{scorer}: " if scorer else ""), data.uncertainty_from.replace("NAME", scorer)
            problems += [
                f"{of}{without_uncertainty(kind)}; right: {right}; or e.g. {kind}:uncertainty=0.3, which assumes one"
                for kind in wrong
            ]
    if problems:
        raise ReplayDataError(data.source, problems)
