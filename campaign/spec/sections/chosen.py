"""Sections whose class is chosen by ``kind``."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny, ValidationInfo

from campaign.policies.base import Policy
from campaign.policies.registry import make_policy
from campaign.scorers.base import Scorer
from campaign.scorers.registry import make_scorer


def _made_by(make: Callable[[dict[str, Any], Any], Any]) -> BeforeValidator:
    def made(value: Any, info: ValidationInfo) -> Any:
        return make(value, info.context) if isinstance(value, dict) else value

    return BeforeValidator(made)


ChosenPolicy = Annotated[SerializeAsAny[Policy], _made_by(lambda settings, _: make_policy(settings))]
ChosenScorer = Annotated[SerializeAsAny[Scorer], _made_by(make_scorer)]
