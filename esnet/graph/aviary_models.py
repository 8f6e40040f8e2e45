"""Roost and Wren with the networks, inputs and batches of aviary."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from esnet.graph.crystals import Material, UnusableCrystalError, checked_composition, checked_crystal
from esnet.graph.packages import load
from esnet.representation.composition import ELEMENTS

_TARGET = "e_form"
_TASKS = {_TARGET: "regression"}
_COLUMNS = ["material_id", "composition"]


class _AviaryModel:
    """Base class of Roost and Wren.

    Attributes
    ----------
    network
        ``torch.nn.Module`` with all weights.
    elements
        Symbols of the elements that it has features for.
    """

    def __init__(self, *, network: Any, data: Any, dataset: str, column: str) -> None:
        known = (network.elem_embedding.weight.detach() != 0.0).any(dim=1).tolist()
        self.elements = frozenset(
            symbol for number, symbol in enumerate(ELEMENTS, start=1) if number < len(known) and known[number]
        )
        self.network = network
        self._dataset, self._collate, self._column = getattr(data, dataset), data.collate_batch, column

    def _inputs(self, content: Any) -> Any:
        import pandas as pd

        row = {"material_id": "", "composition": "", self._column: content, _TARGET: 0.0}
        frame = pd.DataFrame({name: pd.Series([value], dtype=object) for name, value in row.items()})
        data = self._dataset(frame, _TASKS, inputs=self._column, identifiers=_COLUMNS)
        # bypasses the library's cache, which would keep every crystal ever seen
        return self._dataset.__getitem__.__wrapped__(data, 0)[0]

    def batch(self, items: Sequence[Any], device: str) -> Any:
        """Return a batch of materials."""
        import torch

        inputs, *_ = self._collate([(item, [torch.zeros(1)], "") for item in items])
        return tuple(each.to(device) for each in inputs)

    def forward(self, batch: Any) -> Any:
        """Return standardised energies (n,)."""
        (energies,) = self.network(*batch)
        return energies.reshape(-1)


class Roost(_AviaryModel):
    """Network that passes messages between the elements of a composition."""

    def __init__(self) -> None:
        network = load("aviary.roost.model").Roost(robust=False, n_targets=[1], task_dict=_TASKS, device="cpu")
        super().__init__(
            network=network, data=load("aviary.roost.data"), dataset="CompositionData", column="composition"
        )

    def item(self, material: Material | None) -> Any:
        """Return the network's input for one composition.

        Raises
        ------
        UnusableCrystalError
            If there is no composition.
        """
        return self._inputs(checked_composition(material))


class Wren(_AviaryModel):
    """Network that passes messages between the occupied Wyckoff positions of a crystal."""

    def __init__(self) -> None:
        network = load("aviary.wren.model").Wren(robust=False, n_targets=[1], task_dict=_TASKS, device="cpu")
        super().__init__(network=network, data=load("aviary.wren.data"), dataset="WyckoffData", column="protostructure")

    def item(self, material: Material | None) -> Any:
        """Return the network's input for the Wyckoff positions of one crystal.

        Raises
        ------
        UnusableCrystalError
            If the positions cannot be determined.
        """
        weights, elements, positions, self_index, other_index = self._inputs(wyckoff_label(material))
        # the library keeps the equivalent choices of origin in a set of strings, whose order differs between processes
        choices = positions.reshape(-1, len(elements)).numpy()
        ordered = choices[np.lexsort(choices.T[::-1])]
        return weights, elements, positions.new_tensor(ordered.reshape(-1)), self_index, other_index


def wyckoff_label(material: Material | None) -> str:
    """Return the Wyckoff positions that a crystal's elements occupy, e.g. ``AB_cP2_221_a_b:Al-Pd``.

    Raises
    ------
    UnusableCrystalError
        If the symmetry of the crystal cannot be determined.
    """
    crystal = checked_crystal(material).copy(site_properties={}, properties={})
    crystal.remove_oxidation_states()
    from pymatgen.analysis.prototypes import get_protostructure_label
    from spglib.error import SpglibError

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "gcd is deprecated", FutureWarning)
            label = get_protostructure_label(crystal, method="spglib", raise_errors=True)
    # the result of pymatgen for a crystal in which spglib finds no symmetry
    except (ArithmeticError, AttributeError, LookupError, SpglibError, TypeError, ValueError) as error:
        raise UnusableCrystalError(f"its Wyckoff positions cannot be found ({error})") from error
    return str(label)
