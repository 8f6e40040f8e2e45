"""The two plain networks of the paper's Table 1: a DNN on the moments and a CNN on the DOS signal.

The paper describes the DNN as having two fully connected layers and the CNN as conventional; their sizes are in a
supplement that is not available. Here both have ESNet's head (128 and 64 units), and the CNN has ESNet's stem and
widths but none of its three distinctive features: it has one convolution per block instead of two residual units, no
attention, and both spins as the 18 channels of one signal. The table therefore shows the benefit of these features.
Both are trained like ESNet: LogCosh, Adam, learning rate halved on a plateau, early stopping on the validation part.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from esnet.baselines.classical import Table
from esnet.dataset.dataset import Dataset
from esnet.dataset.pipeline import batches
from esnet.representation.composition import N_ELEMENTS
from esnet.representation.dos import N_GRID, N_ORBITALS
from esnet.representation.scaling import ChannelScaler, TargetScaling
from esnet.training.adam import fused_adam
from esnet.training.loop import CheckpointConfig, EpochData, Progress, run_epochs
from esnet.training.metrics import predict_places
from esnet.training.network import batch_size_for, momentum_for
from esnet.training.settings import TrainingSettings

HEAD_UNITS = (128, 64)
_COMPOSITION_UNITS = 64
_BATCH = 1024


class NetworkFit(NamedTuple):
    """A trained network's predictions and their description.

    Attributes
    ----------
    predictions
        Formation energies predicted for the requested samples or features, eV/atom.
    n_parameters
        Number of weights, trainable or not.
    epochs
        Number of epochs run.
    mae_validation
        Mean absolute error on the validation part at the epoch whose weights were kept, eV/atom.
    predict_cpu_s
        CPU time of the predictions, s.
    """

    predictions: NDArray[np.float64]
    n_parameters: int
    epochs: int
    mae_validation: float
    predict_cpu_s: float


def _build_dnn(n_features: int) -> Any:
    """Return the network of fully connected layers: (n, n_features) -> (n, 1)."""
    import keras

    features = keras.Input((n_features,), name="features")
    hidden: Any = features
    for number, width in enumerate(HEAD_UNITS, start=1):
        hidden = keras.layers.Dense(width, activation="relu", name=f"dense_{number}")(hidden)
    return keras.Model(features, keras.layers.Dense(1, name="energy")(hidden), name="dnn")


def _build_cnn(*, widths: tuple[int, ...], batch_norm_momentum: float) -> Any:
    """Return the plain convolutional network with ESNet's inputs and output (n, 1).

    Each block is one convolution with kernel 3, whose numbers of channels are given by ``widths``; the stem (kernel 20,
    stride 2) has the same number as the first block.
    """
    import keras

    up, down = (keras.Input((N_GRID, N_ORBITALS), name=spin) for spin in ("up", "down"))
    composition = keras.Input((N_ELEMENTS,), name="composition")
    signal = keras.layers.Concatenate(name="channels")([up, down])
    shapes = [(widths[0], 20, 2), *((width, 3, 1) for width in widths)]
    for number, (width, kernel, strides) in enumerate(shapes):
        signal = keras.layers.Conv1D(width, kernel, strides=strides, padding="same", name=f"conv_{number}")(signal)
        signal = keras.layers.BatchNormalization(momentum=batch_norm_momentum, name=f"norm_{number}")(signal)
        signal = keras.layers.ReLU(name=f"relu_{number}")(signal)
        signal = keras.layers.AveragePooling1D(2, strides=2, padding="same", name=f"pool_{number}")(signal)
    signal = keras.layers.GlobalAveragePooling1D(name="total_pool")(signal)
    elements = keras.layers.Dense(_COMPOSITION_UNITS, name="elements")(composition)
    hidden = keras.layers.Concatenate(name="features")([signal, elements])
    for number, units in enumerate(HEAD_UNITS, start=1):
        hidden = keras.layers.Dense(units, activation="relu", name=f"dense_{number}")(hidden)
    energy = keras.layers.Dense(1, name="energy")(hidden)
    return keras.Model({"up": up, "down": down, "composition": composition}, energy, name="cnn")


def fit_dnn(
    training: Table,
    validation: Table,
    features: NDArray[np.float64],
    *,
    settings: TrainingSettings,
    keeping: CheckpointConfig,
    progress: Progress | None = None,
) -> NetworkFit:
    """Train the DNN on features (n, 219) and formation energies (eV/atom), and predict from ``features``."""
    import keras

    keras.utils.set_random_seed(settings.seed)
    scaling = TargetScaling.fit(training.energies)
    model = _compiled(_build_dnn(training.features.shape[1]), settings)
    batch_size = batch_size_for(settings.batch_size, len(training.energies))
    fixed = (validation.features.astype(np.float32), scaling.standardise(validation.energies)[:, None])
    inputs, targets = training.features.astype(np.float32), scaling.standardise(training.energies)[:, None]

    def feed(epoch: int) -> dict[str, Any]:
        order = np.random.default_rng((settings.seed, epoch)).permutation(len(targets))
        return {
            "x": inputs[order],
            "y": targets[order],
            "validation_data": fixed,
            "batch_size": batch_size,
            "shuffle": False,
        }

    def predict() -> NDArray[np.float64]:
        return scaling.restore(model.predict(features.astype(np.float32), batch_size=_BATCH, verbose=0)[:, 0])

    return _fitted(model, feed, predict, scaling, settings=settings, keeping=keeping, progress=progress)


def fit_cnn(
    dataset: Dataset,
    training: NDArray[np.intp],
    validation: NDArray[np.intp],
    indices: NDArray[np.intp],
    *,
    settings: TrainingSettings,
    keeping: CheckpointConfig,
    progress: Progress | None = None,
) -> NetworkFit:
    """Train the plain CNN on a data set that need not fit into memory, and predict the samples in ``indices``."""
    import keras

    keras.utils.set_random_seed(settings.seed)
    scaler = ChannelScaler.fit_batches(dataset.blocks(training))
    scaling = TargetScaling.fit(dataset.energies[training])
    momentum = momentum_for(settings, len(training))
    model = _compiled(_build_cnn(widths=settings.widths, batch_norm_momentum=momentum), settings)
    options: dict[str, Any] = {
        "scaler": scaler,
        "target_scaling": scaling,
        "seed": settings.seed,
        "batch_size": batch_size_for(settings.batch_size, len(training)),
    }

    def feed(epoch: int) -> dict[str, Any]:
        return {
            "x": batches(dataset, training, epoch=epoch, **options),
            "validation_data": batches(dataset, validation, shuffle=False, **options),
            # the pipeline has already shuffled
            "shuffle": False,
        }

    def predict() -> NDArray[np.float64]:
        return predict_places(model, dataset, indices, scaler=scaler, scaling=scaling)

    return _fitted(model, feed, predict, scaling, settings=settings, keeping=keeping, progress=progress)


def _fitted(
    model: Any,
    feed: EpochData,
    predict: Callable[[], NDArray[np.float64]],
    scaling: TargetScaling,
    *,
    settings: TrainingSettings,
    keeping: CheckpointConfig,
    progress: Progress | None,
) -> NetworkFit:
    """Train, then predict with the best weights."""
    state = run_epochs(
        model, feed, settings=settings, deviation=scaling.deviation, validated=True, keeping=keeping, progress=progress
    )
    # the kept weights are those with the lowest loss, whose epoch need not have the lowest MAE
    best = int(np.argmin(state.history["val_loss"]))
    cpu = time.process_time()
    found = predict()
    predict_cpu_s = time.process_time() - cpu
    return NetworkFit(found, int(model.count_params()), state.epoch, state.history["val_mae"][best], predict_cpu_s)


def _compiled(model: Any, settings: TrainingSettings) -> Any:
    import keras

    model.compile(
        optimizer=fused_adam(settings.learning_rate),
        loss=keras.losses.LogCosh(),
        metrics=[keras.metrics.MeanAbsoluteError(name="mae")],
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    return model
