"""The scorers allowed in ``scorer.combine``: all but the combining one."""

from typing import Any

from campaign.config.plugins import Kinds
from campaign.scorers.base import Scorer
from campaign.scorers.baseline import Baseline
from campaign.scorers.ensemble import Ensemble
from campaign.scorers.esnet import Esnet
from campaign.scorers.force_field import ForceField
from campaign.scorers.single_point import SinglePoint


class UnknownScorerError(ValueError):
    """No scorer has this name, or an entry point names something else."""


MEMBERS: Kinds[Scorer] = Kinds(
    noun="scorer",
    base=Scorer,  # type: ignore[type-abstract]
    shipped={
        "esnet": Esnet,
        "force_field": ForceField,
        "ensemble": Ensemble,
        "baseline": Baseline,
        "single_point": SinglePoint,
    },
    group="esnet_campaign.scorers",
    unknown=UnknownScorerError,
)


def make_member(settings: dict[str, Any], context: dict[str, Any] | None = None) -> Scorer:
    """Return the scorer of stored settings, named by ``kind``; ``context`` as in
    `campaign.scorers.registry.make_scorer`.
    """
    return MEMBERS.class_of(str(settings.get("kind"))).model_validate(settings, context=context)
