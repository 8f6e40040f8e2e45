"""Networks of an ensemble for inference: those of one architecture share a graph, each with its own weights.

Building and compiling the graph of an ESNet takes four CPU-s, and loading other weights into it one.
"""

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.bundle.files import BundleError
from esnet.bundle.info import BundleInfo
from esnet.network.folded_network import inference_network, update_inference_network

_LAST_LAYER = "energy"
_CONFIG = "config.json"
#: Keys of a network's configuration that say nothing about its graph: seeds, and places in the memory of its writer.
_IRRELEVANT = frozenset({"seed", "shared_object_id"})


@dataclass(frozen=True)
class Member:
    """One network of an ensemble.

    Attributes
    ----------
    network
        Keras model with the outputs energy (standardised) and last hidden layer; other members may share it.
    weights
        Weights to set before it is run; None if no other member shares the network.
    """

    network: Any
    weights: Sequence[NDArray[np.float32]] | None = None

    def prepare(self) -> Any:
        """Return the network with the member's weights."""
        if self.weights is not None:
            self.network.set_weights(self.weights)
        return self.network


def members_of(models: Iterable[Any]) -> list[Member]:
    """Return the members for trained networks in memory, which stay as they are."""
    return [Member(inference_network(_with_hidden(model))) for model in models]


def load_members(files: Sequence[tuple[Path, BundleInfo]]) -> list[Member]:
    """Load networks from files of bundles in Keras' safe mode, which executes nothing from them.

    Raises
    ------
    BundleError
        If the installed Keras cannot read one, or a weight is not a finite number.
    """
    graphs: dict[str, tuple[Any, Any]] = {}
    members = []
    for file, info in files:
        architecture = _architecture(file)
        if architecture not in graphs:
            model = _with_hidden(load_network(file, info))
            graphs[architecture] = model, inference_network(model)
        else:
            _load_weights(graphs[architecture][0], file, info)
            update_inference_network(graphs[architecture][1], graphs[architecture][0])
        network = graphs[architecture][1]
        members.append(Member(network, network.get_weights()))
    shared = len(graphs) < len(members)
    return members if shared else [Member(member.network) for member in members]


def load_network(file: Path, info: BundleInfo) -> Any:
    """Load one network in Keras' safe mode, which executes nothing from it.

    Raises
    ------
    BundleError
        If the installed Keras cannot read it, or a weight is not a finite number.
    """
    import keras

    try:
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
        model.get_layer(_LAST_LAYER)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise _unreadable(file, info, error) from error
    _require_finite(model, file)
    return model


def _load_weights(model: Any, file: Path, info: BundleInfo) -> None:
    try:
        model.load_weights(file)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise _unreadable(file, info, error) from error
    _require_finite(model, file)


def _with_hidden(model: Any) -> Any:
    """Return the network with its last hidden layer as a second output."""
    import keras

    # energies always come from this graph, so that all methods give bitwise identical results
    return keras.Model(model.input, [model.output, model.get_layer(_LAST_LAYER).input], name=model.name)


def _architecture(file: Path) -> str:
    """Return a text that two network files have in common if their weights fit the same graph."""
    try:
        with zipfile.ZipFile(file) as archive:
            config = json.loads(archive.read(_CONFIG))
        layers = config["config"]["layers"]
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return f"unreadable: {file}"  # Keras will say why
    # Keras numbers the names of operations (max, max_16) by what a process has built before
    operations = [layer for layer in layers if str(layer.get("module")).startswith("keras.src.ops")]
    numbers = {layer["name"]: f"operation {number}" for number, layer in enumerate(operations)}
    return json.dumps(_of_graph(config, numbers), sort_keys=True)


def _of_graph(config: Any, names: Mapping[str, str]) -> Any:
    """Return the part of a configuration that defines the graph, not how weights were initialised, with new names."""
    if isinstance(config, list):
        return [_of_graph(each, names) for each in config]
    if isinstance(config, dict):
        kept = {key for key in config if key not in _IRRELEVANT and not key.endswith("_initializer")}
        return {key: _of_graph(config[key], names) for key in kept}
    return names.get(config, config) if isinstance(config, str) else config


def _unreadable(file: Path, info: BundleInfo, error: Exception) -> BundleError:
    import keras

    return BundleError(
        f"{file} cannot be read by Keras {keras.__version__} "
        f"(saved with {info.record.versions.get('keras', 'an unknown version')}): {error}"
    )


def _require_finite(model: Any, file: Path) -> None:
    import keras

    broken = [weight.path for weight in model.weights if not np.isfinite(keras.ops.convert_to_numpy(weight)).all()]
    if broken:
        layers = list(dict.fromkeys(path.rpartition("/")[0] for path in broken))
        raise BundleError(
            f"{file}: weights of the layer{'s' if len(layers) > 1 else ''} {', '.join(layers[:5])} "
            f"{'and others ' if len(layers) > 5 else ''}are not finite numbers: its training failed, or the file was "
            "changed; train it again, or use another bundle"
        )
