"""Select the samples of a data set that were not used to fit a model."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from esnet.bundle.bundle import Bundle
from esnet.bundle.fingerprints import TrainingFingerprints, fingerprints
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import Split
from esnet.files.errors import UserError

EvaluatedPart = Literal["test", "validation", "train", "all"]
Basis = Literal["split", "fingerprints", "unknown"]


class EvaluationError(UserError, ValueError):
    """An evaluation cannot be made; the message gives the reason and a remedy."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The samples to evaluate.

    Attributes
    ----------
    part
        The requested part.
    basis
        How the part was identified: by the ``split`` recorded in the bundle (same data set), by the ``fingerprints`` of
        the bundle's training data (another data set), or ``unknown``.
    indices
        Indices of the samples in the data set, in ascending order.
    n_left_out
        Number of samples in the data set that are not selected.
    notes
        Notes for the reader.
    """

    part: EvaluatedPart
    basis: Basis
    indices: NDArray[np.intp]
    n_left_out: int
    notes: tuple[str, ...]


def select_samples(bundle: Bundle, dataset: Dataset, *, part: EvaluatedPart = "test") -> Selection:
    """Select the samples of one part.

    In the data set that the model was trained on, the parts are those of its split. In another data set, ``train``
    contains the samples of materials that the model was trained on (or with identical densities of states),
    ``validation`` those used for early stopping, and ``test`` all others.

    Raises
    ------
    EvaluationError
        If no sample is left, or the part cannot be identified.
    RepresentationError
        If the representation of the data set differs from that of the model.
    SplitError
        If the recorded split cannot be reproduced.
    """
    if part not in get_args(EvaluatedPart):
        raise EvaluationError(f"part={part!r}: must be one of {', '.join(get_args(EvaluatedPart))}")
    bundle.representation.require(dataset.representation)
    basis, indices, notes = _choose(bundle, dataset, part)
    if not len(indices):
        raise EvaluationError(
            f"no sample of {dataset.path} is left to evaluate in the part {part!r} (it has {len(dataset)}, "
            f"{_HOW[basis]}); --part all uses all samples, including the training samples"
        )
    if part in ("train", "all") and basis != "unknown":
        notes.append("the model was fitted to samples among these: their errors say little about new materials")
    return Selection(
        part=part, basis=basis, indices=indices, n_left_out=len(dataset) - len(indices), notes=tuple(notes)
    )


_HOW: dict[Basis, str] = {
    "split": "divided as recorded in the bundle",
    "fingerprints": "compared with the training samples of the bundle",
    "unknown": "the bundle does not state its training samples",
}


def _choose(bundle: Bundle, dataset: Dataset, part: EvaluatedPart) -> tuple[Basis, NDArray[np.intp], list[str]]:
    everything = np.arange(len(dataset))
    record = bundle.record
    if record.data_checksum == dataset.checksum and record.split is not None:
        if part == "all":
            return "split", everything, []
        return "split", Split.of(dataset, record.split).part(part), []
    if bundle.assessor is not None:
        if part == "all":
            return "fingerprints", everything, []
        in_training, in_validation = _seen(bundle.assessor.seen, dataset)
        chosen = {"train": in_training, "validation": in_validation, "test": ~in_training & ~in_validation}[part]
        note = (
            f"not the data set that the model was trained on: {int(in_training.sum())} samples belong to materials "
            f"that it was trained on, {int(in_validation.sum())} to its validation part. Materials are identified by "
            "their names and by identical densities of states, so the same crystal under another name counts as new"
        )
        return "fingerprints", np.flatnonzero(chosen), [note]
    if part in ("train", "validation"):
        raise EvaluationError(
            f"{bundle.info.path} does not state its training samples, so the part {part!r} of {dataset.path} is "
            "unknown: --part all uses all samples (bundles of `esnet train` state them)"
        )
    return (
        "unknown",
        everything,
        ["the bundle does not state its training samples: it may have been fitted to some of these"],
    )


def _seen(seen: TrainingFingerprints, dataset: Dataset) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which samples belong to the training data, and which only to the data used for early stopping."""
    materials, densities = fingerprints(dataset.materials), fingerprints(dataset.digests)
    training = np.isin(materials, seen.train_materials) | np.isin(densities, seen.train_dos)
    validation = np.isin(materials, seen.validation_materials) | np.isin(densities, seen.validation_dos)
    training, validation = (_with_relatives(found, materials, densities) for found in (training, validation))
    return training, validation & ~training


def _with_relatives(
    chosen: NDArray[np.bool_], materials: NDArray[np.uint64], densities: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Return the chosen samples and all that share a material or a density with them, as grouped by a split.

    Both kinds of DOS of a material share one energy, so a model trained on its RS-DOS has seen the material.
    """
    while True:
        more = np.isin(materials, materials[chosen])
        more = np.isin(densities, densities[more])
        if (more == chosen).all():
            return chosen
        chosen = more
