"""A policy: what is predicted close to the hull, unless its relaxation would cost too much."""

from typing import Literal

from pydantic import Field

from campaign.policies.base import Policy, Prediction, Verdict


class Affordable(Policy):
    """Promote what is near the hull and cheap to relax. Pure: the same prediction always gives the same verdict."""

    kind: Literal["affordable"] = "affordable"
    max_hull_energy: float = Field(default=0.1, ge=-20.0, le=20.0, description="largest E_hull(ML) in eV/atom")
    max_relax_cpu_s: float = Field(default=10_000.0, gt=0.0, description="largest expected cost of one in CPU-s")

    def verdict(self, prediction: Prediction) -> Verdict:
        """Say whether, and why: the reason is stored with the decision."""
        near = prediction.e_hull <= self.max_hull_energy
        cheap = prediction.relax_cpu_s <= self.max_relax_cpu_s
        reason = (
            f"E_hull(ML) = {prediction.e_hull:.3f} against {self.max_hull_energy:g} eV/atom, "
            f"expected cost {prediction.relax_cpu_s:.0f} against {self.max_relax_cpu_s:g} CPU-s"
        )
        return Verdict(near and cheap, reason)

    def describe(self) -> str:
        """Say it in one line."""
        return f"E_hull(ML) <= {self.max_hull_energy:g} eV/atom and at most {self.max_relax_cpu_s:g} CPU-s each"
