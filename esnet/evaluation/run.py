"""Errors of a model on samples outside its training data, and the quality of its uncertainties."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from esnet.bundle.assessor import Assessment
from esnet.bundle.bundle import Bundle
from esnet.dataset.corrections import require_same_corrections
from esnet.dataset.dataset import Dataset
from esnet.evaluation.selection import EvaluatedPart, EvaluationError, Selection, select_samples
from esnet.evaluation.task import N_WORST, TaskEvaluation, evaluate_task
from esnet.residual.potential import ResidualPotential
from esnet.residual.residuals import Residuals, residual_dataset
from esnet.residual.single_point import single_point_residuals
from esnet.training.metrics import TASKS

__all__ = ["EvaluatedPart", "Evaluation", "EvaluationError", "Selection", "TaskEvaluation", "evaluate"]

logger = logging.getLogger(__name__)

FORMAT = "esnet-evaluation"
FORMAT_VERSION = 1

FEW_FOR_A_CURVE = 50
"""With fewer samples, a coverage of 68 % is uncertain by 7 % or more."""

_BLOCK = 256
_N_REASONS = 3


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Predictions and errors of a model on a part of a data set, one row per sample.

    Attributes
    ----------
    bundle, dataset
        The model and the data.
    selection
        How the samples were selected.
    indices
        Index of each row in the data set, shape (n,).
    energies
        True formation energies, eV/atom, shape (n,).
    assessment
        Output of the bundle for n samples; for a model of a potential's residuals, including the potential's formation
        energies.
    tasks
        Results for ``IS2RE`` and ``RS2RE``; a task without samples is left out.
    notes
        Caveats, including those of the selection.
    """

    bundle: Bundle
    dataset: Dataset
    selection: Selection
    indices: NDArray[np.intp]
    energies: NDArray[np.float64]
    assessment: Assessment
    tasks: Mapping[str, TaskEvaluation]
    notes: tuple[str, ...]

    @property
    def potential(self) -> str | None:
        """The potential whose formation energies the predictions contain (`esnet train --residual-of`), or None."""
        return (self.bundle.record.residual_of or {}).get("potential")

    @property
    def errors(self) -> NDArray[np.float64]:
        """Predicted minus true formation energies, shape (n,), eV/atom."""
        return self.assessment.e_form - self.energies

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers in JSON types; energies in eV/atom."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "unit": "eV/atom",
            "bundle": {"checksum": self.bundle.checksum, "members": len(self.bundle.info.members)},
            "dataset": {
                "checksum": self.dataset.checksum,
                "name": Path(self.dataset.path).name,
                "n_samples": len(self.dataset),
            },
            "potential": self.potential,
            "part": self.selection.part,
            "part_known_by": self.selection.basis,
            "n_samples": len(self.indices),
            "n_left_out": self.selection.n_left_out,
            "notes": list(self.notes),
            "tasks": {
                name: task.to_dict() | {"worst": [self.row(row) for row in task.worst]}
                for name, task in self.tasks.items()
            },
        }

    def row(self, row: int) -> dict[str, Any]:
        """Return names and energies (eV/atom) of one sample; None for values that the bundle does not give."""
        place, said, dataset = self.indices[row], self.assessment, self.dataset
        return {
            "id": dataset.ids[place],
            "material": dataset.materials[place],
            "task": TASKS[dataset.kinds[place]],
            "formula": Composition(dataset.amounts(place)).reduced_formula,
            "chemsys": dataset.chemsys[place],
            "prototype": dataset.prototypes[place],
            "true": float(self.energies[row]),
            "predicted": float(said.e_form[row]),
            "error": float(said.e_form[row] - self.energies[row]),
            "uncertainty": _known(said.uncertainty[row]),
            "spread": _known(said.spread[row]),
            "novelty": _known(said.novelty[row]),
            "unseen_element": None if said.unseen is None else bool(said.unseen[row]),
            "novel": None if said.novel is None else bool(said.novel[row]),
        }


