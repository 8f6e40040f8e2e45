"""The scorers that a campaign file may name."""

from collections.abc import Mapping
from typing import Any

from campaign.config.plugins import Kinds
from campaign.scorers.base import Scorer
from campaign.scorers.baseline import Baseline
from campaign.scorers.ensemble import Ensemble
from campaign.scorers.esnet import Esnet
from campaign.scorers.force_field import ForceField
from campaign.scorers.relaxation import FORMER_GUARDS


class UnknownScorerError(ValueError):
    """No scorer has that name, or what an entry point names is none."""


SCORERS: Kinds[Scorer] = Kinds(
    noun="scorer",
    base=Scorer,  # type: ignore[type-abstract]
    shipped={"esnet": Esnet, "force_field": ForceField, "ensemble": Ensemble, "baseline": Baseline},
    group="esnet_campaign.scorers",
    unknown=UnknownScorerError,
)


def make_scorer(settings: dict[str, Any], context: dict[str, Any] | None = None) -> Scorer:
    """Scorer from its stored settings; ``kind`` names it, esnet by default.

    ``context`` has the folder that paths in a campaign file are relative to, ``base_dir``.
    """
    return SCORERS.class_of(settings.get("kind", "esnet")).model_validate(settings, context=context)


def stored_scorer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a stored campaign's scorer; one from before there were guards to set keeps those of its time."""
    if settings.get("kind") == "force_field" and "guards" not in settings:
        return {**settings, "guards": dict(FORMER_GUARDS)}
    return dict(settings)
