"""From predictions to numbers: errors, intervals over seeds, stability, and the paper's question."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from esnet.dataset.dataset import Dataset
from esnet.files.errors import UserError
from esnet.similarity.similarity import compare_dos

STABLE, PROMOTED = 0.0, -0.02
"""eV/atom. The references are the elements alone, so E_hull is E_f where that is above 0: stable is E_f <= 0 (truth);
the threshold of a prediction is the paper's."""
KINDS = {"RS2RE": "rs_dos", "IS2RE": "is_dos"}
_MEASURES = ("mae", "rmse", "spearman", "precision", "recall", "f1", "daf")


def measured(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float | None]:
    """Return errors in eV/atom, rank correlation, and measures of stability of one test part; None if undefined."""
    error = predicted - truth
    stable, promoted = truth <= STABLE, predicted <= PROMOTED
    hits = int((stable & promoted).sum())
    precision = hits / promoted.sum() if promoted.any() else None
    recall = hits / stable.sum() if stable.any() else None
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "spearman": float(stats.spearmanr(truth, predicted).statistic) if np.ptp(truth) and np.ptp(predicted) else None,
        "precision": None if precision is None else float(precision),
        "recall": None if recall is None else float(recall),
        "f1": float(2 * hits / (promoted.sum() + stable.sum())) if promoted.any() or stable.any() else None,
        "daf": float(precision / stable.mean()) if precision is not None and stable.any() else None,
    }


def interval(values: Iterable[float | None]) -> dict[str, Any] | None:
    """Mean of the seeds and half width of the 95 % interval (Student's t); the width of one seed is not known."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    half = None
    if len(there) > 1:
        half = float(stats.t.ppf(0.975, len(there) - 1) * np.std(there, ddof=1) / np.sqrt(len(there)))
    return {"mean": float(np.mean(there)), "half_width": half, "seeds": len(there)}


def of_seeds(dataset: Dataset, predictions: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    """Measures by task, each an `interval` over the seeds' predictions (by sample id)."""
    truth = dict(zip(dataset.ids, dataset.energies.tolist(), strict=True))
    kind_of = dict(zip(dataset.ids, dataset.kinds, strict=True))
    found: dict[str, Any] = {}
    for task, kind in KINDS.items():
        rows: list[dict[str, float | None] | None] = []
        n_test = []
        for said in predictions:
            ids = [name for name, value in said.items() if value is not None and kind_of[name] == kind]
            n_test.append(len(ids))
            exact, predicted = (np.array([of[name] for name in ids], dtype=float) for of in (truth, said))
            rows.append(measured(exact, predicted) if ids else None)
        there = [row for row in rows if row is not None]
        measures = {name: interval(row[name] for row in there) for name in _MEASURES}
        maes = [row and row["mae"] for row in rows]
        found[task] = {**measures, "n_test": n_test, "mae_by_seed": maes} if there else None
    return found


def moved(dataset: Dataset) -> dict[str, float]:
    """How far each material moved: the norm of the cell's strain and of the sites' mean displacement over the mean
    distance of atoms, added in squares; no unit. Only materials that have both crystals, with sites in one order.
    """
    places = [place for place, kind in enumerate(dataset.kinds) if kind == "is_dos"]
    pairs = zip(places, dataset.structures(places, "initial"), dataset.structures(places, "relaxed"), strict=True)
    found = {}
    for place, initial, relaxed in pairs:
        if initial is None or relaxed is None or len(initial) != len(relaxed):
            continue
        deformation = np.linalg.solve(initial.lattice.matrix, relaxed.lattice.matrix)
        # Green-Lagrange: a rotation of the axes is no strain
        strain = (deformation @ deformation.T - np.eye(3)) / 2
        shift = relaxed.frac_coords - initial.frac_coords
        shift -= np.round(shift)
        shift -= shift.mean(axis=0)
        distance = (relaxed.volume / len(relaxed)) ** (1 / 3)
        sites = np.linalg.norm(shift @ relaxed.lattice.matrix, axis=1).mean() / distance
        found[dataset.materials[place]] = float(np.hypot(np.linalg.norm(strain), sites))
    return found


def by_movement(
    dataset: Dataset, how_far: Mapping[str, float], predictions: Sequence[Mapping[str, float | None]]
) -> list[dict[str, Any]]:
    """Mean absolute errors of IS2RE in the three thirds of how far the crystals `moved`, all seeds' tests together."""
    place_of = {name: place for place, name in enumerate(dataset.ids)}
    points = [
        (how_far[dataset.materials[place_of[name]]], abs(value - dataset.energies[place_of[name]]))
        for said in predictions
        for name, value in said.items()
        if value is not None
        and dataset.kinds[place_of[name]] == "is_dos"
        and dataset.materials[place_of[name]] in how_far
    ]
    points.sort()
    return [
        {"from": part[0][0], "to": part[-1][0], "mae": float(np.mean([error for _, error in part])), "n": len(part)}
        for part in (points[start:end] for start, end in _thirds(len(points)))
        if part
    ]


def _thirds(number: int) -> list[tuple[int, int]]:
    ends = [round(number * third / 3) for third in range(4)]
    return list(itertools.pairwise(ends))


def similarity(dataset: Dataset) -> list[dict[str, Any]]:
    """Figure 1b: normalised errors between IS-DOS and RS-DOS of one material, and of two drawn at random."""
    try:
        table = compare_dos(dataset).table()
    except UserError:
        return []
    return [
        {
            "property": row["property"],
            **{name: row[name]["mae_normalised"] for name in ("same", "random")},
            "pairs": row["same"]["pairs"],
        }
        for row in table
        if row["channel"] == "all"
    ]


def dos_cost(dataset: Dataset) -> float | None:
    """Mean CPU-s of an IS-DOS of a compound, as the campaign's ledger has it; None: not known."""
    rows = dataset.provenance([place for place, kind in enumerate(dataset.kinds) if kind == "is_dos"])
    costs = [row["cpu_s"] for row in rows if row.get("cpu_s") is not None]
    return float(np.mean(costs)) if costs else None
