"""Calibration and novelty reference of a bundle's networks, fitted to samples.

The reference is built from training samples, the calibration from samples that the networks were not trained on.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.bundle.assessor import NOVEL
from esnet.bundle.networks import Networks, Outputs
from esnet.bundle.novelty import NoveltyReference, reference_places
from esnet.bundle.uncertainty import MIN_CALIBRATION, Calibration, Signal, fit_calibration
from esnet.dataset.dataset import Dataset
from esnet.representation.samples import Samples
from esnet.training.network import TrainingError

logger = logging.getLogger(__name__)

_BLOCK = 256


class EnsembleError(TrainingError):
    """The networks cannot form one model; the message names the bundle and what differs."""


def fit_reference(
    networks: Networks, source: Dataset | Samples, training: NDArray[np.intp], *, materials: Sequence[str], seed: int
) -> NoveltyReference | None:
    """Build the novelty reference from samples that the networks were trained on.

    From a large training part, materials are drawn with the seed (`esnet.bundle.novelty.reference_places`). None if
    there is only one material, or all samples have the same hidden layer.

    Raises
    ------
    EnsembleError
        If the networks give no finite energies.
    """
    indices = reference_places(training, materials, seed=seed)
    hidden = np.concatenate([outputs.hidden for outputs in outputs_by_block(networks, source, indices)], axis=1)
    reference = NoveltyReference.fit(hidden, [materials[place] for place in indices])
    if reference is None:
        logger.warning("no novelty: the training part has only one material, or all samples look alike to the network")
    return reference


def calibrate(
    networks: Networks,
    reference: NoveltyReference | None,
    source: Dataset | Samples,
    validation: NDArray[np.intp],
    *,
    kinds: Sequence[str],
) -> tuple[Calibration | None, dict[str, Any]]:
    """Calibrate the uncertainties on the validation part; also return a description of that part.

    ``kinds`` lists the kind of DOS of every sample in the source. The calibration is None if there are too few samples.

    Raises
    ------
    EnsembleError
        If the networks give no finite energies.
    """
    of_part = np.asarray(kinds)[validation]
    about: dict[str, Any] = {
        "n_samples": len(validation),
        "n_is_dos": int((of_part == "is_dos").sum()),
        "n_rs_dos": int((of_part == "rs_dos").sum()),
        "novel_share": None,
    }
    if not len(validation):
        logger.warning("no uncertainties: there is no validation part to calibrate them on")
        return None, about
    parts = list(outputs_by_block(networks, source, validation))
    energies = np.concatenate([outputs.energies for outputs in parts], axis=1)
    residuals = energies.mean(axis=0) - source.energies[validation]
    novelty = None
    if reference is not None:
        novelty = np.concatenate([reference.novelty(outputs.hidden) for outputs in parts])
        about["novel_share"] = float((novelty > NOVEL).mean())
    kind: Signal = "constant" if novelty is None else "novelty"
    signal = novelty
    if len(energies) > 1:
        kind, signal = "spread", energies.var(axis=0, ddof=1)
    calibration = fit_calibration(residuals, signal, kind=kind)
    if calibration is None:
        logger.warning(
            "no uncertainties: %d validation samples, at least %d are needed", len(validation), MIN_CALIBRATION
        )
    elif calibration.note is not None:
        logger.warning("uncertainties: %s", calibration.note)
    return calibration, about


def outputs_by_block(networks: Networks, source: Dataset | Samples, indices: NDArray[np.intp]) -> Iterator[Outputs]:
    """Yield the networks' outputs for samples read block by block.

    Raises
    ------
    EnsembleError
        If an energy is not finite; the message names the sample.
    """
    start = 0
    for block in source.blocks(indices, size=_BLOCK):
        of_block = indices[start : start + len(block)]
        outputs = networks.run(block, source.compositions[of_block])
        finite = np.isfinite(outputs.energies).all(axis=0) & np.isfinite(outputs.hidden).all(axis=(0, 2))
        lost = np.flatnonzero(~finite)
        if len(lost):
            raise EnsembleError(
                f"the networks give no finite energy for {len(lost)} of {len(block)} samples, "
                f"{source.ids[of_block[lost[0]]]} among them: train again, with a smaller learning rate"
            )
        yield outputs
        start += len(block)
