"""The paper's policy: a threshold for each of the two predicted energies."""

from typing import Literal

from pydantic import Field

from campaign.config.strict_model import EnergyPerAtom
from campaign.policies.base import Policy, Prediction, Verdict


class Thresholds(Policy):
    """Promote if E_f(ML) and E_hull(ML) are both at most their thresholds; the defaults are the paper's for ESNet."""

    kind: Literal["thresholds"] = Field(default="thresholds", description="thresholds")
    max_formation_energy: EnergyPerAtom = Field(
        default=-0.02, description="promoted if the predicted formation energy in eV/atom is at most this"
    )
    max_hull_energy: EnergyPerAtom = Field(
        default=0.13, description="promoted if the predicted energy above the hull in eV/atom is at most this"
    )

    def verdict(self, prediction: Prediction) -> Verdict:
        """Compare both predictions with their thresholds."""
        comparisons = [
            ("E_f(ML)", prediction.e_form, self.max_formation_energy),
            ("E_hull(ML)", prediction.e_hull, self.max_hull_energy),
        ]
        reason = "; ".join(
            f"{name} = {value:.3f} {'<=' if value <= limit else '>'} {limit:g} eV/atom"
            for name, value, limit in comparisons
        )
        return Verdict(all(value <= limit for _, value, limit in comparisons), reason)

    def describe(self) -> str:
        """Return a one-line description of the promoted candidates."""
        return f"E_f(ML) <= {self.max_formation_energy:g} and E_hull(ML) <= {self.max_hull_energy:g} eV/atom"
