"""What a policy is: which candidates deserve a DFT relaxation, in which order, and why.

A policy looks at one candidate at a time and knows nothing of budgets; `campaign.policies.decide.decide` puts its
verdicts in order, spends what may be spent and sets the audit sample aside. The same code decides in a Screen, in
``campaign decide --dry-run`` and in a replay.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from campaign.config.strict_model import StrictModel
from esnet.files.errors import UserError
from esnet.scoring import prediction as scoring


@dataclass(frozen=True, kw_only=True)
class Prediction(scoring.Prediction):
    """A scorer's prediction, with its distance to the hull and the cost of testing it: what a policy decides on.

    Attributes
    ----------
    e_form
        Predicted formation energy of the relaxed crystal, eV/atom; NaN where there is none.
    e_hull
        Predicted distance to the hull, eV/atom; NaN where there is none. It is as uncertain as `e_form`: the hull is
        known.
    relax_cpu_s
        Estimated cost of its relaxation, CPU-s.
    is_paid
        Its relaxation has been paid for (the audit had it relaxed): it is judged as all others, and costs nothing more.
    prefiltered
        Why the prefilter has rejected it: whatever is predicted now, only the audit may have it relaxed. None: it has
        not.
    """

    e_form: float
    e_hull: float
    relax_cpu_s: float = 0.0
    is_paid: bool = False
    prefiltered: str | None = None

    @property
    def to_pay_cpu_s(self) -> float:
        """What of a budget its relaxation still takes, CPU-s."""
        return 0.0 if self.is_paid else self.relax_cpu_s

    @property
    def is_known(self) -> bool:
        """Whether there is a prediction."""
        return not (math.isnan(self.e_form) or math.isnan(self.e_hull))


class Verdict(NamedTuple):
    """Whether a policy would relax a candidate if it cost nothing, and why, in words and numbers."""

    promising: bool
    reason: str


class NoUncertaintyError(UserError, ValueError):
    """A policy that goes by uncertainties meets predictions that have none: it would promote nothing."""


def without_uncertainty(kind: str) -> str:
    """Say why a policy cannot work, wherever that is seen; what would be right is for the caller to add."""
    return f"nothing gives an uncertainty here, so the policy {kind} would reject everything"


class Policy(StrictModel, ABC):
    """One way to choose; also the section ``policy`` of a campaign file.

    To add one: a subclass with its own ``kind`` (``kind: Literal["mine"] = "mine"``), its settings as fields and
    `verdict`; then an entry point ``mine = "package.module:Class"`` in the group ``esnet_campaign.policies`` of your
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
        """Judge a candidate that has a prediction, and by `novel` one unlike the training data."""
        if prediction.prefiltered is not None:
            return Verdict(False, prediction.prefiltered)
        found = self.verdict(prediction)
        if self.novel == "ignore" or not prediction.novel:
            return found
        reason = f"unlike what the model was trained on (policy.novel: {self.novel}); {found.reason}"
        return Verdict(self.novel == "promote", reason)

    @abstractmethod
    def verdict(self, prediction: Prediction) -> Verdict:
        """Judge a candidate that has a prediction."""

    def priority(self, prediction: Prediction) -> tuple[float, ...]:
        """Sort key among the candidates of a Screen, the smallest first. By default the lowest E_hull(ML)."""
        return (prediction.e_hull, prediction.e_form)

    def relaxation_cpu_hours(self) -> float | None:
        """CPU-hours that the relaxations chosen by this policy may cost altogether; None: it sets no limit itself."""
        return None

    def paces(self) -> bool:
        """Whether Screens share what limits relaxations, since the first ones would spend all of it else."""
        return self.relaxation_cpu_hours() is not None

    def reseeded(self, seed: int) -> Self:
        """Return it as a replay with that seed uses it: by default itself, since most policies draw nothing."""
        return self

    def needs_uncertainty(self) -> bool:
        """Whether it promotes nothing if predictions have no standard deviation."""
        return False

    def describe(self) -> str:
        """Say in one line which candidates are promoted."""
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """Return its kind and settings as they are stored with every decision."""
        return self.model_dump(mode="json")
