"""Known data for a replay from an ESNet data set, with predictions made from its IS-DOS in this process."""

import math
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from campaign.policies.cost_model import PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S, valence_electrons
from campaign.replay.candidate import KnownCandidate
from campaign.replay.data import ReplayData, ReplayDataError
from campaign.replay.hull import ELEMENTS_ONLY, hull_energies
from esnet.bundle.assessor import Assessment
from esnet.bundle.bundle import Bundle
from esnet.bundle.shipped import bundle_folder
from esnet.dataset.corrections import require_same_corrections
from esnet.dataset.dataset import Dataset
from esnet.evaluation.selection import select_samples


def read_replay_dataset(
    path: Path, *, model: str, part: Literal["test", "all"] = "test", references: Path | None = None
) -> ReplayData:
    """Read the IS-DOS of a data set and predict from it.

    Parameters
    ----------
    path
        Directory of the data set.
    model
        Directory of a bundle, or name of a shipped one, with the representation of the data set.
    part
        ``test``: only samples that the model was not fitted to; ``all``: also the rest, which makes every policy look
        better than it is.
    references
        Reference entries for E_hull, relative to the same elements as the data set's formation energies. If None, the
        hull consists of the elements alone.

    Raises
    ------
    ReplayDataError
        If the data set has no IS-DOS, or only some that the model was fitted to.
    UserError
        From `esnet`: a damaged data set or bundle, or another representation.
    MissingElementError
        If the references lack an element.
    """
    dataset = Dataset.open(path)
    unrelaxed = dataset.indices(kind="is_dos")
    if not len(unrelaxed):
        raise ReplayDataError(
            path, [f"none of its {len(dataset)} samples is an IS-DOS (kind is_dos), which a replay needs"]
        )
    bundle = Bundle.load(bundle_folder(model), representation=dataset.representation)
    require_same_corrections(bundle.record.data_source, dataset.manifest.source)
    selection = select_samples(bundle, dataset, part=part)
    indices = np.intersect1d(unrelaxed, selection.indices)
    if not len(indices):
        raise ReplayDataError(
            path,
            [
                f"the model {model} was fitted to the materials of all {len(unrelaxed)} IS-DOS; right: samples that "
                "it has not seen (or --part all, which flatters every policy)"
            ],
        )
    notes = list(selection.notes)
    if part == "test" and len(indices) < len(unrelaxed):
        notes.append(
            f"{len(unrelaxed) - len(indices)} of {len(unrelaxed)} IS-DOS left out: the model was fitted to them"
        )
    dos, relax = f"{PUBLISHED_DOS_CPU_S:g}", f"{PUBLISHED_RELAX_CPU_S:g}"
    notes.append(f"costs: {dos} CPU-s an IS-DOS, {relax} CPU-s a relaxation, the paper's means")
    if references is None:
        notes.append(ELEMENTS_ONLY)
    candidates = _candidates(dataset, indices, _predicted(bundle, dataset, indices), references)
    lost = sum(math.isnan(found.e_form_ml) for found in candidates)
    if lost:
        notes.append(f"the model gives no finite energy for {lost} samples: no prediction, never promoted")
    return ReplayData(
        candidates=candidates,
        source=f"{path}, predicted by {model}",
        notes=tuple(notes),
        uncertainty_from="a model that was calibrated",
    )


def _predicted(bundle: Bundle, dataset: Dataset, indices: NDArray[np.intp]) -> Assessment:
    parts: list[Assessment] = []
    done = 0
    for block in dataset.blocks(indices):
        parts.append(bundle.assess(block, dataset.compositions[indices[done : done + len(block)]]))
        done += len(block)
    return Assessment.joined(parts)


def _candidates(
    dataset: Dataset, indices: NDArray[np.intp], said: Assessment, references: Path | None
) -> tuple[KnownCandidate, ...]:
    amounts = [dataset.amounts(int(place)) for place in indices]
    hulls = hull_energies([Composition(found) for found in amounts], references)
    novel = said.novel
    candidates = []
    for row, (place, cell, hull) in enumerate(zip(indices, amounts, hulls, strict=True)):
        predicted, true = float(said.e_form[row]), float(dataset.energies[place])
        predicted = predicted if math.isfinite(predicted) else math.nan
        deviation = float(said.uncertainty[row])
        candidates.append(
            KnownCandidate(
                id=dataset.ids[place],
                e_form_ml=predicted,
                e_hull_ml=predicted - float(hull),
                uncertainty=deviation if math.isfinite(deviation) else None,
                novel=None if novel is None else bool(novel[row]),
                e_form=true,
                e_hull=true - float(hull),
                composition=cell,
                n_sites=max(1, round(sum(cell.values()))),
                n_electrons=valence_electrons(cell),
                dos_cpu_s=PUBLISHED_DOS_CPU_S,
                relax_cpu_s=PUBLISHED_RELAX_CPU_S,
            )
        )
    return tuple(candidates)
