"""Check that features are valid input of the network; errors name the array and the candidates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.representation.composition import N_ELEMENTS
from esnet.representation.dos import DOS_SHAPE
from esnet.representation.errors import FeatureError


def check_features(
    dos: ArrayLike, compositions: ArrayLike, *, ids: Sequence[str] | None = None
) -> tuple[NDArray[np.floating], NDArray[np.float32]]:
    """Return densities and compositions as arrays; FeatureError names the array and the invalid candidates."""
    checked = checked_dos(dos, ids)
    vectors = np.asarray(compositions, dtype=np.float32)
    if vectors.shape != (len(checked), N_ELEMENTS):
        raise FeatureError(f"compositions have shape {vectors.shape}, must be ({len(checked)}, {N_ELEMENTS})")
    _check_finite("compositions", vectors, ids)
    return checked, vectors


def checked_dos(dos: ArrayLike, ids: Sequence[str] | None) -> NDArray[np.floating]:
    """Return densities as an array (n, 2, 1500, 9); FeatureError if the shape is wrong or a value is not finite."""
    array = np.asarray(dos)
    if array.ndim != 4 or array.shape[1:] != DOS_SHAPE:
        raise FeatureError(f"dos has shape {array.shape}, must be (n, {', '.join(map(str, DOS_SHAPE))})")
    if ids is not None and len(ids) != len(array):
        raise FeatureError(f"{len(ids)} ids for {len(array)} samples of dos")
    _check_finite("dos", array, ids)
    return array


def _check_finite(name: str, array: NDArray[np.floating], ids: Sequence[str] | None) -> None:
    bad = np.flatnonzero(~finite_samples(array))
    if len(bad):
        named = [str(ids[index]) if ids is not None else f"sample {index}" for index in bad[:10]]
        raise FeatureError(f"{name} has values that are not finite in {len(bad)} samples: {', '.join(named)}")


def finite_samples(array: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return, for each sample of an array (n, ...), whether all of its numbers are finite, shape (n,)."""
    others = tuple(range(1, array.ndim))
    with np.errstate(over="ignore", invalid="ignore"):
        # a finite sum implies finite terms, without an array of flags as large as the features
        finite: NDArray[np.bool_] = np.isfinite(array.sum(axis=others))
    doubtful = np.flatnonzero(~finite)
    finite[doubtful] = np.isfinite(array[doubtful]).all(axis=others)  # the sum of huge numbers may overflow
    return finite
