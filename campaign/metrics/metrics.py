"""The quality of decisions: success ratio, discoverability, cost and saving. Pure numpy.

Definitions: docs/reference/metrics.md. Functions of counts accept numbers or arrays of any shape, so that a campaign, a
sweep over thresholds and a replay share the same code.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from campaign.policies.cost_model import PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Mean cost of one candidate.

    Attributes
    ----------
    c_pre, c_opt
        Cost of its IS-DOS and of its relaxation, CPU-s.

    Examples
    --------
    >>> import campaign
    >>> costs = campaign.Costs(c_pre=108.506, c_opt=3107.0)
    >>> round(campaign.screening_metrics([True, False], [True, False], costs=costs).saving, 3)
    0.465
    """

    c_pre: float
    c_opt: float


PUBLISHED_COSTS = Costs(c_pre=PUBLISHED_DOS_CPU_S, c_opt=PUBLISHED_RELAX_CPU_S)


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Quality of the decisions on a set of candidates.

    Ratios 0/0 and values that depend on unknown ones are NaN (None in `to_dict`).

    Attributes
    ----------
    n_candidates, n_promoted
        Number of candidates decided on, and of promoted ones; those without a prediction count as not promoted.
    tp, fp
        Promoted and stable, promoted and not stable.
    fn, tn
        Not promoted and stable, not promoted and not stable. In a live campaign these are estimates, as are TP and FP
        while relaxations are open, and may not be integers.
    success_ratio
        Precision, TP / (TP + FP).
    discoverability
        Recall, TP / (TP + FN).
    f1
        2 TP / (2 TP + FP + FN).
    prevalence
        Fraction of stable ones among all candidates, (TP + FN) / candidates.
    daf
        Discovery acceleration factor, success ratio / prevalence.
    ppcr
        Predicted positive condition rate, promoted / candidates.
    c_pre, c_opt
        Mean cost of an IS-DOS and of a relaxation, CPU-s.
    c_eff
        (C_opt PPCR + C_pre) / discoverability, CPU-s per candidate considered; infinite if nothing was found (None in
        `to_dict`).
    cpu_s_per_stable
        CPU-s spent per stable material found, (C_opt promoted + C_pre candidates) / TP = C_eff / prevalence.
    saving
        Fraction of CPU-seconds saved compared with relaxing everything, counting the IS-DOS and the audit's
        relaxations.
    saving_relaxations_only
        Fraction of relaxations saved, 1 - PPCR, as quoted in the paper. It ignores the cost of the IS-DOS (and of an
        audit).

    Examples
    --------
    >>> import campaign
    >>> found = campaign.screening_metrics([True, True, False, False], [True, False, False, False])
    >>> found.tp, found.fp, found.daf, found.saving_relaxations_only
    (1, 1, 2.0, 0.5)
    """

    n_candidates: int
    n_promoted: int
    tp: float
    fp: float
    fn: float
    tn: float
    success_ratio: float
    discoverability: float
    f1: float
    prevalence: float
    daf: float
    ppcr: float
    c_pre: float
    c_opt: float
    c_eff: float
    cpu_s_per_stable: float
    saving: float
    saving_relaxations_only: float

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics in JSON types.

        Returns
        -------
        dict
            Values by attribute name; None if undefined, unknown or infinite.

        Examples
        --------
        >>> import campaign
        >>> campaign.screening_metrics([True, False], [True, False]).to_dict()["c_eff"] is None
        True
        """
        return {key: finite_or_none(value) for key, value in asdict(self).items()}


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return the element-wise quotient: NaN for 0/0, infinite for a positive number divided by 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.true_divide(numerator, denominator), dtype=np.float64)


def success_ratio(tp: ArrayLike, fp: ArrayLike) -> Floats:
    """Return the precision, TP / (TP + FP)."""
    return ratio(tp, np.add(tp, fp))


def discoverability(tp: ArrayLike, fn: ArrayLike) -> Floats:
    """Return the recall, TP / (TP + FN)."""
    return ratio(tp, np.add(tp, fn))


