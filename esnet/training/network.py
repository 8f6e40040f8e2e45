"""Build the network for a training, with its devices and precision, and convert it to its stored form."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from esnet.files.errors import UserError
from esnet.files.quiet import without_chatter
from esnet.network.model import build_esnet
from esnet.training.adam import fused_adam
from esnet.training.settings import TrainingSettings

_FEW_BATCHES = 10


class TrainingError(UserError, ValueError):
    """A training run cannot start or failed; the message gives the reason and a remedy."""


def require_tensorflow() -> None:
    """Raise TrainingError if the Keras backend is not TensorFlow, which data reading and distribution rely on."""
    with without_chatter():  # TensorFlow is first imported here, and the first operation repeats its messages
        import keras

        backend = keras.config.backend()
        if backend == "tensorflow":
            import tensorflow

            tensorflow.constant(0.0) + 0.0
    if backend != "tensorflow":
        raise TrainingError(
            f"training needs Keras's TensorFlow backend, and KERAS_BACKEND is {backend}: unset it, or set it to "
            "tensorflow (the bundle then predicts on any backend)"
        )


def device_strategy(devices: Sequence[str] | None) -> Any:
    """Return a MirroredStrategy over devices such as ``GPU:0``; None (TensorFlow's default device) for None.

    Raises
    ------
    TrainingError
        If the list is empty or a device does not exist.
    """
    if devices is None:
        return None
    import tensorflow

    there = [":".join(found.name.rsplit(":", 2)[-2:]) for found in tensorflow.config.list_logical_devices()]
    wanted = [name.lstrip("/").upper() for name in devices]
    missing = [name for name in wanted if name not in there]
    if missing or not wanted:
        raise TrainingError(
            f"devices {', '.join(missing) or 'to train on: none was named'}; TensorFlow sees {', '.join(there)}"
        )
    return tensorflow.distribute.MirroredStrategy([f"/{name}" for name in wanted])


def compiled_network(settings: TrainingSettings, *, momentum: float, strategy: Any = None) -> Any:
    """Build and compile the network to train, under a ``tf.distribute`` strategy if one is given.

    Returns
    -------
    keras.Model
        Network with the mean absolute error (of the standardised energies) as the metric ``mae``. In mixed precision
        the layers compute in bfloat16, except the output layer, which is float32 like all weights.

    Raises
    ------
    TrainingError
        If XLA is requested but not available.
    """
    import keras

    losses = {
        "logcosh": keras.losses.LogCosh,
        "mae": keras.losses.MeanAbsoluteError,
        "mse": keras.losses.MeanSquaredError,
    }
    with strategy.scope() if strategy is not None else contextlib.nullcontext():
        with _layer_precision(settings.precision):
            model = build_esnet(widths=settings.widths, batch_norm_momentum=momentum, seed=settings.seed)
        model.compile(
            optimizer=fused_adam(settings.learning_rate),
            loss=losses[settings.loss](),
            metrics=[keras.metrics.MeanAbsoluteError(name="mae")],
            jit_compile=settings.xla,
        )
        if settings.xla and not model.jit_compile:
            raise TrainingError(
                "xla: Keras does not compile the training step; an earlier training in this process requested "
                "deterministic operations from TensorFlow (settings.deterministic), so use a separate process"
            )
        # otherwise the graph is traced twice
        model.optimizer.build(model.trainable_variables)
    return model


def kept_network(model: Any, settings: TrainingSettings, *, momentum: float, replicas: int = 1) -> Any:
    """Return a network with the same weights in the form stored in a bundle: float32, one device, no optimiser.

    The optimiser's state would triple the size of the saved file, and a float32 network predicts the same on any
    machine.
    """
    import keras

    if settings.precision == "float32" and replicas == 1:
        return keras.Model(model.input, model.output, name="esnet")
    kept = build_esnet(widths=settings.widths, batch_norm_momentum=momentum, seed=settings.seed)
    kept.set_weights(model.get_weights())
    return kept


def momentum_for(settings: TrainingSettings, n_train: int) -> float:
    """Return the momentum of the batch normalisations (see `TrainingSettings.batch_norm_momentum`)."""
    if settings.batch_norm_momentum is not None:
        return settings.batch_norm_momentum
    return 0.9 if n_train < _FEW_BATCHES * settings.batch_size else 0.99


def batch_size_for(wanted: int, n_train: int) -> int:
    """Return the smallest batch size, starting from the requested one, whose last batch is at least half full."""
    size = min(wanted, n_train)
    while 0 < n_train % size < size / 2:
        size += 1
    return size


@contextlib.contextmanager
def _layer_precision(precision: str) -> Iterator[None]:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
