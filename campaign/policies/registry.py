"""The policies available in a campaign file."""

from typing import Any

from campaign.config.plugins import Kinds
from campaign.policies.base import Policy
from campaign.policies.best_first import BestFirst
from campaign.policies.expected_yield import ExpectedYield
from campaign.policies.probability import Probability
from campaign.policies.thresholds import Thresholds


class UnknownPolicyError(ValueError):
    """No policy has this name, or an entry point names something else."""


POLICIES: Kinds[Policy] = Kinds(
    noun="policy",
    base=Policy,  # type: ignore[type-abstract]
    shipped={
        "thresholds": Thresholds,
        "best_first": BestFirst,
        "probability": Probability,
        "expected_yield": ExpectedYield,
    },
    group="esnet_campaign.policies",
    unknown=UnknownPolicyError,
    renamed={"budget": "best_first"},
)


def make_policy(settings: dict[str, Any]) -> Policy:
    """Return the policy of stored settings; ``kind`` names it, by default thresholds."""
    settings = POLICIES.current(settings)
    return POLICIES.class_of(settings.get("kind", "thresholds")).model_validate(settings)
