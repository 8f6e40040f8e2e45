"""The policies that a campaign file may name: those that ship, and those that other packages bring."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from campaign.decisions.policy import Policy
from campaign.decisions.policy_budget import Budget
from campaign.decisions.policy_probability import Probability
from campaign.decisions.policy_thresholds import Thresholds

GROUP = "esnet_campaign.policies"
SHIPPED: dict[str, type[Policy]] = {"thresholds": Thresholds, "budget": Budget, "probability": Probability}


class UnknownPolicyError(ValueError):
    """No policy has that name, or what an entry point names is none."""


def known_policies() -> list[str]:
    """Names of all policies, the shipped ones first."""
    return [*SHIPPED, *sorted({entry.name for entry in entry_points(group=GROUP)} - set(SHIPPED))]


def policy_class(kind: str) -> type[Policy]:
    """Class of a policy by its name; a shipped one cannot be replaced by another package's.

    Raises
    ------
    UnknownPolicyError
        Naming those that there are.
    """
    if kind in SHIPPED:
        return SHIPPED[kind]
    for entry in entry_points(group=GROUP, name=kind):
        found = entry.load()
        if not (isinstance(found, type) and issubclass(found, Policy)):
            raise UnknownPolicyError(f"the entry point {kind!r} of {GROUP} is {entry.value}, which is not a Policy")
        return found
    raise UnknownPolicyError(f"no policy is called {kind!r}; right: one of {', '.join(known_policies())}")


def make_policy(settings: dict[str, Any]) -> Policy:
    """Policy from its stored settings; ``kind`` names it, thresholds by default."""
    return policy_class(settings.get("kind", "thresholds")).model_validate(settings)
