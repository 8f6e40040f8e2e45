"""Promote candidates that are stable with a probability of at least p."""

from abc import ABC
from statistics import NormalDist
from typing import Literal

from pydantic import Field

from campaign.config.strict_model import EnergyPerAtom
from campaign.policies.base import Policy, Prediction, Verdict


class StableProbability(Policy, ABC):
    """A policy based on P(E_f <= max_formation_energy and E_hull <= max_hull_energy).

    The relaxed formation energy is assumed to be normally distributed about the prediction with the scorer's standard
    deviation. The hull is known exactly, so E_hull = E_f - E_f(hull), and both conditions are conditions on E_f: the
    probability is that of the stricter one.
    """

    max_formation_energy: EnergyPerAtom = Field(default=0.0, description="largest E_f in eV/atom that counts as stable")
    max_hull_energy: EnergyPerAtom = Field(default=0.1, description="largest E_hull in eV/atom that counts as stable")
    uncertainty: float | None = Field(
        default=None,
        gt=0.0,
        le=20.0,
        description="standard deviation in eV/atom for predictions without one; null: such candidates are rejected",
    )

    def probability(self, prediction: Prediction) -> float | None:
        """Return the probability of being stable; None without a standard deviation."""
        deviation = self._deviation(prediction)
        if deviation is None:
            return None
        slack = min(self.max_formation_energy - prediction.e_form, self.max_hull_energy - prediction.e_hull)
        if deviation <= 0.0:
            return float(slack >= 0.0)
        return NormalDist().cdf(slack / deviation)

    def _deviation(self, prediction: Prediction) -> float | None:
        return prediction.uncertainty if prediction.uncertainty is not None else self.uncertainty

    def inputs(self, prediction: Prediction) -> str:
        """Return a description of the numbers that the probability was computed from."""
        assumed = "" if prediction.uncertainty is not None else " (the policy's)"
        return (
            f"from E_f(ML) = {prediction.e_form:.3f}, E_hull(ML) = {prediction.e_hull:.3f}, deviation "
            f"{self._deviation(prediction):.3f}{assumed}"
        )

    def needs_uncertainty(self) -> bool:
        """Return True unless the policy assumes a standard deviation."""
        return self.uncertainty is None

    def limits(self) -> str:
        """Return the definition of stable as text."""
        return f"E_f <= {self.max_formation_energy:g} and E_hull <= {self.max_hull_energy:g} eV/atom"


class Probability(StableProbability):
    """Promote if P(E_f <= max_formation_energy and E_hull <= max_hull_energy) >= `p`; most probable first."""

    kind: Literal["probability"] = Field(default="probability", description="probability")
    p: float = Field(
        default=0.5,
        gt=0.0,
        lt=1.0,
        description="smallest probability of being stable at which a candidate is promoted, between 0 and 1",
    )

    def verdict(self, prediction: Prediction) -> Verdict:
        """Compare the probability with `p`."""
        found = self.probability(prediction)
        if found is None:
            return without_deviation()
        return Verdict(
            found >= self.p,
            f"P(stable) = {found:.3f} {'>=' if found >= self.p else '<'} {self.p:g}, {self.inputs(prediction)}",
        )

    def priority(self, prediction: Prediction) -> tuple[float, ...]:
        """Order by probability, highest first."""
        found = self.probability(prediction)
        return (1.0 - found if found is not None else 2.0, prediction.e_hull, prediction.e_form)

    def describe(self) -> str:
        """Return a one-line description of the promoted candidates."""
        return f"P({self.limits()}) >= {self.p:g}"


def without_deviation() -> Verdict:
    """Return the verdict on a prediction without standard deviation, if the policy assumes none either."""
    return Verdict(False, "the scorer gives no uncertainty for it (an element it has never seen?), and the policy none")
