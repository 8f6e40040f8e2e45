"""Which candidates are promoted to a DFT relaxation, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the scorer says of one candidate.

    Attributes
    ----------
    candidate
        Its id.
    e_form
        Predicted formation energy of the relaxed crystal, eV/atom; NaN where there is none.
    e_hull
        Predicted distance to the hull, eV/atom; NaN where there is none.
    """

    candidate: str
    e_form: float
    e_hull: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What happens to one candidate.

    Attributes
    ----------
    candidate
        Its id.
    promoted
        Whether it will be relaxed.
    rank
        Place among the candidates of this Screen by predicted distance to the hull, from 1; None without a prediction.
    reason
        Why, in words and numbers.
    """

    candidate: str
    promoted: bool
    rank: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The paper's policy: promoted where E_f(ML) and E_hull(ML) are both at most their thresholds.

    Attributes
    ----------
    max_formation_energy
        eV/atom; -0.02 is the paper's optimum for ESNet.
    max_hull_energy
        eV/atom; 0.13 is the paper's optimum for ESNet.
    """

    max_formation_energy: float = -0.02
    max_hull_energy: float = 0.13

    def to_dict(self) -> dict[str, Any]:
        """Return the name of the policy and its thresholds, as they are stored with every decision."""
        return {"kind": "thresholds", **asdict(self)}

    def decide(self, predictions: Sequence[Prediction]) -> list[Decision]:
        """Decide on every candidate; one decision each, in the order given.

        A candidate without a prediction is not promoted (SCIENCE.md: missing predictions count as not promoted).
        """
        by_stability = sorted(
            (p for p in predictions if not math.isnan(p.e_hull)),
            key=lambda p: (p.e_hull, p.e_form, p.candidate),
        )
        ranks = {prediction.candidate: rank for rank, prediction in enumerate(by_stability, start=1)}
        return [self._decide(prediction, ranks.get(prediction.candidate)) for prediction in predictions]

    def _decide(self, prediction: Prediction, rank: int | None) -> Decision:
        if rank is None or math.isnan(prediction.e_form):
            reason = "no prediction: its DOS features are missing or cannot be used (see the log of the Screen)"
            return Decision(candidate=prediction.candidate, promoted=False, rank=None, reason=reason)
        comparisons = [
            ("E_f(ML)", prediction.e_form, self.max_formation_energy),
            ("E_hull(ML)", prediction.e_hull, self.max_hull_energy),
        ]
        promoted = all(value <= limit for _, value, limit in comparisons)
        reason = "; ".join(
            f"{name} = {value:.3f} {'<=' if value <= limit else '>'} {limit:g} eV/atom"
            for name, value, limit in comparisons
        )
        return Decision(candidate=prediction.candidate, promoted=promoted, rank=rank, reason=reason)
