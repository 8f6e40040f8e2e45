"""Best first, until the CPU-hours are spent."""

from typing import Literal

from pydantic import Field

from campaign.policies.base import Policy, Prediction, Verdict


class BestFirst(Policy):
    """Relax candidates in order of E_hull(ML), lowest first, until the CPU-hours are spent.

    Screens run one after the other: before the last one, the relaxations may take at most the same fraction of the
    hours
    as that of all candidates decided on so far. The remaining hours go to the best of all held candidates.
    """

    kind: Literal["best_first"] = Field(default="best_first", description="best_first")
    cpu_hours: float = Field(ge=0.0, description="CPU-hours for the relaxations of candidates")

    def verdict(self, prediction: Prediction) -> Verdict:
        """Accept every candidate; the order decides."""
        return Verdict(True, f"E_hull(ML) = {prediction.e_hull:.3f} eV/atom, best first")

    def relaxation_cpu_hours(self) -> float | None:
        """Return the CPU-hours of the policy."""
        return self.cpu_hours

    def describe(self) -> str:
        """Return a one-line description of the promoted candidates."""
        return f"the lowest E_hull(ML) first, until {self.cpu_hours:g} CPU-hours of relaxations are spent"
