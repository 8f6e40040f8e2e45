"""Build a graph model with initial weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from esnet.graph.aviary_models import Roost, Wren
from esnet.graph.cgcnn_hd import CgcnnHd
from esnet.graph.crystals import Material
from esnet.graph.kinds import GraphKind, kind_of
from esnet.graph.megnet import Megnet
from esnet.graph.packages import require_graph_packages


class GraphModel(Protocol):
    """A network with the conversion of crystals to its input.

    Attributes
    ----------
    network
        ``torch.nn.Module`` with all weights.
    """

    network: Any

    @property
    def elements(self) -> frozenset[str]:
        """Symbols of the elements that it has features for."""

    def item(self, material: Material | None) -> Any:
        """Return the network's input for one crystal, or raise UnusableCrystalError."""

    def batch(self, items: Sequence[Any], device: str) -> Any:
        """Return a batch of items."""

    def forward(self, batch: Any) -> Any:
        """Return standardised energies as a tensor of shape (n,)."""


_MODELS: Mapping[str, Callable[[], GraphModel]] = {"cgcnn-hd": CgcnnHd, "megnet": Megnet, "roost": Roost, "wren": Wren}


def build_model(kind: GraphKind | str, *, seed: int = 1) -> GraphModel:
    """Return a model with random weights drawn with the seed; torch's random state is left unchanged.

    Raises
    ------
    MissingExtraError
        If a package is not installed.
    """
    kind = kind_of(kind) if isinstance(kind, str) else kind
    require_graph_packages(kind)
    with seeded(seed):
        return _MODELS[kind.name]()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block and restore its random state afterwards."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def best_device() -> str:
    """Return the name of the device to use: a usable GPU, or else the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def n_parameters(model: GraphModel) -> int:
    """Return the number of all parameters of a network; 100 of MEGNet's are not trained."""
    return sum(each.numel() for each in model.network.parameters())
