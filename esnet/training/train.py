"""Train an ESNet on a data set larger than memory (`train_on`) or on samples in memory (`train`).

The default settings are the paper's: LogCosh, Adam, learning rate halved on a plateau, early stopping.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.bundle.bundle import Bundle, save_bundle
from esnet.bundle.record import TrainingRecord
from esnet.dataset.corrections import require_same_corrections
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import Split
from esnet.representation.features import Representation
from esnet.representation.samples import Samples
from esnet.representation.scaling import ChannelScaler, TargetScaling
from esnet.training.loop import CheckpointConfig, Progress
from esnet.training.metrics import ALL, errors, errors_by_kind, predict_places
from esnet.training.network import TrainingError
from esnet.training.pretrained import PretrainedNetwork
from esnet.training.run import Clock, Run
from esnet.training.settings import TrainingSettings
from esnet.training.split_selection import MIN_TRAINING, MIN_VALIDATION, Kinds, choose_parts

__all__ = [
    "Kinds",
    "Progress",
    "TrainingError",
    "TrainingResult",
    "TrainingSettings",
    "fingerprint",
    "train",
    "train_on",
]


class TrainingResult(NamedTuple):
    """A trained network with everything needed to use it and to document its origin."""

    model: Any
    scaler: ChannelScaler
    target_scaling: TargetScaling
    record: TrainingRecord

    def save(self, path: Path | str) -> Bundle:
        """Save as a bundle; see `esnet.bundle.bundle.save_bundle`."""
        return save_bundle(
            path,
            model=self.model,
            scaler=self.scaler,
            target_scaling=self.target_scaling,
            representation=Representation.from_dict(self.record.representation),
            record=self.record,
        )


def train(
    dos: ArrayLike,
    compositions: ArrayLike,
    targets: ArrayLike,
    *,
    settings: TrainingSettings,
    representation: Representation,
    ids: Sequence[str],
    source: Mapping[str, Any] | None = None,
    initial: PretrainedNetwork | Bundle | Path | str | None = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train an ESNet on samples in memory, from random weights or from a pretrained network.

    Parameters
    ----------
    dos
        Unscaled densities from `esnet.representation.dos.project_dos`, shape (n, 2, 1500, 9).
    compositions
        Vectors from `esnet.representation.composition.composition_vector`, shape (n, 111).
    targets
        Formation energies of the relaxed crystals, eV/atom, shape (n,).
    settings, representation
        Settings of the training, and how the features were computed (for the record).
    ids
        n distinct names, for the record and error messages.
    source
        Origin of the samples, for the record (`esnet.bundle.record.TrainingRecord.data_source`).
    initial
        A bundle of one network to continue from, or one network of a bundle. Widths, channel scaler and target scaling
        are taken from the bundle, the learning rate is multiplied by ``settings.fine_tuning_factor``, and the bundle's
        weights are kept if no epoch is better on the validation part. For complete bundles, including ensembles, see
        `esnet.training.fine_tuning.fine_tune`.
    progress
        Called after each epoch; may raise StopIteration to end the training.

    Returns
    -------
    TrainingResult
        The network (which predicts standardised energies), both scalings and the record. The scalings are fitted to
        the training part only, or taken from ``initial``.

    Raises
    ------
    FeatureError
        If a shape is wrong or a value is not finite.
    TrainingError
        If the filters leave too few samples, the loss stops being finite, the Keras backend is not TensorFlow, or
        ``initial`` is an ensemble.
    BundleError, RepresentationError, CorrectionsError
        If ``initial`` cannot be read, has another representation, or predicts energies with other corrections.

    Notes
    -----
    The same samples, settings and number of threads give the same weights. Sets the random seeds of Python,
    NumPy and Keras for the process.
    """
    clock = Clock()
    start = None if initial is None else PretrainedNetwork.of(initial, representation=representation)
    if start is not None:
        settings = start.settings(settings)
        require_same_corrections(start.info.record.data_source, source or {})
    given = Samples.checked(ids, dos, compositions, targets)
    samples, n_dropped, dropped_ids = given.within(
        max_dos=settings.max_dos, max_abs_formation_energy=settings.max_abs_formation_energy
    )
    training, validation, note = _split(samples, settings, None if start is None else start.held_out)
    if start is None:
        scaler = ChannelScaler.fit_batches(samples.blocks(training))
        scaling = TargetScaling.fit(samples.energies[training])
    else:
        scaler, scaling = start.info.scaler, start.info.target_scaling
    run = Run.prepare(settings, n_train=len(training), n_validation=len(validation), initial=start)
    state = run.fit(samples, training, validation, scaler=scaler, scaling=scaling, progress=progress)
    model = run.kept()
    metrics = {
        name: {
            ALL: errors(predict_places(model, samples, part, scaler=scaler, scaling=scaling), samples.energies[part])
        }
        for name, part in (("train", training), ("validation", validation))
        if len(part)
    }
    record = run.record(
        clock,
        state,
        metrics,
        representation=representation,
        data_checksum=given.checksum(),
        data_name="",
        data_source=dict(source or {}),
        n_materials=len(training),
        kinds=None,
        split=None,
        n_samples=len(given.ids),
        n_test=0,
        n_dropped=n_dropped,
        dropped_ids=dropped_ids,
        validation_note=note,
    )
    return TrainingResult(model, scaler, scaling, record)