def f1_score(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> Floats:
    """Return the harmonic mean of success ratio and discoverability, 2 TP / (2 TP + FP + FN)."""
    twice = np.multiply(2.0, tp)
    return ratio(twice, twice + np.add(fp, fn))


def effective_cost(ppcr: ArrayLike, found: ArrayLike, costs: Costs) -> Floats:
    """Return C_eff = (C_opt PPCR + C_pre) / discoverability, CPU-s; `found` is the discoverability."""
    return ratio(np.multiply(costs.c_opt, ppcr) + costs.c_pre, found)


def saving(relaxed_share: ArrayLike, costs: Costs) -> Floats:
    """Return the fraction of CPU-seconds saved compared with relaxing every candidate, counting the IS-DOS.

    Parameters
    ----------
    relaxed_share
        Relaxed candidates / all candidates; audited ones are relaxed too.
    costs
        Mean costs of one candidate.

    Returns
    -------
    array of float
        1 - (C_opt relaxed_share + C_pre) / C_opt; negative if the IS-DOS cost more than was saved.
    """
    return 1.0 - ratio(np.multiply(costs.c_opt, relaxed_share) + costs.c_pre, costs.c_opt)


def metrics_of_counts(
    *,
    n_candidates: int,
    n_promoted: int,
    tp: float,
    fp: float,
    fn: float = math.nan,
    costs: Costs | None = None,
    n_audited: int = 0,
) -> Metrics:
    """Return the metrics for given counts.

    Parameters
    ----------
    n_candidates, n_promoted
        Number of candidates decided on, and of promoted ones, with a result or not.
    tp, fp
        Promoted ones that are stable and not stable, as far as known (a failed relaxation is neither); NaN if nothing
        is.
    fn
        Stable ones that were not promoted; NaN if unknown, as after a campaign without an audit.
    costs
        Mean costs. If None, they and everything derived from them are unknown.
    n_audited
        Number relaxed without being promoted; they only affect the saving.

    Raises
    ------
    ValueError
        If the counts are inconsistent.
    """
    fits = (
        # allows for rounding of scaled counts; comparisons with NaN (unknown) refuse nothing
        not tp + fp > n_promoted * (1.0 + 1e-9)
        and n_promoted + n_audited <= n_candidates
        and not (tp < 0 or fp < 0 or n_audited < 0)
    )
    if not fits:
        raise ValueError(
            f"counts that do not fit together: {n_candidates} candidates, {n_promoted} promoted, of which {tp} stable "
            f"and {fp} not, {n_audited} audited"
        )
    if fn < 0 or fn > n_candidates - n_promoted:
        raise ValueError(f"{fn} false negatives among {n_candidates - n_promoted} that are not promoted")
    known = costs or Costs(c_pre=math.nan, c_opt=math.nan)
    ppcr = ratio(n_promoted, n_candidates)
    precision, recall = success_ratio(tp, fp), discoverability(tp, fn)
    prevalence = ratio(tp + fn, n_candidates)
    return Metrics(
        n_candidates=n_candidates,
        n_promoted=n_promoted,
        tp=tp,
        fp=fp,
        fn=fn,
        tn=n_candidates - n_promoted - fn,
        success_ratio=float(precision),
        discoverability=float(recall),
        f1=float(f1_score(tp, fp, fn)),
        prevalence=float(prevalence),
        daf=float(ratio(precision, prevalence)),
        ppcr=float(ppcr),
        c_pre=known.c_pre,
        c_opt=known.c_opt,
        c_eff=float(effective_cost(ppcr, recall, known)),
        cpu_s_per_stable=float(ratio(known.c_opt * n_promoted + known.c_pre * n_candidates, tp)),
        saving=float(saving(ratio(n_promoted + n_audited, n_candidates), known)),
        saving_relaxations_only=float(1.0 - ppcr),
    )


def screening_metrics(
    promoted: ArrayLike, stable: ArrayLike, *, costs: Costs | None = None, audited: ArrayLike | None = None
) -> Metrics:
    """Return the metrics of decisions whose truth is known for every candidate.

    Parameters
    ----------
    promoted
        Booleans, shape (n,); None or NaN, a missing prediction, counts as not promoted.
    stable
        The truth, booleans, shape (n,).
    costs
        Mean costs of one candidate; None if unknown.
    audited
        Whether each was relaxed without being promoted, booleans, shape (n,). If None, none was.

    Returns
    -------
    Metrics
        The metrics: fractions from 0 to 1, costs in CPU-s.

    Raises
    ------
    ValueError
        If the shapes differ or a truth is missing.

    Examples
    --------
    >>> import campaign
    >>> found = campaign.screening_metrics([True, True, False, False], [True, False, True, False])
    >>> found.success_ratio, found.discoverability
    (0.5, 0.5)
    """
    chosen, truth = as_booleans(promoted, name="promoted", missing=False), as_booleans(stable, name="stable")
    checked = np.zeros_like(chosen) if audited is None else as_booleans(audited, name="audited", missing=False)
    if not chosen.shape == truth.shape == checked.shape:
        raise ValueError(f"shapes differ: promoted {chosen.shape}, stable {truth.shape}, audited {checked.shape}")
    return metrics_of_counts(
        n_candidates=len(chosen),
        n_promoted=int(chosen.sum()),
        tp=int((chosen & truth).sum()),
        fp=int((chosen & ~truth).sum()),
        fn=int((~chosen & truth).sum()),
        costs=costs,
        n_audited=int((checked & ~chosen).sum()),
    )


def as_booleans(values: ArrayLike, *, name: str, missing: bool | None = None) -> NDArray[np.bool_]:
    """Return an array of booleans, shape (n,), with None and NaN replaced by `missing`.

    Raises
    ------
    ValueError
        If a value is missing and `missing` is None, or a value is neither true nor false.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected a row of booleans, found an array of shape {array.shape}")
    if array.dtype == np.bool_:
        return array
    # numpy reads NaN as True, so missing values are found first
    absent = np.array([value is None or value != value for value in array.tolist()], dtype=bool)
    if absent.any() and missing is None:
        raise ValueError(f"{name}: {absent.sum()} of {len(array)} values are missing, the first at {absent.argmax()}")
    filled = np.where(absent, bool(missing), array)
    wrong = [value for value in filled.tolist() if value not in (True, False)]
    if wrong:
        raise ValueError(f"{name}: expected true or false, found {wrong[0]!r}")
    return filled.astype(bool)


def finite_or_none(value: float) -> float | None:
    """Return a number for JSON: None if undefined, unknown or infinite."""
    return value if math.isfinite(value) else None


def as_json(values: NDArray[Any]) -> list[Any]:
    """Return nested lists of numbers, with None for undefined or infinite ones."""
    plain = values.astype(object)
    plain[~np.isfinite(values)] = None
    return list(plain.tolist())
