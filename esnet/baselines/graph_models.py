"""Train CGCNN-HD, MEGNet, Roost and Wren for a comparison, on the crystals of the DOS samples."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from esnet.baselines.data import BenchmarkData
from esnet.baselines.settings import BenchmarkError, BenchmarkSettings
from esnet.dataset.crystals import Which
from esnet.dataset.dataset import Dataset
from esnet.dataset.sample import DosKind
from esnet.graph.bundle import GraphPrediction, TrainedGraphModel, fit
from esnet.graph.crystals import Material
from esnet.graph.kinds import KINDS, GraphKind, GraphModelError
from esnet.graph.training import Progress
from esnet.training.split_selection import MIN_TRAINING, MIN_VALIDATION

_CRYSTAL_OF: Mapping[DosKind, Which] = {"is_dos": "initial", "rs_dos": "relaxed"}
_BLOCK = 1024
"""Number of samples whose crystals are read together."""


class CannotTrainError(BenchmarkError):
    """A model cannot be trained on a data set, although others can."""


def fit_graph_model(
    name: str, data: BenchmarkData, settings: BenchmarkSettings, *, folder: Path | None, progress: Progress
) -> dict[str, Any]:
    """Train a graph model on the training part, save it in ``folder`` if given, and return its test predictions.

    Raises
    ------
    CannotTrainError
        If too few samples have a crystal that the model can use, or the training fails.
    """
    kind, dataset = KINDS[name], data.dataset
    _require_materials(data, kind)
    # read block by block, so that the crystals are not kept in addition to the input of the network
    parts = [(materials_of(dataset, part, kind), dataset.energies[part]) for part in (data.training, data.validation)]
    try:
        trained = fit(
            kind,
            *parts,
            settings=settings.graph_settings(name),
            data_source=dataset.manifest.source,
            about={
                "dataset": {"name": Path(dataset.path).name, "checksum": dataset.checksum},
                "train_kinds": settings.train_kinds,
                "split": {"by": settings.split_by, "seed": settings.seed},
            },
            progress=progress,
        )
    except GraphModelError as error:
        raise CannotTrainError(str(error)) from error
    if folder is not None:
        trained.save(folder)
    cpu = time.process_time()
    predictions = trained.predict(list(materials_of(dataset, data.test, kind)), any_element=True)
    predict_cpu_s = time.process_time() - cpu
    record = trained.info.training
    return {
        "predictions": [each.e_form for each in predictions],
        "predict_cpu_s": predict_cpu_s,
        "n_train": record["n_train"],
        "mae_validation": record["mae_validation"],
        "parameters": {"parameters": trained.info.n_parameters, "epochs": record["epochs"], **record["settings"]},
        "source": kind.source,
        "notes": _notes(trained, predictions),
    }


def materials_of(dataset: Dataset, places: NDArray[np.intp], kind: GraphKind) -> Iterator[Material | None]:
    """Yield the input of a graph model: the unrelaxed crystal for an IS-DOS, the relaxed one for an RS-DOS.

    None for a sample without that crystal. For a kind of model that needs no crystal, the composition.
    """
    for start in range(0, len(places), _BLOCK):
        block = places[start : start + _BLOCK]
        if not kind.needs_crystal:
            yield from (Composition(dataset.amounts(place)) for place in block.tolist())
            continue
        found: list[Material | None] = [None] * len(block)
        kinds = np.asarray([dataset.kinds[place] for place in block])
        for dos, which in _CRYSTAL_OF.items():
            rows = np.flatnonzero(kinds == dos)
            for row, crystal in zip(rows, dataset.structures(block[rows], which), strict=True):
                found[row] = crystal
        yield from found


def _require_materials(data: BenchmarkData, kind: GraphKind) -> None:
    parts = (data.training, data.validation)
    counts = [sum(material is not None for material in materials_of(data.dataset, part, kind)) for part in parts]
    if counts[0] >= MIN_TRAINING and counts[1] >= MIN_VALIDATION:
        return
    remedy = (
        "data sets of earlier versions have none: write it again from its source (esnet fetch-mp: with another "
        "--cache, since a download of an earlier version has none either)"
        if not any(counts)
        else ("complete them at the source, or leave the model out")
    )
    raise CannotTrainError(
        f"it needs crystals, but in {data.dataset.path} {counts[0]} of {len(parts[0])} training samples and "
        f"{counts[1]} of {len(parts[1])} validation samples have one; at least {MIN_TRAINING} and {MIN_VALIDATION} are "
        f"needed; {remedy}"
    )


def _notes(trained: TrainedGraphModel, predictions: Sequence[GraphPrediction]) -> list[str]:
    title, record = trained.info.kind.title, trained.info.training
    notes = []
    if record["n_left_out"]:
        notes.append(
            f"{title}: {record['n_left_out']} samples of the training and validation parts are left out "
            f"({'; '.join(record['left_out'])})"
        )
    reasons = [str(each.reason) for each in predictions if each.e_form is None]
    if reasons:
        notes.append(
            f"{title}: no prediction for {len(reasons)} of {len(predictions)} test samples, which are not included in "
            f"its errors ({'; '.join(sorted(set(reasons))[:3])})"
        )
    return notes
