"""Test whether ESNet improves a potential, by comparing both on the same samples, which neither was fitted to."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.training.metrics import errors

RAW, SHIFTED, BY_ELEMENT, WITH_ESNET = "alone", "with a mean offset", "with element offsets", "with ESNet"


def compare(
    *,
    residuals: NDArray[np.float64],
    fractions: NDArray[np.floating],
    predicted: NDArray[np.float64],
    training: NDArray[np.intp],
    held_out: NDArray[np.intp],
    materials: NDArray[np.object_],
) -> dict[str, Any]:
    """Compare a potential alone, with offsets fitted to the training part, and with ESNet, on held-out samples.

    Parameters
    ----------
    residuals
        Formation energy minus the potential's, eV/atom, shape (n,).
    fractions
        Fractions of the elements, shape (n, 111).
    predicted
        ESNet's predictions for the held-out samples, eV/atom, shape (k,).
    training, held_out
        Indices of the training samples and of the k held-out ones.
    materials
        Material of each of the n samples, since samples of one material are not independent.

    Returns
    -------
    dict
        ``errors`` by `RAW`, `SHIFTED`, `BY_ELEMENT` and `WITH_ESNET` (``n``, ``mae``, ``rmse``, ``bias``),
        ``compared_with``: the best of the first three on these samples, ``gain``: its MAE minus the MAE with ESNet, and
        ``standard_error`` of the gain (None for fewer than two materials). Energies in eV/atom.
    """
    true = residuals[held_out]
    offset = float(residuals[training].mean())
    corrections = {
        RAW: np.zeros(len(true)),
        SHIFTED: np.full(len(true), offset),
        BY_ELEMENT: offset + fractions[held_out] @ _element_offsets(fractions[training], residuals[training] - offset),
        WITH_ESNET: predicted,
    }
    found = {
        name: errors(correction, true) | {"bias": float((correction - true).mean())}
        for name, correction in corrections.items()
    }
    # compare with the strictest of the three: the one that is best on these samples
    best = min((RAW, SHIFTED, BY_ELEMENT), key=lambda name: float(np.abs(corrections[name] - true).mean()))
    gains = np.abs(corrections[best] - true) - np.abs(predicted - true)
    gain = float(gains.mean())
    _, groups = np.unique(materials[held_out].astype(str), return_inverse=True)
    n_groups = int(groups.max()) + 1
    sums = np.bincount(groups, weights=gains - gain)
    error = float(np.sqrt((sums**2).sum() * n_groups / (n_groups - 1)) / len(gains)) if n_groups > 1 else None
    return {"errors": found, "compared_with": best, "gain": gain, "standard_error": error, "n_materials": n_groups}


def _element_offsets(fractions: NDArray[np.floating], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return element offsets by ridge regression, with the strength chosen by leave-one-out errors."""
    from sklearn.linear_model import RidgeCV

    fitted = RidgeCV(alphas=np.logspace(-3, 3, 13), fit_intercept=False).fit(fractions, targets)
    return np.asarray(fitted.coef_, dtype=np.float64)


def verdict(potential: str, task: str, compared: Mapping[str, Any]) -> str:
    """Return a sentence on whether ESNet improved the potential's predictions, by more than two standard errors."""
    found, gain, error = compared["errors"], compared["gain"], compared["standard_error"]
    before, after = found[compared["compared_with"]]["mae"], found[WITH_ESNET]["mae"]
    figures = (
        f"MAE {before:.3f} eV/atom by {potential} {compared['compared_with']}, {after:.3f} with ESNet, on "
        f"{found[WITH_ESNET]['n']} held-out samples"
    )
    if error is None:
        return f"{task}: one material is not enough to tell whether the DOS improves on {potential} ({figures})"
    how = "improved" if gain > 2 * error else "made worse" if gain < -2 * error else "did not measurably improve"
    return f"{task}: the DOS {how} the predictions of {potential}: {figures}; gain {gain:.3f} +/- {error:.3f} eV/atom"
