"""Errors of predicted formation energies, in eV/atom."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from esnet.representation.composition import ELEMENTS


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Errors of n samples.

    Attributes
    ----------
    n
        Number of samples, at least one.
    mae, rmse
        Mean absolute and root mean square error, eV/atom.
    bias
        Mean of predicted minus true, eV/atom. If positive, the model predicts crystals to be less stable than they are.
    r2
        Coefficient of determination, 1 - (squared errors) / (squared deviations of the true values from their mean);
        0 corresponds to predicting the mean of these samples. None if all true values are equal.
    mae_standard_error
        Standard error of the MAE as an estimate for further samples of the same kind, eV/atom; None for one sample.
    """

    n: int
    mae: float
    rmse: float
    bias: float
    r2: float | None
    mae_standard_error: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the errors in JSON types."""
        return asdict(self)


def regression_metrics(true: ArrayLike, predicted: ArrayLike) -> Metrics | None:
    """Return the errors of predicted formation energies, shape (n,), in eV/atom; None without samples.

    Raises
    ------
    ValueError
        If the lengths differ or a value is not finite.
    """
    targets, found = np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if targets.ndim != 1 or targets.shape != found.shape:
        raise ValueError(f"true has shape {targets.shape}, predicted has {found.shape}: must be one value for each")
    if not (np.isfinite(targets).all() and np.isfinite(found).all()):
        raise ValueError("energies must be finite")
    if not len(targets):
        return None
    errors = found - targets
    absolute = np.abs(errors)
    return Metrics(
        n=len(errors),
        mae=float(absolute.mean()),
        rmse=float(np.sqrt((errors**2).mean())),
        bias=float(errors.mean()),
        r2=_r2(targets, errors),
        mae_standard_error=float(absolute.std(ddof=1) / np.sqrt(len(errors))) if len(errors) > 1 else None,
    )


def _r2(targets: NDArray[np.float64], errors: NDArray[np.float64]) -> float | None:
    # compare the values themselves, since the mean of equal numbers may differ from them in the last digit
    if targets.min() == targets.max():
        return None
    deviations = ((targets - targets.mean()) ** 2).sum()
    with np.errstate(over="ignore", divide="ignore"):
        r2 = float(1.0 - (errors**2).sum() / deviations) if deviations > 0 else float("nan")
    return r2 if np.isfinite(r2) else None


def metrics_by_element(
    true: NDArray[np.float64], predicted: NDArray[np.float64], compositions: NDArray[np.floating]
) -> dict[str, Metrics]:
    """Return the errors over the samples with each element, most frequent first; shapes (n,), (n,) and (n, 111)."""
    present = np.asarray(compositions) > 0
    return _by_group(true, predicted, {ELEMENTS[place]: present[:, place] for place in range(present.shape[1])})


def metrics_by_name(
    true: NDArray[np.float64], predicted: NDArray[np.float64], names: Iterable[str]
) -> dict[str, Metrics]:
    """Return the errors by name (e.g. of a prototype), most frequent first; an empty name becomes ``unknown``."""
    labels = np.array([name or "unknown" for name in names], dtype=object)
    return _by_group(true, predicted, {name: labels == name for name in sorted(set(labels))})


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float | None:
    """Return Spearman's rank correlation; None with fewer than three finite pairs, or if one array is constant."""
    pairs = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < 3 or (pairs.min(axis=1) == pairs.max(axis=1)).any():
        return None

    return float(spearmanr(pairs[0], pairs[1]).statistic)


def _by_group(
    true: NDArray[np.float64], predicted: NDArray[np.float64], groups: Mapping[str, NDArray[np.bool_]]
) -> dict[str, Metrics]:
    found = {name: regression_metrics(true[chosen], predicted[chosen]) for name, chosen in groups.items()}
    present = {name: metrics for name, metrics in found.items() if metrics is not None}
    return dict(sorted(present.items(), key=lambda item: (-item[1].n, item[0])))
