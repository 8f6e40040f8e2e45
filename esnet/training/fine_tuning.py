"""Fine-tune a bundle on further samples: all its networks, its calibration and its novelty reference.

The new bundle is described as follows:

* Calibration: fitted to whole materials that neither the initial bundle nor this training was fitted to. The
  calibration of the initial bundle is never reused, since its residuals belong to other weights and other materials. A
  bundle with uncertainties is never replaced by one without; `fine_tune` raises TrainingError instead.
* Elements and samples trained on: those of the initial bundle plus the new ones.
* Novelty: training changes the last hidden layer, in which distances are measured, so the reference is rebuilt from the
  available samples. If these do not include everything that the initial bundle was trained on,
  ``details["novelty_of"]`` is ``fine-tuning``: a material similar only to old samples then counts as novel, never the
  reverse.
* If the training data of the initial bundle are unknown, novelty cannot be judged, and the bundle predicts energies
  only.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.bundle.assessor import UncertaintyEstimator, count_numbers_of_elements, has_unseen
from esnet.bundle.bundle import Bundle, refuse_existing
from esnet.bundle.files import member_names, new_bundle
from esnet.bundle.fingerprints import TrainingFingerprints, fingerprints
from esnet.bundle.info import BundleInfo, write_info
from esnet.bundle.networks import Networks
from esnet.bundle.uncertainty import MIN_CALIBRATION
from esnet.representation.features import Representation
from esnet.representation.samples import Samples
from esnet.training.calibration import calibrate, fit_reference
from esnet.training.pretrained import PretrainedNetwork
from esnet.training.split_selection import MIN_VALIDATION
from esnet.training.train import Progress, TrainingError, TrainingResult, TrainingSettings, train

_BOTH = "both"


def fine_tune(
    path: Path | str,
    *,
    initial: Path | str,
    dos: ArrayLike,
    compositions: ArrayLike,
    targets: ArrayLike,
    ids: Sequence[str],
    materials: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    earlier: Collection[str] | None = None,
    settings: TrainingSettings,
    representation: Representation,
    source: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Continue training a bundle on samples in memory, and write a bundle with the same number of networks.

    Each network continues with its own seed; all use the same samples. Validation and calibration use whole materials
    that the initial bundle was not trained on, chosen by ``settings.seed`` and the names of the materials:
    ``settings.validation_fraction`` of all samples, but at most half of the new materials.

    Parameters
    ----------
    path
        The bundle to create; written completely or not at all.
    initial
        The bundle to continue from.
    dos, compositions, targets, ids, settings, representation, source, progress
        As in `esnet.training.train.train`. Samples that the initial bundle was trained on may be included, to prevent
        forgetting.
    materials
        n names, the same for the IS-DOS and the RS-DOS of one material. If None, each sample is a separate material.
    kinds
        ``is_dos`` or ``rs_dos`` for each sample; None if unknown.
    earlier
        Names of further materials that the initial bundle was trained on. For a bundle that does not record its
        materials, the names of all of them, which must be among the samples; None if unknown.

    Returns
    -------
    Bundle
        The new bundle.

    Raises
    ------
    BundleError
        If the initial bundle cannot be read.
    BundleExistsError
        If ``path`` exists; nothing is trained then.
    FeatureError
        If a shape is wrong or a value is not finite.
    RepresentationError
        If a setting differs from that of the initial bundle; the message names it.
    TrainingError
        As in `esnet.training.train.train`; also if no sample is new, or if the initial bundle gives uncertainties and
        too few samples are new to calibrate them.
    """
    refuse_existing(Path(path))
    info = BundleInfo.read(initial, representation=representation)
    given = Samples.checked(ids, dos, compositions, targets)
    about = {
        name: (material, kind)
        for name, material, kind in zip(given.ids, materials or given.ids, kinds or [""] * len(given.ids), strict=True)
    }
    limits = {"max_dos": settings.max_dos, "max_abs_formation_energy": settings.max_abs_formation_energy}
    parts = _Parts.choose(given.within(**limits)[0], about, info, earlier=earlier, settings=settings)
    results = [
        train(
            given.dos,
            given.compositions,
            given.energies,
            ids=given.ids,
            settings=replace(settings, seed=record.seed),
            representation=representation,
            source=source,
            initial=PretrainedNetwork(
                info=info,
                member=number,
                n_new=int(parts.new[parts.training].sum()),
                held_out=frozenset(parts.samples.ids[place] for place in parts.validation),
            ),
            progress=progress,
        )
        for number, record in enumerate(info.records, start=1)
    ]
    networks = Networks.of([result.model for result in results], scaler=info.scaler, target_scaling=info.target_scaling)
    assessor = None if parts.before is None and earlier is None else parts.assessor(networks, info, seed=settings.seed)
    _write(Path(path), results, info, parts, assessor)
    return Bundle.load(path)