def evaluate(
    bundle: Bundle,
    dataset: Dataset,
    *,
    part: EvaluatedPart = "test",
    batch_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
    energies_file: Path | None = None,
    relaxing: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate a model on samples of a data set, which are read block by block.

    A model of a potential's residuals is evaluated with the potential's formation energies added, for which all
    crystals of the data set are relaxed.

    Parameters
    ----------
    bundle, dataset
        The model and the data, which must have the same representation.
    part
        See `esnet.evaluation.selection.select_samples`; by default, samples that the model was not fitted to.
    batch_size
        Number of samples processed together.
    progress
        Called with the number of finished samples and of all samples.
    energies_file
        File for the energies of the potential. If None, a file next to the data set.
    relaxing
        Called with the number of finished relaxations and of all relaxations.

    Returns
    -------
    Evaluation
        Predictions and errors, in eV/atom.

    Raises
    ------
    EvaluationError
        If there is nothing to evaluate.
    PotentialError
        If the installed potential is not the one used in training, or gives no energy.
    RepresentationError
        If the representation of the data set differs from that of the model.
    CorrectionsError
        If its formation energies contain other corrections than those of the model.
    """
    require_same_corrections(bundle.record.data_source, dataset.manifest.source)
    residuals, of = None, bundle.record.residual_of
    if of is not None:
        if bundle.record.adds_single_point:
            residuals = single_point_residuals(dataset)
        else:
            potential = ResidualPotential.of(of)
            residuals = residual_dataset(dataset, potential, trained=of, file=energies_file, progress=relaxing)
    # the split and its checksum refer to the residuals
    selection = select_samples(bundle, dataset if residuals is None else residuals.dataset, part=part)
    added = np.zeros(len(selection.indices)) if residuals is None else residuals.potential[selection.indices]
    assessment = _assess(bundle, dataset, selection.indices, batch_size, progress)
    assessment = replace(assessment, e_form=assessment.e_form + added)
    notes = [*selection.notes, *_notes_on_model(bundle), *_notes_on_potential(bundle, residuals)]
    finite = np.isfinite(assessment.e_form)
    if not finite.all():
        lost = [dataset.ids[place] for place in selection.indices[~finite]]
        notes.append(f"no finite energy for {len(lost)} samples, left out: {', '.join(lost[:N_WORST])}")
        if not finite.any():
            raise EvaluationError(f"{bundle.info.path} gives no finite energy for any of {len(lost)} samples")
    indices, assessment = selection.indices[finite], assessment.take(np.flatnonzero(finite))
    selection = replace(selection, n_left_out=len(dataset) - len(indices))
    baseline = bundle.info.target_scaling.mean + added[finite]
    kinds = np.asarray(dataset.kinds)[indices]
    tasks = {
        task: evaluate_task(
            dataset,
            indices,
            assessment,
            task,
            np.flatnonzero(kinds == kind),
            baseline=baseline,
            potential=None if of is None else of["potential"],
        )
        for kind, task in TASKS.items()
        if (kinds == kind).any()
    }
    if assessment.unseen is not None and assessment.unseen.any():
        notes.append(
            f"{int(assessment.unseen.sum())} samples have an element that the model was not trained on: they are "
            "flagged as novel and have no uncertainty"
        )
    notes += [
        f"{task}: {found.curve.n_samples} samples are too few for a reliable calibration curve"
        for task, found in tasks.items()
        if found.curve is not None and found.curve.n_samples < FEW_FOR_A_CURVE
    ]
    for note in notes:
        logger.info("%s", note)
    return Evaluation(
        bundle=bundle,
        dataset=dataset,
        selection=selection,
        indices=indices,
        energies=dataset.energies[indices],
        assessment=assessment,
        tasks=tasks,
        notes=tuple(notes),
    )


def _assess(
    bundle: Bundle,
    dataset: Dataset,
    indices: NDArray[np.intp],
    batch_size: int,
    progress: Callable[[int, int], None] | None,
) -> Assessment:
    parts: list[Assessment] = []
    done = 0
    for block in dataset.blocks(indices, size=max(_BLOCK, batch_size)):
        vectors = dataset.compositions[indices[done : done + len(block)]]
        parts.append(bundle.assess(block, vectors, batch_size=batch_size))
        done += len(block)
        if progress is not None:
            progress(done, len(indices))
    return Assessment.joined(parts)


def _notes_on_model(bundle: Bundle) -> list[str]:
    notes = []
    if bundle.record.kinds in TASKS:
        notes.append(f"the model was trained for {TASKS[bundle.record.kinds]} only ({bundle.record.kinds})")
    assessor = bundle.assessor
    if assessor is None or assessor.calibration is None:
        notes.append("the bundle has no calibrated uncertainties")
    elif assessor.calibration.note is not None:
        notes.append(f"uncertainties: {assessor.calibration.note}")
    if assessor is None or assessor.reference is None:
        notes.append("the bundle has no reference for novelty")
    return notes


def _notes_on_potential(bundle: Bundle, residuals: Residuals | None) -> list[str]:
    if residuals is None or bundle.record.residual_of is None:
        return []
    source = f"the potential {bundle.record.residual_of['potential']}"
    if bundle.record.adds_single_point:
        source = "the IS-DOS calculation"
    note = f"predictions are formation energies of {source} plus the residuals predicted by ESNet"
    if residuals.reasons:
        why = "; ".join(f"{reason} ({count})" for reason, count in list(residuals.reasons.items())[:_N_REASONS])
        note += f"; samples of the data set without an energy by it, left out: {why}"
    return [note]


def _known(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None
