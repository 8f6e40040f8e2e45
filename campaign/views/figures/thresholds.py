"""Effect of other thresholds: figures 4a, 4b, A7 and A8 of the paper, from one sweep.

Precision, recall, F1 and C_eff refer to the relaxed candidates, as in ``campaign metrics --sweep``; the saving needs no
truth and refers to all candidates decided on.
"""

from dataclasses import dataclass

import numpy as np

from campaign.metrics.enough import FEWEST_FOR_THRESHOLDS
from campaign.metrics.metrics import Costs, Metrics, screening_metrics
from campaign.metrics.precision_recall import precision_recall
from campaign.metrics.sweep import Sweep, sweep_thresholds
from campaign.policies.thresholds import Thresholds
from campaign.store.campaigns import Campaign
from campaign.views.figures.documents import CandidateColumns, Floats
from campaign.views.metrics.sweep import SweepOfRelaxed

FEWEST_LET_THROUGH = 5
"""Relaxed candidates below which a pair of thresholds has no F1 and no C_eff, to avoid values from a few crystals."""
_MOST_POINTS = 400


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A precision-recall curve over one threshold; arrays of shape (n,).

    Attributes
    ----------
    label
        Name of the varied threshold, and the value of the other one.
    threshold
        eV/atom, increasing.
    precision, recall
        Success ratio and discoverability.
    """

    label: str
    threshold: Floats
    precision: Floats
    recall: Floats


@dataclass(frozen=True, kw_only=True)
class ThresholdFigures:
    """Figures 4a, A7 and A8.

    Attributes
    ----------
    chosen
        The campaign's own thresholds, eV/atom (E_f, E_hull); the best ones by F1 if its policy has none.
    chosen_is_best
        Whether these are the best ones by F1, because the policy has no thresholds.
    at_chosen
        Metrics of the campaign's own decisions among the relaxed.
    curves
        Precision-recall curves over one threshold, with the other as chosen, or open.
    sweep
        All pairs of thresholds; `best` by F1.
    f1
        F1 of every pair of thresholds; NaN where they let through fewer than `FEWEST_LET_THROUGH` relaxed candidates,
        and everywhere below `FEWEST_FOR_THRESHOLDS` of them.
    c_eff
        C_eff, CPU-s, over E_f and over E_hull along the axes of the sweep, with the other threshold as chosen; NaN
        likewise and where no costs are known, infinite where nothing is found.
    saving
        Share of the CPU-seconds saved against relaxing everything, IS-DOS counted, over all decided on; likewise.
    """

    chosen: tuple[float, float]
    chosen_is_best: bool
    at_chosen: Metrics
    curves: list[Curve]
    sweep: SweepOfRelaxed
    f1: Floats
    c_eff: tuple[Floats, Floats]
    saving: tuple[Floats, Floats]

    @property
    def too_few(self) -> str:
        """Return why `f1` or `c_eff` is NaN everywhere although costs are known."""
        return f"Too few yet: no thresholds pass {FEWEST_LET_THROUGH} or more relaxed candidates."


def threshold_figures(
    columns: CandidateColumns, campaign: Campaign, swept: SweepOfRelaxed, costs: Costs
) -> ThresholdFigures | None:
    """Return the figures of ``campaign metrics --sweep``, or None if no relaxed candidate is known to be stable."""
    if not swept.n_relaxed or not swept.sweep.n_stable:
        return None
    best = swept.best_by_f1
    policy = campaign.spec.policy
    if isinstance(policy, Thresholds):
        chosen = (policy.max_formation_energy, policy.max_hull_energy)
    elif best is not None:
        chosen = (best.max_formation_energy, best.max_hull_energy)
    else:
        return None
    known = columns.decided & columns.has_result
    e_form, e_hull, stable = columns.e_form_ml[known], columns.e_hull_ml[known], columns.stable[known]
    forms, hulls = swept.sweep.max_formation_energy, swept.sweep.max_hull_energy
    measured = None if np.isnan(costs.c_pre) or np.isnan(costs.c_opt) else costs
    everything = columns.decided
    nothing = np.zeros(int(everything.sum()), dtype=bool)
    whole = (columns.e_form_ml[everything], columns.e_hull_ml[everything], nothing)
    c_eff, saved = [], []
    for over_form, over_hull in ((forms, [chosen[1]]), ([chosen[0]], hulls)):
        grid = {"max_formation_energy": over_form, "max_hull_energy": over_hull}
        along = sweep_thresholds(e_form, e_hull, stable, costs=measured, **grid)
        c_eff.append(_where_known(along, along.c_eff).ravel())
        saved.append(sweep_thresholds(*whole, costs=measured, **grid).saving.ravel())
    return ThresholdFigures(
        chosen=chosen,
        chosen_is_best=not isinstance(policy, Thresholds),
        at_chosen=screening_metrics(columns.promoted[known], stable, costs=measured),
        curves=_curves(e_form, e_hull, stable, chosen),
        sweep=swept,
        f1=_where_known(swept.sweep, swept.sweep.f1),
        c_eff=(c_eff[0], c_eff[1]),
        saving=(saved[0], saved[1]),
    )


def _where_known(sweep: Sweep, values: Floats) -> Floats:
    known = (sweep.promoted >= FEWEST_LET_THROUGH) & (sweep.n_candidates >= FEWEST_FOR_THRESHOLDS)
    return np.where(known, values, np.nan)


def _curves(e_form: Floats, e_hull: Floats, stable: np.ndarray, chosen: tuple[float, float]) -> list[Curve]:
    lines = {
        f"E_f(ML) moves, E_hull(ML) ≤ {chosen[1]:g}": (e_form, e_hull <= chosen[1]),
        f"E_hull(ML) moves, E_f(ML) ≤ {chosen[0]:g}": (e_hull, e_form <= chosen[0]),
        "E_f(ML) moves alone": (e_form, None),
        "E_hull(ML) moves alone": (e_hull, None),
    }
    curves = []
    for label, (energies, allowed) in lines.items():
        found = precision_recall(energies, stable, allowed=allowed)
        step = max(1, -(-len(found.threshold) // _MOST_POINTS))
        # the last point is the end of the curve: it stays
        last = len(found.threshold) - 1
        indices = np.unique([*range(0, last, step), last]) if step > 1 else slice(None)
        values = {key: getattr(found, key)[indices] for key in ("threshold", "precision", "recall")}
        curves.append(Curve(label=label, **values))
    return curves


def f1_isoline(f1: float) -> tuple[Floats, Floats]:
    """Recall and precision, shape (n,), of all points with one F1: precision = F1 recall / (2 recall - F1)."""
    recall = np.linspace(f1 / (2.0 - f1), 1.0, 60)
    return recall, f1 * recall / (2.0 * recall - f1)
