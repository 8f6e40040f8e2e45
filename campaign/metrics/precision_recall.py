"""Precision-recall curves of predicted energies."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from campaign.metrics.metrics import Floats, as_booleans, as_json, ratio


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Precision and recall at every distinct threshold; arrays have the shape (n,).

    Attributes
    ----------
    threshold
        Distinct predictions, eV/atom, rising: promoted if at most this.
    promoted
        Number of promoted ones.
    precision, recall
        Success ratio and discoverability; recall is NaN if nothing is stable.
    """

    threshold: Floats
    promoted: NDArray[np.int64]
    precision: Floats
    recall: Floats

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types."""
        return {key: as_json(values) for key, values in asdict(self).items()}


def precision_recall(predicted: ArrayLike, stable: ArrayLike, *, allowed: ArrayLike | None = None) -> PrecisionRecall:
    """Return the precision-recall curve over one threshold.

    Parameters
    ----------
    predicted
        Predictions, eV/atom, shape (n,); NaN is never promoted, but counts in the recall if stable.
    stable
        The truth, booleans, shape (n,).
    allowed
        Whether each passes the other threshold, booleans, shape (n,). If None, all do.

    Raises
    ------
    ValueError
        If shapes differ or a truth is missing.
    """
    energies, truth = np.asarray(predicted, dtype=np.float64), as_booleans(stable, name="stable")
    passed = np.ones_like(truth) if allowed is None else as_booleans(allowed, name="allowed")
    if not energies.shape == truth.shape == passed.shape:
        raise ValueError(f"shapes differ: predicted {energies.shape}, stable {truth.shape}, allowed {passed.shape}")
    usable = passed & ~np.isnan(energies)
    threshold, group = np.unique(energies[usable], return_inverse=True)
    promoted = np.bincount(group, minlength=len(threshold)).cumsum()
    tp = np.bincount(group[truth[usable]], minlength=len(threshold)).cumsum()
    return PrecisionRecall(
        threshold=threshold, promoted=promoted, precision=ratio(tp, promoted), recall=ratio(tp, int(truth.sum()))
    )
