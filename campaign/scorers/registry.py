"""The scorers that a campaign file may name."""

from typing import Any

from campaign.config.plugins import Kinds
from campaign.scorers.base import Scorer
from campaign.scorers.baseline import Baseline
from campaign.scorers.esnet import Esnet
from campaign.scorers.force_field import ForceField


class UnknownScorerError(ValueError):
    """No scorer has that name, or what an entry point names is none."""


SCORERS: Kinds[Scorer] = Kinds(
    noun="scorer",
    base=Scorer,  # type: ignore[type-abstract]
    shipped={"esnet": Esnet, "force_field": ForceField, "baseline": Baseline},
    group="esnet_campaign.scorers",
    unknown=UnknownScorerError,
)


def make_scorer(settings: dict[str, Any], context: dict[str, Any] | None = None) -> Scorer:
    """Scorer from its stored settings; ``kind`` names it, esnet by default.

    ``context`` has the folder that paths in a campaign file are relative to, ``base_dir``.
    """
    return SCORERS.class_of(settings.get("kind", "esnet")).model_validate(settings, context=context)
