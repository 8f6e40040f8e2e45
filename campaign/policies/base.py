"""Base class of policies, which decide which candidates deserve a DFT relaxation, in which order, and why.

A policy judges one candidate at a time and knows no budget; `campaign.policies.decide.decide` orders its verdicts,
applies the budget and sets the audit sample aside. The same code decides in a Screen, in ``campaign decide --dry-run``
and in a replay.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from campaign.config.strict_model import StrictModel
from esnet.files.errors import UserError
from esnet.scoring import prediction as scoring


@dataclass(frozen=True, kw_only=True)
class Prediction(scoring.Prediction):
    """A scorer's prediction with its energy above the hull and the cost of a relaxation: the input of a policy.

    Attributes
    ----------
    e_form
        Predicted formation energy of the relaxed crystal, eV/atom; NaN if there is none.
    e_hull
        Predicted energy above the hull, eV/atom; NaN if there is none. It is as uncertain as `e_form`, since the hull
        is known.
    relax_cpu_s
        Estimated cost of the relaxation, CPU-s.
    is_paid
        Whether its relaxation has been paid for by the audit: it is judged like all others, but costs nothing more.
    prefiltered
        Why the prefilter rejected it, or None. A rejected candidate can only be relaxed for the audit, whatever its
        prediction.
    """

    e_form: float
    e_hull: float
    relax_cpu_s: float = 0.0
    is_paid: bool = False
    prefiltered: str | None = None

    @property
    def to_pay_cpu_s(self) -> float:
        """Cost that its relaxation still takes from the budget, CPU-s."""
        return 0.0 if self.is_paid else self.relax_cpu_s

    @property
    def is_known(self) -> bool:
        """Whether there is a prediction."""
        return not (math.isnan(self.e_form) or math.isnan(self.e_hull))


class Verdict(NamedTuple):
    """Whether a policy would relax a candidate regardless of cost, and the reason, in words and numbers."""

    promising: bool
    reason: str


class NoUncertaintyError(UserError, ValueError):
    """The policy needs uncertainties and predictions have none, so it would promote nothing."""


def without_uncertainty(kind: str) -> str:
    """Return why a policy cannot work; callers add what would be right."""
    return f"nothing gives an uncertainty here, so the policy {kind} would reject everything"


class Policy(StrictModel, ABC):
    """A way to choose candidates; also the section ``policy`` of a campaign file.

    To add one, write a subclass with its own ``kind`` (``kind: Literal["mine"] = "mine"``), its settings as fields, and
    `verdict`; then add an entry point ``mine = "package.module:Class"`` in the group ``esnet_campaign.policies`` of
    your
    package (docs/explanation/decisions.md). It must be pure: the same settings and prediction give the same verdict.
    """

    kind: str
    audit: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="fraction of the rejected candidates that are relaxed anyway, chosen at random, to estimate the "
        "discoverability (0: none)",
    )

    novel: Literal["ignore", "reject", "promote", "audit"] = Field(
        default="ignore",
        description="candidates unlike the training data: ignore (treated as all others), reject, promote, or audit "
        "(rejected; requires an audit fraction, which relaxes some of them)",
    )

    @model_validator(mode="after")
    def _novel_are_audited(self) -> Self:
        if self.novel == "audit" and not self.audit:
            raise ValueError("found novel: audit with audit: 0, so none would be relaxed; right: audit: 0.05, say")
        return self

    def judge(self, prediction: Prediction) -> Verdict:
        """Judge a candidate with a prediction; one unlike the training data is judged by `novel`."""
        if prediction.prefiltered is not None:
            return Verdict(False, prediction.prefiltered)
        found = self.verdict(prediction)
        if self.novel == "ignore" or not prediction.novel:
            return found
        reason = f"unlike what the model was trained on (policy.novel: {self.novel}); {found.reason}"
        return Verdict(self.novel == "promote", reason)

    @abstractmethod
    def verdict(self, prediction: Prediction) -> Verdict:
        """Judge a candidate with a prediction."""

    def is_near(self, prediction: Prediction) -> bool:
        """Whether it would be promoted if its energies were lower by one standard deviation; False without one."""
        if not (prediction.is_known and prediction.uncertainty):
            return False
        deviation = prediction.uncertainty
        lower = replace(prediction, e_form=prediction.e_form - deviation, e_hull=prediction.e_hull - deviation)
        return self.judge(lower).promising

    def priority(self, prediction: Prediction) -> tuple[float, ...]:
        """Return the sort key among the candidates of a Screen, smallest first; by default lowest E_hull(ML) first."""
        return (prediction.e_hull, prediction.e_form)

    def relaxation_cpu_hours(self) -> float | None:
        """Return the CPU-hours that the relaxations chosen by this policy may cost in total; None: no limit of
        its own.
        """
        return None

    def paces(self) -> bool:
        """Whether the relaxation budget is spread over the Screens, because the first ones would otherwise spend all of
        it.
        """
        return self.relaxation_cpu_hours() is not None

    def reseeded(self, seed: int) -> Self:
        """Return the policy as used by a replay with this seed; by default itself, since most policies draw nothing."""
        return self

    def needs_uncertainty(self) -> bool:
        """Whether it promotes nothing if predictions have no standard deviation."""
        return False

    def describe(self) -> str:
        """Return a one-line description of the promoted candidates."""
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """Return kind and settings as stored with every decision."""
        return self.model_dump(mode="json")
