"""The pretrained network from which a training continues, with the scalings that were fitted with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from esnet.bundle.bundle import Bundle
from esnet.bundle.info import BundleInfo
from esnet.bundle.members import load_network
from esnet.representation.features import Representation
from esnet.training.network import TrainingError
from esnet.training.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class PretrainedNetwork:
    """One network of a bundle from which a training continues.

    The channel scaler and the target scaling are taken from the bundle, since the weights were fitted to their output;
    with new ones, the network would have to adapt to them first.

    Attributes
    ----------
    info
        The bundle.
    member
        Number of its network, from 1.
    n_new
        Number of training samples that are new to the bundle, for the record; None if unknown.
    held_out
        Ids of the validation samples. If None, they are drawn with the settings' seed.
    """

    info: BundleInfo
    member: int = 1
    n_new: int | None = None
    held_out: frozenset[str] | None = None

    @classmethod
    def of(cls, given: PretrainedNetwork | Bundle | Path | str, *, representation: Representation) -> Self:
        """Open the bundle, or return the pretrained network, that a caller has given.

        Raises
        ------
        BundleError
            If a bundle cannot be read.
        RepresentationError
            If a setting differs from that of the bundle; the message names it.
        TrainingError
            If the bundle is an ensemble: `esnet.training.fine_tuning.fine_tune` continues from all of its networks.
        """
        if isinstance(given, cls):
            given.info.representation.require(representation)
            return given
        path = given if isinstance(given, Path | str) else given.info.path
        info = BundleInfo.read(path, representation=representation)
        if len(info.members) > 1:
            raise TrainingError(
                f"{info.path} is an ensemble of {len(info.members)} networks: continue from one with "
                "esnet.training.fine_tuning.fine_tune, or name a bundle with one network"
            )
        return cls(info=info)

    def settings(self, asked: TrainingSettings) -> TrainingSettings:
        """Return the settings of a run that continues from here: the bundle's widths and a smaller learning rate."""
        widths = self.info.records[self.member - 1].settings["widths"]
        return replace(asked, widths=tuple(widths), learning_rate=asked.learning_rate * asked.fine_tuning_factor)

    def put_into(self, model: Any) -> None:
        """Copy the weights into a network with the same layers.

        Raises
        ------
        BundleError
            If the bundle's network cannot be loaded.
        """
        trained = load_network(self.info.path / self.info.members[self.member - 1], self.info)
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(trained.get_layer(layer.name).get_weights())

    def to_dict(self) -> dict[str, Any]:
        """Return the entry for the training record."""
        return {"checksum": self.info.checksum, "member": self.member, "n_new": self.n_new}
