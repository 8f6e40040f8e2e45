"""The scorers available in a campaign file."""

from collections.abc import Mapping
from typing import Any

from campaign.config.plugins import Kinds
from campaign.scorers.base import Scorer
from campaign.scorers.combined import COMBINE, COMBINED, Combined
from campaign.scorers.members import MEMBERS, UnknownScorerError
from campaign.scorers.relaxation import FORMER_GUARDS

SCORERS: Kinds[Scorer] = Kinds(
    noun="scorer",
    base=Scorer,  # type: ignore[type-abstract]
    shipped={**MEMBERS.shipped, COMBINED: Combined},
    group=MEMBERS.group,
    unknown=UnknownScorerError,
    implied={COMBINE: COMBINED},
    lists={COMBINED: (COMBINE, MEMBERS)},
)


def make_scorer(settings: dict[str, Any], context: dict[str, Any] | None = None) -> Scorer:
    """Return the scorer of stored settings, named by ``kind``; by default combined if there is ``combine``, otherwise
    esnet.

    ``context["base_dir"]`` is the folder that paths in a campaign file are relative to.
    """
    settings = SCORERS.current(settings)
    return SCORERS.class_of(settings.get("kind", "esnet")).model_validate(settings, context=context)


def stored_scorer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a stored campaign's scorer; one that predates guards keeps those of its time."""
    if settings.get("kind") == "force_field" and "guards" not in settings:
        return {**settings, "guards": dict(FORMER_GUARDS)}
    return dict(settings)
