"""Most expected stable materials per CPU-hour of relaxation first, with a fraction of exploration."""

import hashlib
import math
from typing import Literal, Self

from pydantic import Field

from campaign.policies.base import Prediction, Verdict
from campaign.policies.probability import StableProbability, without_deviation


class ExpectedYield(StableProbability):
    """Order by expected stable materials per CPU-hour, P(stable) / expected CPU-hours of the relaxation, highest first.

    A fraction `explore` of the candidates, drawn by id, is judged by one Thompson draw (W. R. Thompson, Biometrika 25,
    285
    (1933)): a formation energy drawn from the prediction's distribution. If the draw is stable, the candidate counts as
    certainly stable; otherwise it keeps its probability. Exploration thus moves uncertain candidates forward, as often
    as
    they are expected to be stable, and moves none back.

    Ordering by value per cost until the budget is spent is optimal for a budget that is large compared with one
    relaxation (G. B. Dantzig, Oper. Res. 5, 266 (1957)).
    """

    kind: Literal["expected_yield"] = Field(default="expected_yield", description="expected_yield")
    min_yield: float = Field(
        default=0.0,
        ge=0.0,
        allow_inf_nan=False,
        description="promoted only if at least this many stable materials are expected for each CPU-hour of "
        "relaxation (0: "
        "all, best first, as far as the budget allows)",
    )
    cpu_hours: float | None = Field(
        default=None,
        ge=0.0,
        allow_inf_nan=False,
        description="CPU-hours for the relaxations of candidates; null: the limit in the section budget",
    )
    explore: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="fraction of the candidates, drawn at random, that count as stable if an energy drawn from the "
        "distribution of their prediction is stable (0: none)",
    )
    seed: int = Field(default=1, ge=0, description="seed of the random draws of `explore`")

    def explored(self, prediction: Prediction) -> bool:
        """Whether it counts as stable because a drawn energy is; depends on id and seed alone."""
        found = self.probability(prediction)
        if not self.explore or found is None:
            return False
        digest = hashlib.sha256(f"explore:{self.seed}:{prediction.id}".encode()).digest()
        chosen, draw = (int.from_bytes(digest[start : start + 8], "big") / 2**64 for start in (0, 8))
        # a uniform draw below P(stable) is equivalent to a drawn energy below the stricter limit
        return chosen < self.explore and draw < found

    def stable_per_cpu_hour(self, prediction: Prediction) -> float | None:
        """Return the expected stable materials per CPU-hour of its relaxation; None without a standard deviation."""
        found = self.probability(prediction)
        if found is None:
            return None
        return _rate(1.0 if self.explored(prediction) else found, prediction.relax_cpu_s)

    def verdict(self, prediction: Prediction) -> Verdict:
        """Compare the expected yield with `min_yield`."""
        probability, rate = self.probability(prediction), self.stable_per_cpu_hour(prediction)
        if probability is None or rate is None:
            return without_deviation()
        promising = rate >= self.min_yield
        explored = ", counted as 1 (explored: an energy drawn from the prediction is stable)"
        return Verdict(
            promising,
            f"{rate:.3g} {'>=' if promising else '<'} {self.min_yield:g} stable per CPU-hour: P(stable) = "
            f"{probability:.3f}{explored if self.explored(prediction) else ''} in {prediction.relax_cpu_s / 3600:.3g} "
            f"CPU-hours, {self.inputs(prediction)}",
        )

    def priority(self, prediction: Prediction) -> tuple[float, ...]:
        """Order by stable materials per CPU-hour, highest first."""
        rate = self.stable_per_cpu_hour(prediction)
        return (math.inf if rate is None else -rate, prediction.e_hull, prediction.e_form)

    def relaxation_cpu_hours(self) -> float | None:
        """Return the policy's CPU-hours, or None if there is no limit."""
        return self.cpu_hours

    def paces(self) -> bool:
        """Return True: with a low `min_yield` the first Screens would otherwise take everything."""
        return True

    def reseeded(self, seed: int) -> Self:
        """Return the policy with the draws of another seed; 1 gives its own."""
        return self.model_copy(update={"seed": self.seed + seed - 1})

    def describe(self) -> str:
        """Return a one-line description of the promoted candidates."""
        parts = ["most stable materials per CPU-hour first"]
        if self.min_yield:
            parts.append(f"at least {self.min_yield:g}")
        if self.cpu_hours is not None:
            parts.append(f"until {self.cpu_hours:g} CPU-hours of relaxations are spent")
        if self.explore:
            parts.append(f"exploring {self.explore:g}")
        return f"{', '.join(parts)}; stable: {self.limits()}"


def _rate(probability: float, cpu_s: float) -> float:
    if cpu_s > 0.0:
        return 3600.0 * probability / cpu_s
    return math.inf if probability > 0.0 else 0.0