def _write(
    path: Path,
    results: Sequence[TrainingResult],
    info: BundleInfo,
    parts: _Parts,
    assessor: UncertaintyEstimator | None,
) -> None:
    n_materials = len(set(parts.materials[parts.training]))
    with new_bundle(path, n_members=len(results)) as folder:
        for result, name in zip(results, member_names(len(results)), strict=True):
            result.model.save(folder / name)
        write_info(
            folder,
            representation=info.representation,
            scaler=info.scaler,
            target_scaling=info.target_scaling,
            records=[replace(result.record, n_materials=n_materials) for result in results],
        )
        if assessor is not None:
            assessor.write(folder)


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """The training and the held-out samples.

    Attributes
    ----------
    samples
        Samples within the limits of the settings.
    materials, kinds
        Material and kind of each sample.
    new
        Whether the initial bundle was not trained on a sample's material.
    training, validation
        Indices of the samples.
    before
        The initial bundle's description of its training data, or None.
    """

    samples: Samples
    materials: NDArray[np.object_]
    kinds: NDArray[np.object_]
    new: NDArray[np.bool_]
    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    before: UncertaintyEstimator | None

    @classmethod
    def choose(
        cls,
        samples: Samples,
        about: Mapping[str, tuple[str, str]],
        info: BundleInfo,
        *,
        earlier: Collection[str] | None,
        settings: TrainingSettings,
    ) -> Self:
        """Hold out materials that are new to the initial bundle."""
        before = UncertaintyEstimator.read(info.path) if info.assessment is not None else None
        materials = np.array([about[name][0] for name in samples.ids], dtype=object)
        known = np.isin(materials, list(earlier or ()))
        if before is not None:
            known |= np.isin(fingerprints(materials), before.seen.train_materials)
            known |= np.isin(_dos_fingerprints(samples), before.seen.train_dos)
            # if the network was trained on one DOS of a material, the other cannot be used for validation
            known |= np.isin(materials, materials[known])
        if known.all():
            raise TrainingError(f"none of {len(samples.ids)} samples is new to {info.path}: nothing to continue with")
        calibrated = before is not None and before.calibration is not None
        held_out = _held_out(materials, ~known, settings, at_least=MIN_CALIBRATION if calibrated else 0)
        apart = np.isin(materials, list(held_out))
        if apart.sum() < MIN_VALIDATION:
            if calibrated:
                raise TrainingError(
                    f"{len(samples.ids)} samples of which {int((~known).sum())} are new: too few to hold out "
                    f"{MIN_CALIBRATION} for the uncertainties, which {info.path} gives and the new model would not"
                )
            apart[:] = False
        return cls(
            samples=samples,
            materials=materials,
            kinds=np.array([about[name][1] for name in samples.ids], dtype=object),
            new=~known,
            training=np.flatnonzero(~apart),
            validation=np.flatnonzero(apart),
            before=before,
        )

    def assessor(self, networks: Any, info: BundleInfo, *, seed: int) -> UncertaintyEstimator:
        """Build the uncertainty estimator of the new bundle."""
        training, compositions = self.training, self.samples.compositions
        digests = _dos_fingerprints(self.samples)
        materials = fingerprints(self.materials)
        seen = self.before.seen if self.before is not None else None
        fresh = training if seen is None else training[~np.isin(digests[training], seen.train_dos)]
        element_counts = (compositions[fresh] > 0).sum(axis=0, dtype=np.int64)
        if self.before is not None:
            element_counts = element_counts + self.before.element_counts
        unseen = has_unseen(compositions[self.validation], element_counts)
        reference = fit_reference(networks, self.samples, training, materials=list(self.materials), seed=seed)
        calibration, about = calibrate(
            networks, reference, self.samples, self.validation[~unseen], kinds=list(self.kinds)
        )
        if calibration is None and self.before is not None and self.before.calibration is not None:
            raise TrainingError(
                f"{int((~unseen).sum())} held-out samples have only elements that were trained on: too few for the "
                f"uncertainties, which {info.path} gives and the new model would not"
            )
        complete = seen is None or bool(np.isin(seen.train_dos, digests).all())
        train_materials, train_dos = np.unique(materials[training]), np.unique(digests[training])
        if seen is not None:
            train_materials = np.union1d(train_materials, seen.train_materials)
            train_dos = np.union1d(train_dos, seen.train_dos)
        return UncertaintyEstimator(
            element_counts=element_counts,
            seen=TrainingFingerprints(
                train_materials=train_materials,
                train_dos=train_dos,
                validation_materials=_validated(materials[self.validation], train_materials, seen, "materials"),
                validation_dos=_validated(digests[self.validation], train_dos, seen, "dos"),
            ),
            calibration=calibration,
            reference=reference,
            details={
                "kinds": _BOTH if len(set(self.kinds[training])) > 1 else (str(self.kinds[training][0]) or None),
                "initial": info.checksum,
                "novelty_of": "all" if complete else "fine-tuning",
                "training": {
                    "n_samples": len(training),
                    "n_materials": len(set(self.materials[training])),
                    "n_materials_ever": len(train_materials),
                    "reference_seed": seed,
                },
                "numbers_of_elements": self._numbers_of_elements(compositions[fresh]),
                "validation": about | {"n_unseen_element": int(unseen.sum())},
            },
        )

    def _numbers_of_elements(self, fresh: NDArray[np.floating]) -> dict[str, int] | None:
        """Return the counts by number of elements over all training data; None if unknown for the initial bundle."""
        earlier = {} if self.before is None else self.before.details.get("numbers_of_elements")
        if earlier is None:
            return None
        return dict(sorted((Counter(count_numbers_of_elements(fresh)) + Counter(earlier)).items()))


