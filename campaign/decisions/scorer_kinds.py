"""The scorers that a campaign file may name: those that ship, and those that other packages bring."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from campaign.decisions.scorer_esnet import Esnet
from campaign.decisions.scorer_force_field import ForceField
from campaign.decisions.scorers import Scorer

GROUP = "esnet_campaign.scorers"
SHIPPED: dict[str, type[Scorer]] = {"esnet": Esnet, "force_field": ForceField}


class UnknownScorerError(ValueError):
    """No scorer has that name, or what an entry point names is none."""


def known_scorers() -> list[str]:
    """Names of all scorers, the shipped ones first."""
    return [*SHIPPED, *sorted({entry.name for entry in entry_points(group=GROUP)} - set(SHIPPED))]


def scorer_class(kind: str) -> type[Scorer]:
    """Class of a scorer by its name; a shipped one cannot be replaced by another package's.

    Raises
    ------
    UnknownScorerError
        Naming those that there are.
    """
    if kind in SHIPPED:
        return SHIPPED[kind]
    for entry in entry_points(group=GROUP, name=kind):
        found = entry.load()
        if not (isinstance(found, type) and issubclass(found, Scorer)):
            raise UnknownScorerError(f"the entry point {kind!r} of {GROUP} is {entry.value}, which is not a Scorer")
        return found
    raise UnknownScorerError(f"no scorer is called {kind!r}; right: one of {', '.join(known_scorers())}")


def make_scorer(settings: dict[str, Any]) -> Scorer:
    """Scorer from its stored settings; ``kind`` names it, esnet by default."""
    return scorer_class(settings.get("kind", "esnet")).model_validate(settings)
