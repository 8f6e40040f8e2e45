"""Train until the validation loss no longer falls; resume from the last checkpoint after an interruption."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from esnet.training.checkpoints import Checkpoint, latest_checkpoint
from esnet.training.logs import tensorboard_callbacks, write_csv
from esnet.training.network import TrainingError
from esnet.training.settings import TrainingSettings

logger = logging.getLogger(__name__)

Progress = Callable[[int, Mapping[str, float]], None]
"""Called after each epoch with its number (from 1), its losses, mean absolute errors (eV/atom) and learning rate.

It may raise StopIteration, which ends the training after this epoch."""

EpochData = Callable[[int], Mapping[str, Any]]
"""Function from an epoch (from 0) to the arguments of ``keras.Model.fit``: ``x``, ``validation_data`` and so on."""

_PLATEAU_STATE = ("best", "wait", "cooldown_counter")
_STOPPING_STATE = ("best", "best_epoch", "wait", "stopped_epoch")


@dataclass(kw_only=True)
class LoopState:
    """Progress of a run.

    Attributes
    ----------
    epoch
        Number of epochs done.
    history
        One value per epoch: losses of the standardised energies, mean absolute errors in eV/atom, learning rate.
    stopped
        Why the run ended; None while it is running.
    wall_s, cpu_s
        Time spent on the epochs so far, in all processes.
    earlier_wall_s, earlier_cpu_s
        Part of that time spent by earlier processes, before this one resumed.
    initial
        ``loss`` and ``mae`` (eV/atom) of a pretrained network on the validation part before the first epoch; None
        otherwise.
    """

    epoch: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    stopped: str | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    earlier_wall_s: float = 0.0
    earlier_cpu_s: float = 0.0
    initial: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """Files written during a run.

    Attributes
    ----------
    checkpoints
        Folder of the checkpoints, if any.
    every
        Epochs between two checkpoints.
    logs
        Folder of the logs, if any.
    fingerprint
        Inputs of the run.
    """

    checkpoints: Path | None = None
    every: int = 1
    logs: Path | None = None
    fingerprint: Mapping[str, Any] = field(default_factory=dict)


def run_epochs(
    model: Any,
    feed: EpochData,
    *,
    settings: TrainingSettings,
    deviation: float,
    validated: bool,
    keeping: CheckpointConfig,
    trained: bool = False,
    progress: Progress | None = None,
) -> LoopState:
    """Train a compiled network, from the start or the last checkpoint, and restore its best weights.

    Parameters
    ----------
    model
        Compiled network with the metric ``mae``.
    feed
        Data of an epoch; the batches of an epoch must always be the same.
    settings
        Provides the patiences, the plateau factor and the number of epochs.
    deviation
        Standard deviation of the energies, eV/atom, to convert standardised errors.
    validated
        Whether the feed has validation data; if not, all epochs are run and the last weights kept.
    keeping
        Checkpoints and logs.
    trained
        Whether the network is pretrained; its weights are kept if no epoch is better on the validation part.
    progress
        Called after each epoch, once its checkpoint is on disk.

    Raises
    ------
    CheckpointError
        If the folder has a checkpoint of another run.
    TrainingError
        If a loss stops being finite.
    """
    import keras

    loop = _Loop(model, settings, validated=validated, keeping=keeping)
    callbacks = keras.callbacks.CallbackList(
        (tensorboard_callbacks(keeping.logs) if keeping.logs else []) + loop.callbacks, model=model
    )
    callbacks.on_train_begin()
    state = loop.restore()
    if trained and validated and not state.epoch:
        loop.measure(feed(0)["validation_data"], deviation=deviation)
    while state.stopped is None:
        wall, cpu = time.monotonic(), time.process_time()
        epoch = state.epoch
        callbacks.on_epoch_begin(epoch)
        fitted = model.fit(**feed(epoch), initial_epoch=epoch, epochs=epoch + 1, verbose=0)
        logs = {name: float(values[-1]) for name, values in fitted.history.items()}
        logs |= {name: logs[name] * deviation for name in ("mae", "val_mae") if name in logs}
        # recorded before the scheduler changes it
        logs["learning_rate"] = float(model.optimizer.learning_rate.numpy())
        _require_finite(logs, epoch, settings)
        callbacks.on_epoch_end(epoch, logs)
        for name, value in logs.items():
            state.history.setdefault(name, []).append(value)
        state.epoch += 1
        state.wall_s += time.monotonic() - wall
        state.cpu_s += time.process_time() - cpu
        if model.stop_training:
            state.stopped = f"no better validation loss for {settings.stop_patience} epochs"
        elif state.epoch >= settings.max_epochs:
            state.stopped = "all epochs done"
        loop.keep()
        try:
            if progress is not None:
                progress(state.epoch, dict(logs))
        except StopIteration as stop:
            state.stopped = f"stopped from outside{f': {stop.value}' if stop.value else ''}"
    callbacks.on_train_end()
    return state


def _require_finite(logs: Mapping[str, float], epoch: int, settings: TrainingSettings) -> None:
    bad = [f"{name}={value}" for name, value in logs.items() if not np.isfinite(value)]
    if bad:
        raise TrainingError(
            f"the loss was not finite in epoch {epoch + 1} ({', '.join(bad)}): lower "
            f"learning_rate={settings.learning_rate}"
        )


class _Loop:
    """State of one run, which can be saved to and restored from disk."""

    def __init__(self, model: Any, settings: TrainingSettings, *, validated: bool, keeping: CheckpointConfig) -> None:
        import keras

        self.state = LoopState()
        self._model, self._keeping = model, keeping
        self._plateau = keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss" if validated else "loss",
            mode="min",
            factor=settings.plateau_factor,
            patience=settings.plateau_patience,
        )
        self._stopping = (
            keras.callbacks.EarlyStopping(
                monitor="val_loss", mode="min", patience=settings.stop_patience, restore_best_weights=True
            )
            if validated
            else None
        )

    @property
    def callbacks(self) -> list[Any]:
        return [self._plateau] if self._stopping is None else [self._plateau, self._stopping]

    def restore(self) -> LoopState:
        """Restore the last checkpoint, if there is one."""
        if self._keeping.checkpoints is None:
            return self.state
        found = latest_checkpoint(self._keeping.checkpoints, fingerprint=self._keeping.fingerprint)
        if found is None:
            return self.state
        self._model.set_weights(found.weights)
        for variable, value in zip(self._model.optimizer.variables, found.optimizer, strict=True):
            variable.assign(value)
        vars(self._plateau).update(found.state["plateau"])
        if self._stopping is not None:
            vars(self._stopping).update(found.state["stopping"], best_weights=list(found.best))
        self.state = LoopState(**found.state["loop"])
        self.state.earlier_wall_s, self.state.earlier_cpu_s = self.state.wall_s, self.state.cpu_s
        logger.info("continuing after epoch %d (%s)", found.epoch, self._keeping.checkpoints)
        return self.state

    def measure(self, validation: Any, *, deviation: float) -> None:
        """Record the pretrained network, not yet changed, as the best so far."""
        found = self._model.evaluate(validation, verbose=0, return_dict=True)
        self.state.initial = {"loss": float(found["loss"]), "mae": float(found["mae"]) * deviation}
        if self._stopping is not None:
            self._stopping.best = self.state.initial["loss"]
            self._stopping.best_weights = self._model.get_weights()

    def keep(self) -> None:
        """Write the checkpoint, if due, and the table of epochs."""
        if self._keeping.logs is not None:
            write_csv(self._keeping.logs, self.state.history)
        due = self.state.epoch % self._keeping.every == 0 or self.state.stopped is not None
        if self._keeping.checkpoints is None or not due:
            return
        best = [] if self._stopping is None else self._stopping.best_weights
        Checkpoint(
            epoch=self.state.epoch,
            fingerprint=self._keeping.fingerprint,
            state={
                "loop": vars(self.state),
                "plateau": _numbers(self._plateau, _PLATEAU_STATE),
                "stopping": {} if self._stopping is None else _numbers(self._stopping, _STOPPING_STATE),
            },
            weights=self._model.get_weights(),
            optimizer=[variable.numpy() for variable in self._model.optimizer.variables],
            best=best,
        ).save(self._keeping.checkpoints)


def _numbers(callback: Any, names: tuple[str, ...]) -> dict[str, float | None]:
    return {name: getattr(callback, name) for name in names}
