"""CGCNN-HD, a crystal graph convolutional network with hyperbolic tangents and dropout, on torch.

J. Noh, G. H. Gu, S. Kim, Y. Jung, "Uncertainty-Quantified Hybrid Machine Learning/Density Functional Theory
High Throughput Screening Method for Crystals", J. Chem. Inf. Model. 60, 1996 (2020), DOI 10.1021/acs.jcim.0c00003:
CGCNN (T. Xie, J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018)) with tanh instead of both softplus functions of a
convolution, and a dropout of 0.2 before the last layer that remains active in predictions. The mean over 200 passes is
the energy, the standard deviation its uncertainty.

The paper does not specify which of several atoms at the same distance is the eighth neighbour. Here all of them are,
with equal weights that bring the sum to eight, so the energy depends neither on the order of the atoms nor on the
choice of cell.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from esnet.graph.crystals import NO_NEIGHBOURS, Material, UnusableCrystalError, checked_crystal
from esnet.graph.packages import load

CUTOFF = 4.0
"""Cutoff distance of neighbours, A."""
N_NEIGHBOURS = 8
N_GAUSSIANS = 21
N_ELEMENT_FEATURES = 92
N_ATOM_FEATURES = 90
N_CONVOLUTIONS = 5
N_DENSE = 180
DROPOUT = 0.2
N_PASSES = 200

_WIDTH = CUTOFF / (N_GAUSSIANS - 1)
_SAME_DISTANCE = 1e-3
"""Atoms whose distances differ by less than this count as equally distant, A."""


class Neighbours(NamedTuple):
    """Pairs of atoms; the ``weights`` of the pairs of one centre add up to 8, or to their number if there are fewer."""

    centres: NDArray[np.int64]
    others: NDArray[np.int64]
    distances: NDArray[np.float32]
    weights: NDArray[np.float32]


def find_neighbours(material: Material | None) -> Neighbours:
    """Return the eight nearest atoms within 4 A of each atom of a crystal; ties for the last places share their weight.

    Raises
    ------
    UnusableCrystalError
        If the material is not an ordered crystal, or none of its atoms has a neighbour within 4 A.
    """
    crystal = checked_crystal(material)
    centres, others, _, distances = crystal.get_neighbor_list(CUTOFF)
    if not len(centres):
        raise UnusableCrystalError(NO_NEIGHBOURS.format(cutoff=CUTOFF))
    order = np.lexsort((distances, centres))
    centres, others, distances = centres[order], others[order], distances[order]
    starts = np.searchsorted(centres, np.arange(len(crystal) + 1))
    weights = np.ones(len(centres))
    for start, end in pairwise(starts):
        if end - start > N_NEIGHBOURS:
            near, last = distances[start:end], distances[start + N_NEIGHBOURS - 1]
            nearer, tied = near < last - _SAME_DISTANCE, np.abs(near - last) <= _SAME_DISTANCE
            weights[start:end] = np.where(tied, (N_NEIGHBOURS - nearer.sum()) / tied.sum(), nearer)
    kept = weights > 0.0
    return Neighbours(
        centres[kept].astype(np.int64),
        others[kept].astype(np.int64),
        distances[kept].astype(np.float32),
        weights[kept].astype(np.float32),
    )


class CgcnnHd:
    """The network, the conversion of its input, and its standardised energies.

    Attributes
    ----------
    network
        ``torch.nn.Module`` with all weights, which is trained, saved and loaded.
    elements
        Symbols of the elements that it has features for.
    """

    def __init__(self) -> None:
        import torch
        from torch.nn import BatchNorm1d, Linear, ModuleDict, ModuleList

        features: Any = load("aviary.utils").get_element_embedding("cgcnn92").weight.detach()
        known = np.flatnonzero((features != 0.0).any(dim=1).numpy())
        self.elements = frozenset(_symbols(known))
        self.features = features
        self.centres = torch.linspace(0.0, CUTOFF, N_GAUSSIANS)
        self.network: Any = ModuleDict(
            {
                "embedding": Linear(N_ELEMENT_FEATURES, N_ATOM_FEATURES),
                "convolutions": ModuleList(
                    ModuleDict(
                        {
                            "full": Linear(2 * N_ATOM_FEATURES + N_GAUSSIANS, 2 * N_ATOM_FEATURES),
                            "norm_messages": BatchNorm1d(2 * N_ATOM_FEATURES),
                            "norm_sums": BatchNorm1d(N_ATOM_FEATURES),
                        }
                    )
                    for _ in range(N_CONVOLUTIONS)
                ),
                "first": Linear(N_ATOM_FEATURES, N_DENSE),
                "second": Linear(N_DENSE, N_DENSE),
                "last": Linear(N_DENSE, 1),
            }
        )

    def item(self, material: Material | None) -> Any:
        """Return the network's input for one crystal: atomic numbers and neighbours.

        Raises
        ------
        UnusableCrystalError
            If the network cannot treat it.
        """
        neighbours = find_neighbours(material)
        crystal = checked_crystal(material)
        return np.array([site.specie.Z for site in crystal], dtype=np.int64), neighbours

    def batch(self, items: Sequence[Any], device: str) -> Any:
        """Return a batch of crystals."""
        import torch

        sizes = np.array([len(numbers) for numbers, _ in items])
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        pairs = [each for _, each in items]
        columns = (
            np.concatenate([numbers for numbers, _ in items]),
            np.repeat(np.arange(len(items)), sizes),
            np.concatenate([each.centres + start for each, start in zip(pairs, first, strict=True)]),
            np.concatenate([each.others + start for each, start in zip(pairs, first, strict=True)]),
            np.concatenate([each.distances for each in pairs]),
            np.concatenate([each.weights for each in pairs]),
        )
        return len(items), *(torch.from_numpy(column).to(device) for column in columns)

    def hidden(self, batch: Any) -> Any:
        """Return the output of the network up to the dropout, shape (n, 180)."""
        import torch
        from torch.nn.functional import softplus

        n_crystals, numbers, crystal_of, centres, others, distances, weights = batch
        network, device = self.network, numbers.device
        gaussians = torch.exp(-(((distances[:, None] - self.centres.to(device)) / _WIDTH) ** 2))
        atoms = network["embedding"](self.features.to(device)[numbers])
        for convolution in network["convolutions"]:
            messages = convolution["full"](torch.cat([atoms[centres], atoms[others], gaussians], dim=1))
            gates, cores = convolution["norm_messages"](messages).chunk(2, dim=1)
            messages = torch.sigmoid(gates) * torch.tanh(cores) * weights[:, None]
            sums = torch.zeros_like(atoms).index_add(0, centres, messages)
            atoms = torch.tanh(atoms + convolution["norm_sums"](sums))
        counts = torch.bincount(crystal_of, minlength=n_crystals)[:, None]
        pooled = torch.zeros(n_crystals, atoms.shape[1], device=device).index_add(0, crystal_of, atoms) / counts
        return softplus(network["second"](softplus(network["first"](softplus(pooled)))))

    def forward(self, batch: Any) -> Any:
        """Return standardised energies (n,), with dropout while the network is in training mode."""
        from torch.nn.functional import dropout

        hidden = dropout(self.hidden(batch), DROPOUT, training=self.network.training)
        return self.network["last"](hidden).reshape(-1)

    def passes(self, batch: Any, *, seed: int) -> NDArray[np.float64]:
        """Return the standardised energies of 200 passes with dropout, shape (200, n).

        Everything before the dropout is the same in every pass and computed only once. A pass drops the same units,
        drawn with the seed, for all crystals, so the energies of a crystal do not depend on the others in its batch.
        """
        import torch

        with torch.no_grad():
            hidden = self.hidden(batch).cpu().double().numpy()
            last = self.network["last"]
            weights, bias = last.weight.cpu().double().numpy()[0], float(last.bias.cpu())
        kept = np.random.default_rng(seed).random((N_PASSES, N_DENSE)) >= DROPOUT
        return np.asarray((kept * (weights / (1.0 - DROPOUT))) @ hidden.T + bias)


def _symbols(numbers: NDArray[np.intp]) -> list[str]:
    from pymatgen.core import Element

    return [Element.from_Z(int(number)).symbol for number in numbers if number]
