"""Errors of a trained network on the parts of its data, in eV/atom."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.dataset import Dataset
from esnet.dataset.pipeline import batches, reading_errors
from esnet.representation.samples import Samples
from esnet.representation.scaling import ChannelScaler, TargetScaling

TASKS = {"is_dos": "IS2RE", "rs_dos": "RS2RE"}
"""Name of the task of predicting the relaxed energy from each kind of DOS."""

ALL = "all"
"""Key of the errors over all kinds trained on."""

_BATCH = 256


def errors(predicted: NDArray[np.floating], energies: NDArray[np.floating]) -> dict[str, float | int]:
    """Return ``n``, ``mae`` and ``rmse`` (eV/atom) of one or more predictions."""
    difference = np.asarray(predicted, dtype=np.float64) - energies
    return {
        "n": len(difference),
        "mae": float(np.abs(difference).mean()),
        "rmse": float(np.sqrt((difference**2).mean())),
    }


def predict_places(
    model: Any, source: Dataset | Samples, indices: NDArray[np.intp], *, scaler: ChannelScaler, scaling: TargetScaling
) -> NDArray[np.float64]:
    """Predict formation energies, eV/atom, for samples that are read on demand."""
    with reading_errors() as failed:
        read = batches(
            source,
            indices,
            scaler=scaler,
            target_scaling=scaling,
            batch_size=_BATCH,
            seed=0,
            shuffle=False,
            failed=failed,
        )
        return scaling.restore(model.predict(read, verbose=0)[:, 0])


def errors_by_kind(
    model: Any,
    dataset: Dataset,
    indices: NDArray[np.intp],
    *,
    kinds: str,
    scaler: ChannelScaler,
    scaling: TargetScaling,
) -> dict[str, dict[str, float | int]]:
    """Return the errors of one part: by task (IS2RE, RS2RE) and over the kinds that were trained on.

    Parameters
    ----------
    indices
        Samples of the part; both kinds are predicted even if the network was trained on one only.
    kinds
        ``is_dos``, ``rs_dos`` or ``both``: the kinds covered by the key ``all``.

    Returns
    -------
    dict
        Maps each task, and ``all``, to ``n``, ``mae`` and ``rmse`` (eV/atom); tasks without samples are left out.
    """
    if not len(indices):
        return {}
    predicted = predict_places(model, dataset, indices, scaler=scaler, scaling=scaling)
    energies = dataset.energies[indices]
    found = np.asarray(dataset.kinds)[indices]
    groups = {ALL: np.isin(found, list(TASKS) if kinds == "both" else [kinds])}
    groups |= {task: found == kind for kind, task in TASKS.items()}
    return {name: errors(predicted[chosen], energies[chosen]) for name, chosen in groups.items() if chosen.any()}
