"""Other thresholds applied to a campaign's relaxed candidates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from campaign.metrics.metrics import Costs
from campaign.metrics.precision_recall import PrecisionRecall, precision_recall
from campaign.metrics.sweep import Optimum, Sweep, sweep_thresholds
from campaign.store.collections import Document


@dataclass(frozen=True, kw_only=True)
class SweepOfRelaxed:
    """Other thresholds applied to the candidates with a result.

    Attributes
    ----------
    n_relaxed, n_decided
        Candidates with a result, and all that were decided on.
    sweep
        Counts and metrics for every pair of thresholds.
    optima
        By F1, by C_eff, and by budget if one was given.
    over_e_form, over_e_hull
        Precision-recall curves over one threshold, the other one left open.
    """

    n_relaxed: int
    n_decided: int
    sweep: Sweep
    optima: list[Optimum]
    over_e_form: PrecisionRecall
    over_e_hull: PrecisionRecall

    @property
    def is_biased(self) -> bool:
        """Whether candidates lack a result, so that those with good predictions are over-represented."""
        return self.n_relaxed < self.n_decided

    @property
    def best_by_f1(self) -> Optimum | None:
        """Thresholds of the highest F1; None if no candidate is known to be stable."""
        return next((optimum for optimum in self.optima if optimum.criterion == "f1"), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the sweep as JSON types."""
        return {
            "n_relaxed": self.n_relaxed,
            "n_decided": self.n_decided,
            "is_biased": self.is_biased,
            "optima": [optimum.to_dict() for optimum in self.optima],
            "grid": self.sweep.to_dict(),
            "over_e_form": self.over_e_form.to_dict(),
            "over_e_hull": self.over_e_hull.to_dict(),
        }


def predicted_energies(document: Document) -> tuple[float, float]:
    """Return E_f(ML) and E_hull(ML) of a candidate, eV/atom; NaN if missing."""
    prediction = document.get("prediction") or {}
    e_form, e_hull = (prediction.get(key) for key in ("e_form_per_atom", "e_above_hull"))
    return (math.nan if e_form is None else e_form), (math.nan if e_hull is None else e_hull)


def sweep_relaxed(decided: Sequence[Document], costs: Costs, *, cpu_hours: float | None = None) -> SweepOfRelaxed:
    """Return a comparison of thresholds on the candidates with a result.

    Parameters
    ----------
    decided
        Candidates that were decided on, with their predictions and ``result.stable`` if there is one.
    costs
        Measured means; NaN if nothing has ended.
    cpu_hours
        Budget for a third optimum, CPU-hours.
    """
    relaxed = [document for document in decided if (document.get("result") or {}).get("stable") is not None]
    energies = [predicted_energies(document) for document in relaxed]
    e_form, e_hull = [pair[0] for pair in energies], [pair[1] for pair in energies]
    stable = [bool(document["result"]["stable"]) for document in relaxed]
    known = None if math.isnan(costs.c_pre) or math.isnan(costs.c_opt) else costs
    swept = sweep_thresholds(e_form, e_hull, stable, costs=known)
    optima = [swept.optimum("f1"), swept.optimum("c_eff")]
    if cpu_hours is not None:
        optima.append(swept.optimum("budget", cpu_hours=cpu_hours))
    return SweepOfRelaxed(
        n_relaxed=len(relaxed),
        n_decided=len(decided),
        sweep=swept,
        optima=[optimum for optimum in optima if optimum is not None],
        over_e_form=precision_recall(e_form, stable),
        over_e_hull=precision_recall(e_hull, stable),
    )
