"""MEGNet with the network, graphs and default settings of matgl."""

from collections.abc import Sequence
from typing import Any

from esnet.graph.crystals import NO_NEIGHBOURS, Material, UnusableCrystalError, checked_crystal, elements_of
from esnet.graph.packages import load


class Megnet:
    """The network, the conversion of its input, and its standardised energies.

    Attributes
    ----------
    network
        ``torch.nn.Module`` with all weights; embeds 89 elements, regardless of those in the training samples.
    elements
        Symbols of the elements that it has embeddings for.
    """

    def __init__(self) -> None:
        self.network: Any = load("matgl.models").MEGNet()
        self.elements = frozenset(self.network.element_types)
        self._converter = load("matgl.ext.pymatgen").Structure2Graph(
            element_types=self.network.element_types, cutoff=self.network.cutoff
        )

    def item(self, material: Material | None) -> Any:
        """Return the network's input for one crystal: a graph with Cartesian positions.

        Raises
        ------
        UnusableCrystalError
            If the network cannot treat it.
        """
        crystal = checked_crystal(material)
        if unknown := sorted(elements_of(crystal) - self.elements):
            raise UnusableCrystalError(f"MEGNet has no embedding of {', '.join(unknown)}")
        graph, lattice, _ = self._converter.get_graph(crystal)
        if not graph.num_edges:
            raise UnusableCrystalError(NO_NEIGHBOURS.format(cutoff=self.network.cutoff))
        graph.pbc_offshift = graph.pbc_offset @ lattice[0]
        graph.pos = graph.frac_coords @ lattice[0]
        return graph

    def batch(self, items: Sequence[Any], device: str) -> Any:
        """Return a batch of crystals."""
        from torch_geometric.data import Batch

        return Batch.from_data_list(list(items)).to(device)

    def forward(self, batch: Any) -> Any:
        """Return standardised energies (n,)."""
        import torch

        state = torch.zeros(batch.num_graphs, 2, device=batch.pos.device)
        return self.network(batch, state_attr=state).reshape(-1)
