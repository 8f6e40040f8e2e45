"""One training run of ESNet on samples in memory.

With the paper's settings by default: LogCosh, Adam, learning rate halved on a plateau, early stopping.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from esnet.features import ChannelScaler, Representation, TargetScaling, network_inputs
from esnet.model import build_esnet
from esnet.record import TrainingRecord, software_versions
from esnet.samples import Samples
from esnet.training_settings import TrainingSettings

__all__ = ["Progress", "TrainingError", "TrainingResult", "TrainingSettings", "train"]

logger = logging.getLogger(__name__)

Progress = Callable[[int, Mapping[str, float]], None]
"""Called after each epoch with its number (from 1) and its losses and learning rate."""

MIN_TRAINING = 2
MIN_VALIDATION = 5
"""A smaller validation part would say more about its few samples than about the model."""

_FEW_BATCHES = 10


class TrainingError(ValueError):
    """A training run that cannot start or did not end well; the message says why and what would help."""


class TrainingResult(NamedTuple):
    """A trained network and all that is needed to use it and to tell where it came from."""

    model: Any
    scaler: ChannelScaler
    target_scaling: TargetScaling
    record: TrainingRecord


def train(
    dos: ArrayLike,
    compositions: ArrayLike,
    targets: ArrayLike,
    *,
    settings: TrainingSettings,
    representation: Representation,
    ids: Sequence[str],
    progress: Progress | None = None,
) -> TrainingResult:
    """Train an ESNet from the start.

    Parameters
    ----------
    dos
        (n, 2, 1500, 9), as `esnet.dos.project_dos` gives them, not scaled.
    compositions
        (n, 111), as `esnet.features.composition_vector` gives them.
    targets
        (n,) formation energies of the relaxed crystals, eV/atom.
    settings, representation
        How to train, and how the features were made (only written down here).
    ids
        n different names, for the record and the error messages.
    progress
        Called after each epoch.

    Returns
    -------
    TrainingResult
        The network (predicts standardised energies), both scalings and the record. The channels are scaled
        and the energies standardised with the training part alone.

    Raises
    ------
    FeatureError
        If a shape is wrong or a value is not finite.
    TrainingError
        If too few samples are left by the filters, or the loss stops being finite.

    Notes
    -----
    The same samples, settings and number of threads give the same weights. Sets the random seeds of Python,
    NumPy and Keras for the process.
    """
    started, wall, cpu = datetime.now(UTC), time.monotonic(), time.process_time()
    given = Samples.checked(ids, dos, compositions, targets)
    samples, n_dropped, dropped_ids = given.within(
        max_dos=settings.max_dos, max_abs_formation_energy=settings.max_abs_formation_energy
    )
    training, validation, note = _split(samples, settings)
    logger.info("training on %d samples, validating on %d", len(training.ids), len(validation.ids))

    scaler = ChannelScaler.fit(training.dos)
    scaling = TargetScaling.fit(training.energies)
    momentum = _momentum(settings, len(training.ids))
    model = build_esnet(widths=settings.widths, batch_norm_momentum=momentum, seed=settings.seed)
    batch_size = _batch_size(settings.batch_size, len(training.ids))
    model, history = _fit(
        model, training, validation, scaler, scaling, replace(settings, batch_size=batch_size), progress
    )

    monitored = history.get("val_loss", history["loss"])
    record = TrainingRecord(
        n_samples=len(given.ids),
        n_dropped=n_dropped,
        dropped_ids=dropped_ids,
        n_train=len(training.ids),
        n_validation=len(validation.ids),
        validation_note=note,
        epochs=len(monitored),
        best_epoch=int(np.argmin(monitored)) + 1 if validation.ids else len(monitored),
        loss=history["loss"],
        validation_loss=history.get("val_loss"),
        learning_rate=history["learning_rate"],
        mae_train=_mean_absolute_error(model, training, scaler, scaling, settings.batch_size),
        mae_validation=(
            _mean_absolute_error(model, validation, scaler, scaling, settings.batch_size) if validation.ids else None
        ),
        batch_size=batch_size,
        batch_norm_momentum=momentum,
        n_parameters=int(model.count_params()),
        representation=representation.to_dict(),
        settings=settings.to_dict(),
        seed=settings.seed,
        data_checksum=given.checksum(),
        versions=software_versions(),
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        wall_s=round(time.monotonic() - wall, 3),
        cpu_s=round(time.process_time() - cpu, 3),
    )
    return TrainingResult(model, scaler, scaling, record)


def _fit(
    model: Any,
    training: Samples,
    validation: Samples,
    scaler: ChannelScaler,
    scaling: TargetScaling,
    settings: TrainingSettings,
    progress: Progress | None,
) -> tuple[Any, dict[str, list[float]]]:
    """Return the fitted network, without optimiser, and one value an epoch of losses and learning rate."""
    import keras

    if settings.deterministic and keras.config.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(settings.seed)
    losses = {
        "logcosh": keras.losses.LogCosh,
        "mae": keras.losses.MeanAbsoluteError,
        "mse": keras.losses.MeanSquaredError,
    }
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss=losses[settings.loss](),
        jit_compile=False,
    )
    # without this the graph is traced twice: 25 s instead of 12 s before the first step (2026-11, one core)
    model.optimizer.build(model.trainable_variables)
    fitted = model.fit(
        network_inputs(training.dos, training.compositions, scaler=scaler, ids=training.ids),
        scaling.standardise(training.energies)[:, None],
        validation_data=(
            (
                network_inputs(validation.dos, validation.compositions, scaler=scaler, ids=validation.ids),
                scaling.standardise(validation.energies)[:, None],
            )
            if validation.ids
            else None
        ),
        batch_size=settings.batch_size,
        epochs=settings.max_epochs,
        callbacks=_callbacks(settings, validated=bool(validation.ids), progress=progress),
        verbose=0,
    )
    history = {name: [float(value) for value in values] for name, values in fitted.history.items()}
    bad = np.flatnonzero(~np.isfinite(history["loss"]))
    if len(bad):
        raise TrainingError(
            f"the loss was not finite in epoch {bad[0] + 1}: lower learning_rate={settings.learning_rate}"
        )
    # the same layers without the optimiser, whose state would triple the size of the saved file
    return keras.Model(model.input, model.output, name="esnet"), history


def _callbacks(settings: TrainingSettings, *, validated: bool, progress: Progress | None) -> list[Any]:
    import keras

    callbacks: list[Any] = [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss" if validated else "loss",
            factor=settings.plateau_factor,
            patience=settings.plateau_patience,
        ),
    ]
    if validated:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=settings.stop_patience, restore_best_weights=True
            )
        )
    if progress is not None:
        report = progress
        callbacks.append(
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: report(
                    epoch + 1, {name: float(value) for name, value in (logs or {}).items()}
                )
            )
        )
    return callbacks


def _mean_absolute_error(
    model: Any, samples: Samples, scaler: ChannelScaler, scaling: TargetScaling, batch_size: int
) -> float:
    inputs = network_inputs(samples.dos, samples.compositions, scaler=scaler, ids=samples.ids)
    predicted = scaling.restore(model.predict(inputs, batch_size=batch_size, verbose=0)[:, 0])
    return float(np.abs(predicted - samples.energies).mean())


def _split(samples: Samples, settings: TrainingSettings) -> tuple[Samples, Samples, str | None]:
    """Training part, validation part (may be empty), and why there is no validation part."""
    n_samples = len(samples.ids)
    if n_samples < MIN_TRAINING:
        raise TrainingError(f"{n_samples} samples are left to train on; at least {MIN_TRAINING} are needed")
    wanted = round(settings.validation_fraction * n_samples)
    if wanted >= MIN_VALIDATION and n_samples - wanted >= MIN_TRAINING:
        return *samples.split(wanted, seed=settings.seed), None
    note = (
        f"no validation part: {settings.validation_fraction} of {n_samples} samples is {wanted}, fewer than "
        f"{MIN_VALIDATION}; trained for {settings.max_epochs} epochs without early stopping"
    )
    return *samples.split(0, seed=settings.seed), note


def _momentum(settings: TrainingSettings, n_train: int) -> float:
    if settings.batch_norm_momentum is not None:
        return settings.batch_norm_momentum
    return 0.9 if n_train < _FEW_BATCHES * settings.batch_size else 0.99


def _batch_size(wanted: int, n_train: int) -> int:
    size = min(wanted, n_train)
    while 0 < n_train % size < size / 2:
        size += 1
    return size
