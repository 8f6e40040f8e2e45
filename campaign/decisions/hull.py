"""Formation energies and distances to the convex hull of a reference set.

The candidate itself is never part of the hull, so a candidate more stable than every known phase has a negative
distance (SCIENCE.md, E_hull).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.analysis.phase_diagram import PhaseDiagram
    from pymatgen.core import Composition


class MissingElementError(ValueError):
    """The reference set has no phase of an element that a composition contains."""


class HullSet:
    """The convex hulls of a reference set, one for each chemical system, built when it is first asked for.

    Parameters
    ----------
    entries
        pymatgen ComputedEntry or ComputedStructureEntry objects; energies are total energies in eV of one engine
        and one correction scheme.

    Notes
    -----
    Hulls are pymatgen's (`pymatgen.analysis.phase_diagram.PhaseDiagram`). They are built from all entries of a
    chemical system and kept, so thousands of candidates of one system cost one construction.
    """

    def __init__(self, entries: Sequence[Any]) -> None:
        self.entries = list(entries)
        self._diagrams: dict[frozenset[str], PhaseDiagram] = {}

    @cached_property
    def elemental_energies(self) -> dict[str, float]:
        """Energy of the most stable elemental phase, eV/atom, by symbol."""
        energies: dict[str, float] = {}
        for entry in self.entries:
            if entry.composition.is_element:
                symbol = entry.composition.elements[0].symbol
                energies[symbol] = min(energies.get(symbol, np.inf), entry.energy_per_atom)
        return energies

    def _check_elements(self, compositions: Sequence[Composition]) -> None:
        asked = {element.symbol for composition in compositions for element in composition.elements}
        missing = sorted(asked - set(self.elemental_energies))
        if missing:
            raise MissingElementError(
                f"the reference set has no elemental phase of {', '.join(missing)}; "
                f"it has {', '.join(sorted(self.elemental_energies))}"
            )

    def formation_energies(
        self, compositions: Sequence[Composition], total_energies: Sequence[float] | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Formation energies against the elements of the reference set.

        Parameters
        ----------
        compositions
            Of the cells, n of them.
        total_energies
            Energies of those cells, eV, shape (n,).

        Returns
        -------
        array of float
            eV/atom, shape (n,).

        Raises
        ------
        MissingElementError
            Naming the elements without a reference.
        """
        self._check_elements(compositions)
        values = [
            (energy - sum(n * self.elemental_energies[el.symbol] for el, n in composition.items()))
            / composition.num_atoms
            for composition, energy in zip(compositions, total_energies, strict=True)
        ]
        return np.array(values, dtype=float)

    def distances(
        self, compositions: Sequence[Composition], formation_energies: Sequence[float] | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Energies above the hull of the reference set.

        Parameters
        ----------
        compositions
            n compositions; only their ratios matter.
        formation_energies
            eV/atom, shape (n,).

        Returns
        -------
        array of float
            eV/atom, shape (n,); negative where a candidate lies below the hull; NaN where the energy is NaN.

        Raises
        ------
        MissingElementError
            Naming the elements without a reference.
        """
        self._check_elements(compositions)
        hull = np.array([self._hull_energy(composition) for composition in compositions], dtype=float)
        return np.asarray(formation_energies, dtype=float) - hull

    def _hull_energy(self, composition: Composition) -> float:
        """Formation energy of the hull at a composition, eV/atom."""
        fractions = composition.fractional_composition
        diagram = self._diagram(frozenset(element.symbol for element in composition.elements))
        energy = float(diagram.get_hull_energy_per_atom(fractions))
        return energy - sum(n * self.elemental_energies[el.symbol] for el, n in fractions.items())

    def _diagram(self, elements: frozenset[str]) -> PhaseDiagram:
        if elements not in self._diagrams:
            from pymatgen.analysis.phase_diagram import PhaseDiagram

            inside = [
                entry
                for entry in self.entries
                if {element.symbol for element in entry.composition.elements} <= elements
            ]
            self._diagrams[elements] = PhaseDiagram(inside)
        return self._diagrams[elements]
