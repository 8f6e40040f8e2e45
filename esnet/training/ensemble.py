"""Combine trained networks into one bundle, which predicts their mean and an uncertainty."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from esnet.bundle.assessor import UncertaintyEstimator, count_numbers_of_elements, has_unseen
from esnet.bundle.bundle import Bundle
from esnet.bundle.files import member_names, new_bundle, refuse_existing
from esnet.bundle.fingerprints import TrainingFingerprints, composition_fingerprints, fingerprints
from esnet.bundle.info import BundleInfo, write_info
from esnet.bundle.networks import Networks
from esnet.bundle.record import TrainingRecord
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import Split
from esnet.representation.composition import composition_vector
from esnet.training.calibration import EnsembleError, calibrate, fit_reference, outputs_by_block
from esnet.training.metrics import TASKS
from esnet.training.residual_comparison import compare
from esnet.training.settings import TrainingSettings
from esnet.training.split_selection import Kinds, choose_parts

__all__ = ["EnsembleError", "assemble_bundle"]


def assemble_bundle(
    path: Path | str, *, members: Sequence[Path | str], dataset: Dataset, split: Split, kinds: Kinds
) -> Bundle:
    """Combine bundles of one network each into one bundle, with calibrated uncertainty and novelty.

    The uncertainties are calibrated on both kinds of DOS in the validation part, whichever kinds were trained on, since
    a screening uses IS-DOS. The novelty is relative to the training part (at most
    `esnet.bundle.novelty.REFERENCE_LIMIT` of its samples, drawn with the split's seed). The test part is only used to
    compare a potential's residuals with the networks' predictions of them.

    Parameters
    ----------
    path
        Directory to create; written completely or not at all.
    members
        Bundles of one network each, trained on the same part of the same data with different seeds; at least one.
    dataset, split, kinds
        The training data of the members.

    Returns
    -------
    Bundle
        The new bundle, whose energies are the mean of the members'.

    Raises
    ------
    EnsembleError
        If there is no member, one is repeated, one was not trained on this part of this data set, or the networks give
        no finite energies.
    BundleError
        If a member cannot be read.
    BundleExistsError
        If ``path`` exists.
    """
    refuse_existing(Path(path))
    infos = [BundleInfo.read(member, residual=True) for member in members]
    _check_members(infos, dataset, split, kinds)
    first = infos[0]
    networks = Networks.load_all(infos)
    assessor = _make_assessor(networks, first, dataset, split, kinds)
    comparison = _comparison(networks, first, dataset, split, kinds)
    with new_bundle(path, n_members=len(infos)) as folder:
        for info, name in zip(infos, member_names(len(infos)), strict=True):
            shutil.copyfile(info.path / info.members[0], folder / name)
        write_info(
            folder,
            representation=first.representation,
            scaler=first.scaler,
            target_scaling=first.target_scaling,
            records=[_with_comparison(info.record, comparison) for info in infos],
        )
        assessor.write(folder)
    # the networks were read from the same files that are now in the bundle
    return Bundle(BundleInfo.read(path, residual=True), networks, UncertaintyEstimator.read(Path(path)))


def _check_members(infos: Sequence[BundleInfo], dataset: Dataset, split: Split, kinds: Kinds) -> None:
    if not infos:
        raise EnsembleError("no members: at least one bundle is needed")
    first = infos[0]
    asked = {"data_checksum": dataset.checksum, "split": split.to_dict(), "kinds": kinds}
    seeds: dict[int, Path] = {}
    for info in infos:
        if len(info.members) != 1:
            raise EnsembleError(f"{info.path} is an ensemble of {len(info.members)} networks: a member must have one")
        if info.representation != dataset.representation:
            raise EnsembleError(f"{info.path} has another representation than {dataset.path}")
        for name, value in asked.items():
            found = getattr(info.record, name)
            if found != value:
                raise EnsembleError(f"{info.path} was trained with {name} {found}; requested is {value}")
        if (info.scaler, info.target_scaling) != (first.scaler, first.target_scaling):
            raise EnsembleError(f"{info.path} and {first.path} scale features or energies differently")
        seed = info.record.seed
        if seed in seeds:
            raise EnsembleError(f"{info.path} and {seeds[seed]} were both trained with seed {seed}: they are equal")
        seeds[seed] = info.path


def _comparison(
    networks: Networks, info: BundleInfo, dataset: Dataset, split: Split, kinds: Kinds
) -> dict[str, Any] | None:
    """Compare a potential without and with the networks, by task; None if the energies are not residuals."""
    if info.record.residual_of is None:
        return None
    parts = choose_parts(dataset, split, kinds=kinds, settings=TrainingSettings.from_dict(info.record.settings))
    part = "test" if len(parts.metrics["test"]) else "validation"
    found = np.asarray(dataset.kinds)
    amounts = np.array([composition_vector(dataset.amounts(row), mode="fraction") for row in range(len(dataset))])
    tasks = {}
    for kind, task in TASKS.items():
        places = parts.metrics[part][found[parts.metrics[part]] == kind]
        if len(places):
            said = [outputs.energies.mean(axis=0) for outputs in outputs_by_block(networks, dataset, places)]
            tasks[task] = compare(
                residuals=dataset.energies,
                fractions=amounts,
                predicted=np.concatenate(said),
                training=parts.training,
                held_out=places,
                materials=np.asarray(dataset.materials, dtype=object),
            )
    return {"part": part, "tasks": tasks}


def _with_comparison(record: TrainingRecord, comparison: dict[str, Any] | None) -> TrainingRecord:
    if comparison is None:
        return record
    of = {**(record.residual_of or {}), "comparison": comparison}
    return replace(record, data_source={**record.data_source, "residual_of": of})


def _make_assessor(
    networks: Networks, info: BundleInfo, dataset: Dataset, split: Split, kinds: Kinds
) -> UncertaintyEstimator:
    parts = choose_parts(dataset, split, kinds=kinds, settings=TrainingSettings.from_dict(info.record.settings))
    training, validation = parts.training, parts.metrics["validation"]
    reference = fit_reference(networks, dataset, training, materials=dataset.materials, seed=split.seed)
    element_counts = (dataset.compositions[training] > 0).sum(axis=0, dtype=np.int64)
    # unseen elements get no uncertainty, so they are left out of the calibration too
    unseen = has_unseen(dataset.compositions[validation], element_counts)
    calibration, about = calibrate(networks, reference, dataset, validation[~unseen], kinds=dataset.kinds)
    materials = np.asarray(dataset.materials, dtype=object)
    digests = np.asarray(dataset.digests, dtype=object)
    # either kind of DOS identifies a material as known, whichever kind was trained on
    of_training = np.isin(materials, materials[training])
    return UncertaintyEstimator(
        element_counts=element_counts,
        seen=TrainingFingerprints(
            train_materials=np.unique(fingerprints(materials[training])),
            train_dos=np.unique(fingerprints(digests[of_training])),
            validation_materials=np.unique(fingerprints(materials[split.validation])),
            validation_dos=np.unique(fingerprints(digests[split.validation])),
            train_compositions=np.unique(composition_fingerprints(map(dataset.amounts, training))),
        ),
        calibration=calibration,
        reference=reference,
        details={
            "kinds": kinds,
            "training": {
                "n_samples": len(training),
                "n_materials": len(set(materials[training])),
                "reference_seed": split.seed,
            },
            "numbers_of_elements": count_numbers_of_elements(dataset.compositions[training]),
            "validation": about | {"n_unseen_element": int(unseen.sum())},
        },
    )
