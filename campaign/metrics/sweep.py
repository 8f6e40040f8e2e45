"""Metrics of other thresholds, over a grid of E_f(ML) and E_hull(ML), and the best of them.

Counts come from a two-dimensional histogram and its cumulative sums, so a sweep needs one pass over the candidates and
memory for the grid, however many thresholds it has.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from campaign.metrics.metrics import (
    Costs,
    Floats,
    Metrics,
    as_booleans,
    as_json,
    discoverability,
    effective_cost,
    f1_score,
    finite_or_none,
    metrics_of_counts,
    ratio,
    saving,
    success_ratio,
)

Criterion = Literal["f1", "c_eff", "budget"]
Counts = NDArray[np.int64]


#: The paper's ranges, eV/atom: both ends, and the number of thresholds.
FORMATION_ENERGY_GRID = (-0.25, 0.25, 51)
HULL_ENERGY_GRID = (0.0, 1.0, 101)


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """The best thresholds of a sweep.

    Attributes
    ----------
    criterion
        ``f1``, ``c_eff`` or ``budget``.
    max_formation_energy, max_hull_energy
        Thresholds, eV/atom: promoted if both predictions are at most these.
    cpu_s
        Cost of all IS-DOS and the promoted relaxations, CPU-s; NaN if unknown.
    metrics
        Metrics of the thresholds.
    """

    criterion: Criterion
    max_formation_energy: float
    max_hull_energy: float
    cpu_s: float
    metrics: Metrics

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types."""
        return asdict(self) | {"cpu_s": finite_or_none(self.cpu_s), "metrics": self.metrics.to_dict()}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Metrics for every pair of thresholds; arrays have the shape (n, m).

    Attributes
    ----------
    max_formation_energy, max_hull_energy
        Thresholds, eV/atom, rising, shapes (n,) and (m,).
    n_candidates, n_stable
        Number of candidates, and of stable ones.
    promoted, tp
        Number of candidates below both thresholds, and of stable ones among them.
    relax_cpu_s
        Cost of relaxing the promoted, CPU-s; NaN if unknown.
    costs
        Mean costs of one candidate; None if unknown.
    """

    max_formation_energy: Floats
    max_hull_energy: Floats
    n_candidates: int
    n_stable: int
    promoted: Counts
    tp: Counts
    relax_cpu_s: Floats
    costs: Costs | None

    @property
    def _known_costs(self) -> Costs:
        return self.costs or Costs(c_pre=np.nan, c_opt=np.nan)

    @property
    def fp(self) -> Counts:
        """Number promoted and not stable."""
        return self.promoted - self.tp

    @property
    def fn(self) -> Counts:
        """Number stable and not promoted."""
        return self.n_stable - self.tp

    @property
    def success_ratio(self) -> Floats:
        """Precision; NaN if nothing is promoted."""
        return success_ratio(self.tp, self.fp)

    @property
    def discoverability(self) -> Floats:
        """Recall; NaN if nothing is stable."""
        return discoverability(self.tp, self.fn)

    @property
    def f1(self) -> Floats:
        """F1."""
        return f1_score(self.tp, self.fp, self.fn)

    @property
    def ppcr(self) -> Floats:
        """Promoted / all."""
        return ratio(self.promoted, self.n_candidates)

    @property
    def c_eff(self) -> Floats:
        """(C_opt PPCR + C_pre) / discoverability with mean costs, CPU-s; infinite if nothing is found."""
        return effective_cost(self.ppcr, self.discoverability, self._known_costs)

    @property
    def saving(self) -> Floats:
        """Fraction of CPU-seconds saved compared with relaxing everything, counting the IS-DOS, with mean costs."""
        return saving(self.ppcr, self._known_costs)

    @property
    def cpu_s(self) -> Floats:
        """Cost of all IS-DOS and the relaxations of the promoted, CPU-s."""
        return self._known_costs.c_pre * self.n_candidates + self.relax_cpu_s

    def metrics_at(self, i: int, j: int) -> Metrics:
        """Return the metrics of the i-th threshold in E_f and the j-th in E_hull."""
        return metrics_of_counts(
            n_candidates=self.n_candidates,
            n_promoted=int(self.promoted[i, j]),
            tp=int(self.tp[i, j]),
            fp=int(self.fp[i, j]),
            fn=int(self.fn[i, j]),
            costs=self.costs,
        )

    def optimum(self, criterion: Criterion, *, cpu_hours: float | None = None) -> Optimum | None:
        """Return the best thresholds.

        Parameters
        ----------
        criterion
            ``f1``: the highest; ``c_eff``: the lowest; ``budget``: most stable ones found within `cpu_hours`. Ties are
            broken by the fewest promoted, then the lowest thresholds.
        cpu_hours
            Limit for IS-DOS and relaxations together.

        Returns
        -------
        Optimum or None
            None if nothing is stable, costs are missing, or the budget does not cover the IS-DOS.

        Raises
        ------
        ValueError
            If ``budget`` is used without `cpu_hours`, or the criterion is unknown.
        """
        if criterion == "f1":
            score = self.f1
        elif criterion == "c_eff":
            score = -self.c_eff
        elif criterion == "budget":
            if cpu_hours is None:
                raise ValueError("the optimum by budget needs cpu_hours")
            # tolerance of a hundredth of a second for sums of costs
            score = np.where(self.cpu_s <= cpu_hours * 3600.0 + 0.01, self.tp.astype(float), np.nan)
        else:
            raise ValueError(f"criterion: found {criterion!r}; right: f1, c_eff or budget")
        usable = np.isfinite(score)
        if not usable.any():
            return None
        best = usable & (score == score[usable].max())
        indices = np.argwhere(best)
        i, j = (int(place) for place in indices[np.argmin(self.promoted[best])])
        return Optimum(
            criterion=criterion,
            max_formation_energy=float(self.max_formation_energy[i]),
            max_hull_energy=float(self.max_hull_energy[j]),
            cpu_s=float(self.cpu_s[i, j]),
            metrics=self.metrics_at(i, j),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return thresholds, counts, F1 and C_eff in JSON types; None if undefined or infinite."""
        return {
            "max_formation_energy": self.max_formation_energy.tolist(),
            "max_hull_energy": self.max_hull_energy.tolist(),
            "n_candidates": self.n_candidates,
            "n_stable": self.n_stable,
            "promoted": self.promoted.tolist(),
            "tp": self.tp.tolist(),
            "f1": as_json(self.f1),
            "c_eff": as_json(self.c_eff),
        }


