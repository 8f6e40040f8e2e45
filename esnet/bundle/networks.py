"""Run the networks of a bundle on features, with any Keras backend."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.bundle.info import BundleInfo
from esnet.bundle.members import Member, load_members, members_of
from esnet.files.quiet import without_chatter
from esnet.representation.checks import check_features
from esnet.representation.features import network_inputs
from esnet.representation.scaling import ChannelScaler, TargetScaling

_BLOCK = 4096


class Outputs(NamedTuple):
    """Outputs of the networks for n materials.

    Attributes
    ----------
    energies
        Formation energies of the relaxed crystals, eV/atom, shape (members, n).
    hidden
        Last hidden layer, float32, shape (members, n, 64).
    """

    energies: NDArray[np.float64]
    hidden: NDArray[np.float32]


@dataclass(frozen=True)
class ScaledFeatures:
    """Features of n materials scaled for the networks of one bundle by `Networks.scale`.

    Attributes
    ----------
    inputs
        Result of `esnet.representation.features.network_inputs`.
    """

    inputs: dict[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.compositions)

    @property
    def compositions(self) -> NDArray[np.float32]:
        """Composition vectors, shape (n, 111)."""
        return self.inputs["composition"]


class Networks:
    """One network or the members of an ensemble, with their common scalings."""

    def __init__(self, members: Sequence[Member], *, scaler: ChannelScaler, target_scaling: TargetScaling) -> None:
        self._members = members
        self._scaler = scaler
        self._target_scaling = target_scaling
        # batch sizes processed so far, for which a graph is compiled
        self._sizes: set[int] = set()
        # members may share a network, which has the weights of one of them at a time
        self._running = threading.Lock()

    @classmethod
    def of(cls, models: Sequence[Any], *, scaler: ChannelScaler, target_scaling: TargetScaling) -> Self:
        """Return networks for Keras models in memory, which stay as they are."""
        return cls(members_of(models), scaler=scaler, target_scaling=target_scaling)

    @classmethod
    def load(cls, info: BundleInfo) -> Self:
        """Load the networks of a bundle in Keras' safe mode, which executes nothing from them."""
        return cls.load_all([info])

    @classmethod
    def load_all(cls, infos: Sequence[BundleInfo]) -> Self:
        """Load the networks of several bundles with the same scalings."""
        with without_chatter():
            members = load_members([(info.path / member, info) for info in infos for member in info.members])
        return cls(members, scaler=infos[0].scaler, target_scaling=infos[0].target_scaling)

    def run(self, dos: ArrayLike, compositions: ArrayLike, *, batch_size: int = 256) -> Outputs:
        """Run all members on unscaled features: dos (n, 2, 1500, 9) and compositions (n, 111).

        Raises
        ------
        FeatureError
            If a shape is wrong or a value is not finite.
        """
        features, vectors = check_features(dos, compositions)
        # only the scaled copies of one block are kept in addition to the features
        block = max(batch_size, _BLOCK // batch_size * batch_size)
        parts = [
            self.run_scaled(self.scale(features[at : at + block], vectors[at : at + block]), batch_size=batch_size)
            for at in range(0, max(1, len(features)), block)
        ]
        energies, hidden = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
        return Outputs(energies, hidden)

    def scale(self, dos: ArrayLike, compositions: ArrayLike) -> ScaledFeatures:
        """Scale features for `run_scaled`. No network is needed, so this can be done while one is running.

        Raises
        ------
        FeatureError
            If a shape is wrong or a value is not finite.
        """
        return ScaledFeatures(network_inputs(dos, compositions, scaler=self._scaler))

    def run_scaled(self, features: ScaledFeatures, *, batch_size: int = 256) -> Outputs:
        """Run all members on the result of `scale`; together, the two steps give the same bits as `run`."""
        if not len(features):
            return Outputs(np.zeros((len(self._members), 0)), np.zeros((len(self._members), 0, 0), np.float32))
        energies, hidden = [], []
        for member in self._members:
            with self._running:
                standardised, last = self._predict(member.prepare(), features, batch_size)
            energies.append(self._target_scaling.restore(standardised[:, 0]))
            hidden.append(last)
        return Outputs(np.stack(energies), np.stack(hidden))

    def _predict(
        self, model: Any, features: ScaledFeatures, batch_size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run one model. Keras' ``predict`` would set up a data pipeline each time, for a tenth of a Screen's time."""
        parts = []
        for start in range(0, len(features), batch_size):
            size = min(batch_size, len(features) - start)
            # padded to a batch size that has a compiled graph, since compiling another one takes seconds
            taken = batch_size if batch_size in self._sizes and size not in self._sizes else size
            self._sizes.add(taken)
            part = {name: _filled(array[start : start + size], taken) for name, array in features.inputs.items()}
            parts.append([np.asarray(array)[:size] for array in model.predict_on_batch(part)])
        standardised, last = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return standardised, last.astype(np.float32, copy=False)


def _filled(array: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Pad an array with zeros along its first axis."""
    if len(array) == size:
        return array
    return np.concatenate([array, np.zeros((size - len(array), *array.shape[1:]), array.dtype)])
