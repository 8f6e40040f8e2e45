"""Code shared by training in memory and training on a data set: the network, its epochs and the record."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from esnet.bundle.record import RECORD_VERSION, RESIDUAL_VERSION, TrainingRecord, software_versions
from esnet.dataset.dataset import Dataset
from esnet.dataset.pipeline import batches, reading_errors
from esnet.representation.features import Representation
from esnet.representation.samples import Samples
from esnet.representation.scaling import ChannelScaler, TargetScaling
from esnet.training.environment import training_environment
from esnet.training.loop import CheckpointConfig, LoopState, Progress, run_epochs
from esnet.training.metrics import ALL
from esnet.training.network import (
    batch_size_for,
    compiled_network,
    device_strategy,
    kept_network,
    momentum_for,
    require_tensorflow,
)
from esnet.training.pretrained import PretrainedNetwork
from esnet.training.settings import TrainingSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clock:
    """Start time of a run."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    wall: float = field(default_factory=time.monotonic)
    cpu: float = field(default_factory=time.process_time)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A network in training.

    Attributes
    ----------
    settings
        Settings as given.
    model
        The compiled network.
    momentum, batch_size
        Values derived from the settings and the number of samples.
    n_train, n_validation
        Number of training and validation samples.
    replicas
        Number of devices that share a batch.
    initial
        The pretrained network that it started from; None for random weights.
    """

    settings: TrainingSettings
    model: Any
    momentum: float
    batch_size: int
    n_train: int
    n_validation: int
    replicas: int
    initial: PretrainedNetwork | None = None

    @classmethod
    def prepare(
        cls,
        settings: TrainingSettings,
        *,
        n_train: int,
        n_validation: int,
        devices: Sequence[str] | None = None,
        initial: PretrainedNetwork | None = None,
    ) -> Self:
        """Set all seeds, build and compile the network on its devices, and load the weights of `initial`, if any."""
        require_tensorflow()
        import keras

        if settings.deterministic and not settings.xla:
            import tensorflow

            tensorflow.config.experimental.enable_op_determinism()
        logger.info("training on %d samples, validating on %d", n_train, n_validation)
        keras.utils.set_random_seed(settings.seed)
        strategy = device_strategy(devices)
        momentum = momentum_for(settings, n_train)
        model = compiled_network(settings, momentum=momentum, strategy=strategy)
        if initial is not None:
            initial.put_into(model)
        return cls(
            settings=settings,
            model=model,
            momentum=momentum,
            batch_size=batch_size_for(settings.batch_size, n_train),
            n_train=n_train,
            n_validation=n_validation,
            replicas=1 if strategy is None else strategy.num_replicas_in_sync,
            initial=initial,
        )

    def fit(
        self,
        source: Dataset | Samples,
        training: NDArray[np.intp],
        validation: NDArray[np.intp],
        *,
        scaler: ChannelScaler,
        scaling: TargetScaling,
        keeping: CheckpointConfig | None = None,
        progress: Progress | None = None,
    ) -> LoopState:
        """Run the epochs (see `esnet.training.loop.run_epochs`) on these samples of the source."""
        options: dict[str, Any] = {
            "scaler": scaler,
            "target_scaling": scaling,
            "batch_size": self.batch_size,
            "seed": self.settings.seed,
        }
        with reading_errors() as failed:
            options["failed"] = failed
            epoch = 0
            # created once; otherwise TensorFlow would retrace the reading in each epoch
            data: dict[str, Any] = {"x": batches(source, training, epoch=lambda: epoch, **options), "shuffle": False}
            if len(validation):
                data["validation_data"] = batches(source, validation, shuffle=False, **options)
            if self.replicas > 1:
                data |= {name: _undivided(data[name]) for name in ("x", "validation_data") if name in data}

            def feed(number: int) -> dict[str, Any]:
                nonlocal epoch
                epoch = number
                return data

            return run_epochs(
                self.model,
                feed,
                settings=self.settings,
                deviation=scaling.deviation,
                validated=len(validation) > 0,
                keeping=keeping or CheckpointConfig(),
                trained=self.initial is not None,
                progress=progress,
            )

    def kept(self) -> Any:
        """Return the network in the form stored in a bundle."""
        return kept_network(self.model, self.settings, momentum=self.momentum, replicas=self.replicas)

    def record(
        self,
        clock: Clock,
        state: LoopState,
        metrics: Mapping[str, Mapping[str, Mapping[str, float | int]]],
        *,
        representation: Representation,
        **about_data: Any,
    ) -> TrainingRecord:
        """Return the record of the run; ``about_data`` holds the fields that only the caller knows."""
        history = state.history
        monitored = history.get("val_loss")
        mae = {part: found.get(ALL, {}).get("mae") for part, found in metrics.items()}
        return TrainingRecord(
            version=RESIDUAL_VERSION if "residual_of" in about_data["data_source"] else RECORD_VERSION,
            **about_data,
            initial=None if self.initial is None else self.initial.to_dict() | _before(state),
            n_train=self.n_train,
            n_validation=self.n_validation,
            epochs=state.epoch,
            best_epoch=_best_epoch(state, monitored),
            stopped=state.stopped or "",
            loss=history["loss"],
            validation_loss=monitored,
            validation_mae=history.get("val_mae"),
            learning_rate=history["learning_rate"],
            mae_train=float(metrics["train"][ALL]["mae"]),
            mae_validation=mae.get("validation") if self.n_validation else None,
            mae_test=mae.get("test"),
            metrics={part: {name: dict(of) for name, of in found.items()} for part, found in metrics.items()},
            batch_size=self.batch_size,
            batch_norm_momentum=self.momentum,
            n_parameters=int(self.model.count_params()),
            representation=representation.to_dict(),
            settings=self.settings.to_dict(),
            seed=self.settings.seed,
            versions=software_versions(),
            environment=training_environment(self.settings, replicas=self.replicas),
            started=clock.started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            wall_s=round(time.monotonic() - clock.wall + state.earlier_wall_s, 3),
            cpu_s=round(time.process_time() - clock.cpu + state.earlier_cpu_s, 3),
        )


def _before(state: LoopState) -> dict[str, float | None]:
    """Return the errors of the validation part before the first epoch."""
    return {f"validation_{name}": (state.initial or {}).get(name) for name in ("loss", "mae")}


def _best_epoch(state: LoopState, monitored: Sequence[float] | None) -> int:
    if not monitored:
        return state.epoch
    best = int(np.argmin(monitored))
    return 0 if state.initial is not None and not monitored[best] < state.initial["loss"] else best + 1


def _undivided(batches: Any) -> Any:
    """Keep TensorFlow from sharding files among workers: a single process reads for all devices."""
    import tensorflow

    options = tensorflow.data.Options()
    options.experimental_distribute.auto_shard_policy = tensorflow.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)
