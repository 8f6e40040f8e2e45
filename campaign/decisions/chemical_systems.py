"""Compositions as arrays, by chemical system.

A pymatgen Composition is a mapping whose look-ups search all its species, so reading one costs more than evaluating a
hull for it. Its ``items()`` are those of the dictionary inside: a third of the time of ``get_atomic_fraction`` and half
of ``get_el_amt_dict``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Composition


@dataclass(frozen=True)
class CompositionGroup:
    """All compositions of one chemical system.

    Attributes
    ----------
    symbols
        Elements of the system in alphabetical order, k of them.
    places
        Where the m compositions stood among all, shape (m,).
    amounts
        Number of atoms of each element, shape (m, k).
    n_atoms
        Number of atoms of each composition, shape (m,).
    fractions
        Atomic fractions, shape (m, k).
    """

    symbols: tuple[str, ...]
    places: NDArray[np.intp]
    amounts: NDArray[np.float64]
    n_atoms: NDArray[np.float64]
    fractions: NDArray[np.float64]


@dataclass
class _Rows:
    """Compositions with the same number of elements, as they are read.

    They are sorted into systems together: with 24 orders in which four elements may be listed, a few numpy calls for
    each order would take longer than all the rest.
    """

    orders: list[tuple[str, ...]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)  # of the order in which each lists its elements
    amounts: list[float] = field(default_factory=list)  # of all of them, one after the other

    def groups(self) -> Iterator[CompositionGroup]:
        """Give the compositions by chemical system."""
        places = np.array(self.places, dtype=np.intp)
        amounts = np.array(self.amounts, dtype=float).reshape(len(places), -1)
        if not (amounts > 0).all():
            wrong = places[int((~(amounts > 0)).any(axis=1).argmax())]
            raise ValueError(f"composition {wrong} has an amount that is not positive")
        numbers = np.array(self.numbers, dtype=np.intp)
        alphabetical = np.array([sorted(range(len(order)), key=order.__getitem__) for order in self.orders])
        amounts = np.take_along_axis(amounts, alphabetical[numbers], axis=1)
        systems: dict[tuple[str, ...], int] = {}
        system_of_order = [systems.setdefault(tuple(sorted(order)), len(systems)) for order in self.orders]
        system = np.array(system_of_order, dtype=np.intp)[numbers]
        by_system = system.argsort(kind="stable")
        places, amounts = places[by_system], amounts[by_system]
        n_atoms = amounts.sum(axis=1)
        fractions = amounts / n_atoms[:, None]
        ends = np.bincount(system).cumsum().tolist()
        for symbols, start, end in zip(systems, [0, *ends], ends, strict=False):
            part = slice(start, end)
            yield CompositionGroup(symbols, places[part], amounts[part], n_atoms[part], fractions[part])


def symbols_of(composition: Composition) -> set[str]:
    """Elements of a composition; a species with an oxidation state counts as its element."""
    return {species.symbol for species, _ in composition.items()}


def group_compositions(compositions: Iterable[Composition]) -> list[CompositionGroup]:
    """Read compositions into arrays, one group for each chemical system.

    Species with oxidation states count as their element.

    Raises
    ------
    ValueError
        A composition is empty or has an amount that is not positive; the message says which.
    """
    by_size: dict[int, _Rows] = {}
    known: dict[tuple[str, ...], tuple[int, _Rows]] = {}
    for place, composition in enumerate(compositions):
        listed, amounts = [], []
        for species, amount in composition.items():
            listed.append(species.symbol)
            amounts.append(amount)
        order = tuple(listed)
        if order not in known:
            if len(set(order)) < len(order):  # an element listed twice, as Fe2+ and Fe3+
                summed = composition.get_el_amt_dict()
                order, amounts = tuple(summed), list(summed.values())
            if not order:
                raise ValueError(f"composition {place} is empty")
            if order not in known:
                rows = by_size.setdefault(len(order), _Rows())
                known[order] = len(rows.orders), rows
                rows.orders.append(order)
        number, rows = known[order]
        rows.places.append(place)
        rows.numbers.append(number)
        rows.amounts += amounts
    return [group for rows in by_size.values() for group in rows.groups()]
