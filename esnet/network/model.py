"""The network: two convolutional featurisers with block attention (CBAM), one for each spin, and a head.

Source of the architecture: D. H. Mok, D. Shin, J. Na, S. Back, J. Mater. Chem. A 11 (2023), DOI 10.1039/D3TA01767B;
source of the attention module: S. Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018. The graph
consists only of Keras layers and ``keras.ops`` (no Lambda, no custom class), so a saved model loads in Keras' safe mode
and runs on any Keras backend.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from esnet.representation.composition import N_ELEMENTS
from esnet.representation.dos import N_GRID, N_ORBITALS

PAPER_WIDTHS = (64, 128, 256, 512)
"""Number of channels of the four blocks in the paper."""

_ATTENTION_REDUCTION = 8
_POOLED_BLOCKS = 3
_COMPOSITION_UNITS = 64
_HEAD_UNITS = (128, 64)


def build_esnet(
    *, widths: tuple[int, int, int, int] = PAPER_WIDTHS, batch_norm_momentum: float = 0.99, seed: int | None = None
) -> Any:
    """Return an untrained ESNet.

    Parameters
    ----------
    widths
        Number of channels of the four blocks. The stem has ``widths[0]`` and the total-DOS convolution ``widths[3]``
        channels, as in the paper. The composition layer (64 units) and the head (128, 64, 1) always have the size given
        in the paper: they cost little, and all units of a small head may die (ReLU) in short trainings. With the
        paper's (64, 128, 256, 512), the model has 9,756,225 parameters, 9,736,001 of them trainable.
    batch_norm_momentum
        Momentum of the running mean and variance of the batch normalisations (Keras' default, 0.99).
    seed
        Seed of the initial weights; None draws different ones at each call. No global random state is changed.

    Returns
    -------
    keras.Model
        Inputs ``up`` (n, 1500, 9), ``down`` (n, 1500, 9) and ``composition`` (n, 111) by name; output (n, 1).

    Raises
    ------
    ValueError
        If ``widths`` are not four positive integers, or the momentum is not between 0 and 1.
    """
    import keras

    check_widths(widths)
    if not 0.0 < batch_norm_momentum < 1.0:
        raise ValueError(f"batch_norm_momentum={batch_norm_momentum!r}: must be above 0 and below 1")
    layers = _Layers(batch_norm_momentum, seed)

    up = keras.Input((N_GRID, N_ORBITALS), name="up")
    down = keras.Input((N_GRID, N_ORBITALS), name="down")
    composition = keras.Input((N_ELEMENTS,), name="composition")

    total = keras.layers.Concatenate(name="spins")(
        [_spin_featuriser(layers, spin, name, widths) for spin, name in ((up, "up"), (down, "down"))]
    )
    total = layers.conv(widths[3], 3, "total")(total)
    total = layers.norm_relu("total")(total)
    total = keras.layers.GlobalAveragePooling1D(name="total_pool")(total)
    elements = layers.dense(_COMPOSITION_UNITS, "elements")(composition)

    head = keras.layers.Concatenate(name="features")([total, elements])
    head = layers.dense(_HEAD_UNITS[0], "dense_1", activation="relu")(head)
    head = layers.dense(_HEAD_UNITS[1], "dense_2", activation="relu")(head)
    # float32 also in mixed precision, since bfloat16 would limit the energies to a resolution of eight bits
    energy = layers.dense(1, "energy", dtype="float32")(head)
    return keras.Model({"up": up, "down": down, "composition": composition}, energy, name="esnet")


class _Layers:
    """Factory of layers with the momentum and the seeded initial weights of one network."""

    def __init__(self, momentum: float, seed: int | None) -> None:
        self._momentum = momentum
        self._seeds = None if seed is None else np.random.default_rng(seed)

    def _initializer(self, kind: str) -> Any:
        import keras

        seed = None if self._seeds is None else int(self._seeds.integers(2**31 - 1))
        return {"glorot": keras.initializers.GlorotUniform, "he": keras.initializers.HeNormal}[kind](seed=seed)

    def conv(
        self, filters: int, kernel: int, name: str, *, strides: int = 1, bias: bool = True, initializer: str = "glorot"
    ) -> Any:
        import keras

        return keras.layers.Conv1D(
            filters,
            kernel,
            strides=strides,
            padding="same",
            use_bias=bias,
            kernel_initializer=self._initializer(initializer),
            name=f"{name}_conv",
        )

    def dense(
        self,
        units: int,
        name: str,
        *,
        activation: str | None = None,
        initializer: str = "glorot",
        dtype: str | None = None,
    ) -> Any:
        import keras

        return keras.layers.Dense(
            units, activation=activation, kernel_initializer=self._initializer(initializer), dtype=dtype, name=name
        )

    def norm(self, name: str) -> Any:
        import keras

        return keras.layers.BatchNormalization(momentum=self._momentum, name=f"{name}_norm")

    def norm_relu(self, name: str) -> Callable[[Any], Any]:
        import keras

        norm, relu = self.norm(name), keras.layers.ReLU(name=f"{name}_relu")
        return lambda signal: relu(norm(signal))


def _spin_featuriser(layers: _Layers, spin: Any, name: str, widths: tuple[int, ...]) -> Any:
    """Return the output of the stem and four blocks of two residual units: (n, 1500, 9) -> (n, 47, widths[3])."""
    signal = layers.conv(widths[0], 20, f"{name}_stem", strides=2)(spin)
    signal = layers.norm_relu(f"{name}_stem")(signal)
    signal = _halve(signal, f"{name}_stem")
    for block, width in enumerate(widths, start=1):
        for unit in ("a", "b"):
            signal = _residual_unit(layers, signal, width, f"{name}_block{block}{unit}")
        if block <= _POOLED_BLOCKS:
            signal = _halve(signal, f"{name}_block{block}")
    return signal


def _halve(signal: Any, name: str) -> Any:
    import keras

    return keras.layers.AveragePooling1D(2, strides=2, padding="same", name=f"{name}_pool")(signal)


def _residual_unit(layers: _Layers, signal: Any, width: int, name: str) -> Any:
    """Return the sum of a shortcut and two convolutions with attention."""
    import keras

    shortcut = signal
    if signal.shape[-1] != width:
        shortcut = layers.norm(f"{name}_shortcut")(layers.conv(width, 1, f"{name}_shortcut")(signal))
    residual = layers.norm_relu(f"{name}_1")(layers.conv(width, 3, f"{name}_1")(signal))
    residual = layers.norm(f"{name}_2")(layers.conv(width, 3, f"{name}_2")(residual))
    residual = _position_attention(layers, _channel_attention(layers, residual, name), name)
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=f"{name}_add")([residual, shortcut]))


def _channel_attention(layers: _Layers, signal: Any, name: str) -> Any:
    """Weight the channels by one MLP shared by the mean and the maximum over the energies."""
    import keras

    channels = signal.shape[-1]
    # keepdims gives (n, 1, channels), which the multiplication broadcasts over the energies
    mean = keras.layers.GlobalAveragePooling1D(keepdims=True, name=f"{name}_channel_mean")(signal)
    highest = keras.layers.GlobalMaxPooling1D(keepdims=True, name=f"{name}_channel_max")(signal)
    squeeze = layers.dense(
        max(1, channels // _ATTENTION_REDUCTION), f"{name}_channel_squeeze", activation="relu", initializer="he"
    )
    excite = layers.dense(channels, f"{name}_channel_excite", initializer="he")
    weights = keras.layers.Add(name=f"{name}_channel_add")([excite(squeeze(mean)), excite(squeeze(highest))])
    weights = keras.layers.Activation("sigmoid", name=f"{name}_channel_weights")(weights)
    return keras.layers.Multiply(name=f"{name}_channel_attention")([signal, weights])


def _position_attention(layers: _Layers, signal: Any, name: str) -> Any:
    """Weight the positions (energies) by a convolution over the maximum and the mean of the channels."""
    import keras

    pooled = keras.layers.Concatenate(name=f"{name}_position_pooled")(
        [keras.ops.max(signal, axis=-1, keepdims=True), keras.ops.mean(signal, axis=-1, keepdims=True)]
    )
    weights = layers.conv(1, 7, f"{name}_position", bias=False, initializer="he")(pooled)
    weights = keras.layers.Activation("sigmoid", name=f"{name}_position_weights")(weights)
    return keras.layers.Multiply(name=f"{name}_position_attention")([signal, weights])


def check_widths(widths: tuple[int, ...]) -> None:
    """Raise an error unless the widths are four positive integers."""
    if len(widths) != 4 or not all(isinstance(width, int) and width > 0 for width in widths):
        raise ValueError(f"widths={widths!r}: must be four whole numbers above 0, for example {PAPER_WIDTHS}")