def train_on(
    dataset: Dataset,
    split: Split,
    *,
    settings: TrainingSettings,
    kinds: Kinds = "both",
    checkpoints: Path | None = None,
    checkpoint_every: int = 1,
    logs: Path | None = None,
    devices: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train an ESNet on a data set that need not fit into memory, or resume an interrupted training.

    Parameters
    ----------
    dataset, split
        Training data and their parts. The test part is read once, after the last epoch, for its errors.
    settings
        Settings of the training; ``validation_fraction`` is taken from the split.
    kinds
        Kinds of DOS to train and validate on. The record always contains the errors of IS2RE and of RS2RE.
    checkpoints
        Folder for the state after each epoch (weights, optimiser, schedules, history). If it already holds a
        checkpoint, training continues from there, with the same result as without an interruption. If None, no
        checkpoints are written.
    checkpoint_every
        Epochs between two checkpoints.
    logs
        Folder for ``epochs.csv`` and ``tensorboard/``. If None, no logs are written.
    devices
        TensorFlow's names of the devices that share each batch, for example ``["GPU:0", "GPU:1"]``
        (`tf.distribute.MirroredStrategy`). If None, TensorFlow's default, the first GPU or the CPU.
    progress
        Called after each epoch, once its checkpoint is on disk; may raise StopIteration to end the training.

    Returns
    -------
    TrainingResult
        The network (float32, predicts standardised energies), both scalings (fitted to the training part only) and the
        record.

    Raises
    ------
    CheckpointError
        If the folder has a checkpoint of other data, another split, other kinds or settings.
    TrainingError
        If too few samples are left to train on, a loss stops being finite, a device is missing, or the Keras backend
        is not TensorFlow.

    Notes
    -----
    Sets the random seeds of Python, NumPy and Keras for the process.
    """
    clock = Clock()
    if checkpoint_every < 1:
        raise TrainingError(f"checkpoint_every={checkpoint_every}: must be a whole number above 0")
    parts = choose_parts(dataset, split, kinds=kinds, settings=settings)
    scaler = ChannelScaler.fit_batches(dataset.blocks(parts.training))
    scaling = TargetScaling.fit(dataset.energies[parts.training])
    run = Run.prepare(settings, n_train=len(parts.training), n_validation=len(parts.validation), devices=devices)
    keeping = CheckpointConfig(
        checkpoints=checkpoints,
        every=checkpoint_every,
        logs=logs,
        fingerprint=fingerprint(dataset, split, settings=settings, kinds=kinds),
    )
    state = run.fit(
        dataset, parts.training, parts.validation, scaler=scaler, scaling=scaling, keeping=keeping, progress=progress
    )
    model = run.kept()
    metrics = {
        name: errors_by_kind(model, dataset, indices, kinds=kinds, scaler=scaler, scaling=scaling)
        for name, indices in parts.metrics.items()
    }
    record = run.record(
        clock,
        state,
        metrics,
        representation=dataset.representation,
        data_checksum=dataset.checksum,
        data_name=Path(dataset.path).name,
        data_source=dict(dataset.manifest.source),
        n_materials=len({dataset.materials[place] for place in parts.training}),
        kinds=kinds,
        split=split.to_dict(),
        n_samples=parts.n_samples,
        n_test=parts.n_test,
        n_dropped=parts.n_dropped,
        dropped_ids=parts.dropped_ids,
        validation_note=parts.note,
    )
    return TrainingResult(model, scaler, scaling, record)


def fingerprint(dataset: Dataset, split: Split, *, settings: TrainingSettings, kinds: Kinds) -> dict[str, Any]:
    """Return the inputs of a run: two runs with the same fingerprint give the same model."""
    return {"data": dataset.checksum, "split": split.to_dict(), "kinds": kinds, "settings": settings.to_dict()}


def _split(
    samples: Samples, settings: TrainingSettings, held_out: frozenset[str] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp], str | None]:
    """Return the indices of the training and validation parts, and the reason if the latter is empty."""
    n_samples = len(samples.ids)
    if n_samples < MIN_TRAINING:
        raise TrainingError(f"{n_samples} samples are left to train on; at least {MIN_TRAINING} are needed")
    if held_out is None:
        wanted = round(settings.validation_fraction * n_samples)
        parts = samples.split(wanted, seed=settings.seed)
        why = f"{settings.validation_fraction} of {n_samples} samples is {wanted}"
    else:
        apart = np.array([name in held_out for name in samples.ids])
        parts = np.flatnonzero(~apart), np.flatnonzero(apart)
        why = f"{len(parts[1])} of {n_samples} samples are held out"
    if len(parts[1]) >= MIN_VALIDATION and len(parts[0]) >= MIN_TRAINING:
        return *parts, None
    note = (
        f"no validation part: {why}, fewer than {MIN_VALIDATION}; trained for {settings.max_epochs} epochs without "
        "early stopping"
    )
    return *samples.split(0, seed=settings.seed), note