def _validated(
    found: NDArray[np.uint64], trained: NDArray[np.uint64], seen: TrainingFingerprints | None, what: str
) -> NDArray[np.uint64]:
    """Return the fingerprints that were used for validation at some point, but never for training."""
    if seen is not None:
        found = np.union1d(found, getattr(seen, f"validation_{what}"))
    return np.setdiff1d(found, trained)


def _held_out(
    materials: NDArray[np.object_], new: NDArray[np.bool_], settings: TrainingSettings, *, at_least: int
) -> set[str]:
    """Choose new materials to hold out: as many samples as the settings ask for, at most half of the new materials."""
    wanted = max(round(settings.validation_fraction * len(materials)), at_least)
    order = sorted(set(materials[new]), key=lambda name: hashlib.sha256(f"{settings.seed}:{name}".encode()).digest())
    chosen: set[str] = set()
    n_samples = 0
    for name in order[: len(order) // 2]:
        if n_samples >= wanted:
            break
        chosen.add(name)
        n_samples += int((materials == name).sum())
    return chosen


def _dos_fingerprints(samples: Samples) -> NDArray[np.uint64]:
    """Return fingerprints of the densities, as computed from a data set's digests (`Sample.digest`)."""
    return fingerprints(
        hashlib.sha256(np.ascontiguousarray(dos, dtype="<f4").tobytes()).digest() for dos in samples.dos
    )
