"""Best first, until the CPU-hours are spent."""

from typing import Literal

from pydantic import Field

from campaign.policies.base import Policy, Prediction, Verdict


class BestFirst(Policy):
    """Every candidate with a prediction deserves a relaxation, the lowest E_hull(ML) first, until the hours are spent.

    Screens come one after the other: until the last one, a Screen may have brought the relaxations to as large a share
    of the hours as the share of all candidates that have been looked at. What is left over goes to the best of all
    that are held.
    """

    kind: Literal["best_first"] = Field(default="best_first", description="best_first")
    cpu_hours: float = Field(ge=0.0, description="CPU-hours for the relaxations of candidates")

    def verdict(self, prediction: Prediction) -> Verdict:
        """Everything is welcome; the order decides."""
        return Verdict(True, f"E_hull(ML) = {prediction.e_hull:.3f} eV/atom, best first")

    def relaxation_cpu_hours(self) -> float | None:
        """Return the hours."""
        return self.cpu_hours

    def describe(self) -> str:
        """Say in one line which candidates are promoted."""
        return f"the lowest E_hull(ML) first, until {self.cpu_hours:g} CPU-hours of relaxations are spent"