def sweep_thresholds(
    e_form: ArrayLike,
    e_hull: ArrayLike,
    stable: ArrayLike,
    *,
    costs: Costs | None = None,
    relax_cpu_s: ArrayLike | None = None,
    max_formation_energy: ArrayLike | None = None,
    max_hull_energy: ArrayLike | None = None,
) -> Sweep:
    """Count the candidates promoted by every pair of thresholds.

    Parameters
    ----------
    e_form, e_hull
        Predictions, eV/atom, shape (n,); NaN, a missing one, is never promoted.
    stable
        The truth, booleans, shape (n,).
    costs
        Mean costs of one candidate; None if unknown.
    relax_cpu_s
        Cost of each relaxation, CPU-s, shape (n,), for the optimum by budget. If None, each costs C_opt.
    max_formation_energy, max_hull_energy
        Thresholds, eV/atom, strictly increasing. If None, the paper's ranges in steps of 0.01.

    Raises
    ------
    ValueError
        If shapes differ, a truth or a cost is missing, or thresholds do not rise.
    """
    form, hull = np.asarray(e_form, dtype=np.float64), np.asarray(e_hull, dtype=np.float64)
    truth = as_booleans(stable, name="stable")
    if not form.shape == hull.shape == truth.shape:
        raise ValueError(f"shapes differ: e_form {form.shape}, e_hull {hull.shape}, stable {truth.shape}")
    rows = _thresholds(max_formation_energy, FORMATION_ENERGY_GRID, "max_formation_energy")
    columns = _thresholds(max_hull_energy, HULL_ENERGY_GRID, "max_hull_energy")
    # first threshold that a candidate passes; one past the last if none, as for NaN, which sorts last
    cell = np.searchsorted(rows, form) * (len(columns) + 1) + np.searchsorted(columns, hull)
    shape = (len(rows) + 1, len(columns) + 1)
    promoted = _let_through(cell, shape)
    if relax_cpu_s is None:
        relax = promoted * (np.nan if costs is None else costs.c_opt)
    else:
        each = np.asarray(relax_cpu_s, dtype=np.float64)
        if each.shape != form.shape or not np.isfinite(each).all():
            raise ValueError(f"relax_cpu_s: expected {len(form)} finite costs in CPU-s, one for each candidate")
        relax = _let_through(cell, shape, weights=each)
    return Sweep(
        max_formation_energy=rows,
        max_hull_energy=columns,
        n_candidates=len(form),
        n_stable=int(truth.sum()),
        promoted=promoted,
        tp=_let_through(cell[truth], shape),
        relax_cpu_s=relax,
        costs=costs,
    )


def _thresholds(given: ArrayLike | None, default: tuple[float, float, int], name: str) -> Floats:
    if given is None:
        return np.round(np.linspace(*default), 10)  # rounded, so that -0.02 is the number that people write
    thresholds = np.asarray(given, dtype=np.float64)
    if thresholds.ndim != 1 or not len(thresholds) or not np.isfinite(thresholds).all():
        raise ValueError(f"{name}: expected a row of finite thresholds, found {given!r}")
    if (np.diff(thresholds) <= 0.0).any():
        raise ValueError(f"{name}: thresholds must rise strictly")
    return thresholds


def _let_through(cell: NDArray[np.intp], shape: tuple[int, int], *, weights: Floats | None = None) -> NDArray[Any]:
    """Return the number (or sum of weights) of candidates in each cell or a lower one, without cells past the grid."""
    histogram = np.bincount(cell, weights=weights, minlength=shape[0] * shape[1]).reshape(shape)
    return histogram.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
