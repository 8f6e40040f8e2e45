"""Formation energies and energies above the convex hull of a reference set.

The candidate itself is never part of the hull, so a candidate more stable than every known phase has a negative energy
above the hull.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain, combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from campaign.hull.chemical_systems import CompositionGroup, group_compositions, symbols_of
from campaign.hull.facets import HullFacets
from esnet.files.errors import UserError


class MissingElementError(UserError, ValueError):
    """The reference set has no phase of an element that a composition contains."""


class HullSet:
    """The convex hulls of a reference set, one for each chemical system, built on first use.

    Parameters
    ----------
    entries
        pymatgen ComputedEntry or ComputedStructureEntry objects; energies are total energies in eV of one engine
        and one correction scheme. Species with oxidation states count as their element.

    Raises
    ------
    ValueError
        If an energy is not a finite number; the message names the entry.

    Attributes
    ----------
    entries
        The phases as given.

    Notes
    -----
    Hulls are computed by `pymatgen.analysis.phase_diagram.PhaseDiagram` from all entries of a chemical system. Only
    their facets are kept, as arrays, and all candidates of one system are evaluated together.

    Examples
    --------
    >>> import campaign
    >>> from pymatgen.core import Composition
    >>> from pymatgen.entries.computed_entries import ComputedEntry
    >>> phases = {"Al": -3.0, "Pd": -5.0, "AlPd2": -15.0}
    >>> hull = campaign.HullSet([ComputedEntry(formula, energy) for formula, energy in phases.items()])
    >>> hull.distances([Composition("AlPd")], [-0.25]).round(6).tolist()
    [0.25]
    >>> hull.decompositions([Composition("AlPd")])
    [{'AlPd2': 0.75, 'Al': 0.25}]
    """

    def __init__(self, entries: Iterable[Any]) -> None:
        self.entries = list(entries)
        for entry in self.entries:
            if not math.isfinite(entry.energy):
                raise ValueError(
                    f"the energy of entry {entry.entry_id or entry.composition.formula} is {entry.energy}: must be a "
                    "number, eV"
                )
        self._facets: dict[tuple[str, ...], HullFacets] = {}

    @cached_property
    def _entries_by_system(self) -> dict[tuple[str, ...], list[Any]]:
        """Entries by the sorted symbols of their elements."""
        systems: dict[tuple[str, ...], list[Any]] = {}
        for entry in self.entries:
            systems.setdefault(tuple(sorted(symbols_of(entry.composition))), []).append(entry)
        return systems

    @cached_property
    def elemental_energies(self) -> dict[str, float]:
        """Energy of the most stable elemental phase by symbol, eV/atom."""
        return {
            system[0]: float(min(entry.energy_per_atom for entry in entries))
            for system, entries in self._entries_by_system.items()
            if len(system) == 1
        }

    def formation_energies(
        self, compositions: Sequence[Composition], total_energies: Sequence[float] | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return formation energies relative to the elements of the reference set.

        Parameters
        ----------
        compositions
            Compositions of n cells.
        total_energies
            Total energies of the cells, eV, shape (n,).

        Returns
        -------
        array of float
            eV/atom, shape (n,); NaN if the total energy is NaN.

        Raises
        ------
        MissingElementError
            If elements have no reference; names them.
        TypeError
            If one of them is not a Composition.
        ValueError
            If a composition is empty or has a negative amount, or the numbers of energies and compositions differ.

        Examples
        --------
        >>> import campaign
        >>> from pymatgen.core import Composition
        >>> from pymatgen.entries.computed_entries import ComputedEntry
        >>> phases = {"Al": -3.0, "Pd": -5.0, "AlPd2": -15.0}
        >>> hull = campaign.HullSet([ComputedEntry(formula, energy) for formula, energy in phases.items()])
        >>> hull.formation_energies([Composition("Al2Pd2")], [-18.0]).tolist()
        [-0.5]
        """
        groups, energies = self._checked(compositions, total_energies)
        for group in groups:
            energies[group.indices] -= group.amounts @ self._elemental(group.symbols)
            energies[group.indices] /= group.n_atoms
        return energies

    def distances(
        self, compositions: Sequence[Composition], formation_energies: Sequence[float] | NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return energies above the hull of the reference set.

        Parameters
        ----------
        compositions
            n compositions; only their ratios matter.
        formation_energies
            eV/atom, shape (n,).

        Returns
        -------
        array of float
            eV/atom, shape (n,); negative for a candidate below the hull, NaN if its energy is NaN.

        Raises
        ------
        MissingElementError, TypeError, ValueError
            As raised by `formation_energies`.
        HullGapError
            If pymatgen's hull of a chemical system does not cover a composition.

        Examples
        --------
        >>> import campaign
        >>> from pymatgen.core import Composition
        >>> from pymatgen.entries.computed_entries import ComputedEntry
        >>> phases = {"Al": -3.0, "Pd": -5.0, "AlPd2": -15.0}
        >>> hull = campaign.HullSet([ComputedEntry(formula, energy) for formula, energy in phases.items()])
        >>> hull.distances([Composition("AlPd"), Composition("Al")], [-0.25, 0.1]).round(6).tolist()
        [0.25, 0.1]
        """
        groups, energies = self._checked(compositions, formation_energies)
        for group in groups:
            energies[group.indices] -= self._hull(group.symbols).energies(group.fractions)
        return energies

    def decompositions(self, compositions: Sequence[Composition]) -> list[dict[str, float]]:
        """Return the phases of the hull that compositions decompose into.

        Parameters
        ----------
        compositions
            n compositions; only their ratios matter.

        Returns
        -------
        list of dict
            For each of the n compositions, the fraction of its atoms in each phase, by reduced formula, largest first.

        Raises
        ------
        MissingElementError, TypeError, ValueError, HullGapError
            As raised by `distances`.

        Examples
        --------
        >>> import campaign
        >>> from pymatgen.core import Composition
        >>> from pymatgen.entries.computed_entries import ComputedEntry
        >>> phases = {"Al": -3.0, "Pd": -5.0, "AlPd2": -15.0}
        >>> hull = campaign.HullSet([ComputedEntry(formula, energy) for formula, energy in phases.items()])
        >>> hull.decompositions([Composition("Al5Pd")])
        [{'Al': 0.75, 'AlPd2': 0.25}]
        """
        groups, _ = self._checked(compositions, np.zeros(len(compositions)))
        found: list[dict[str, float]] = [{} for _ in compositions]
        for group in groups:
            for place, shares in zip(
                group.indices, self._hull(group.symbols).decompositions(group.fractions), strict=True
            ):
                found[place] = shares
        return found

    def tie_lines(self, elements: Sequence[str]) -> list[tuple[str, str]]:
        """Return pairs of coexisting phases: the edges of the hull of one chemical system.

        Parameters
        ----------
        elements
            Symbols of the chemical system, in any order.

        Returns
        -------
        list of tuple
            Reduced formulas of both phases, each pair once, in alphabetical order.

        Raises
        ------
        MissingElementError
            If elements have no reference; names them.

        Examples
        --------
        >>> import campaign
        >>> from pymatgen.entries.computed_entries import ComputedEntry
        >>> phases = {"Al": -3.0, "Pd": -5.0, "AlPd2": -15.0}
        >>> hull = campaign.HullSet([ComputedEntry(formula, energy) for formula, energy in phases.items()])
        >>> hull.tie_lines(["Al", "Pd"])
        [('Al', 'AlPd2'), ('AlPd2', 'Pd')]
        """
        self._require(elements)
        facets = self._hull(tuple(sorted(set(elements)))).vertices
        return sorted({pair for corners in facets for pair in combinations(sorted(set(corners)), 2)})

    def _checked(
        self, compositions: Sequence[Composition], energies: Sequence[float] | NDArray[np.float64]
    ) -> tuple[list[CompositionGroup], NDArray[np.float64]]:
        """Return compositions by chemical system, and a copy of the energies, after checking for missing references."""
        compositions, values = list(compositions), np.array(energies, dtype=float)
        if values.shape != (len(compositions),):
            raise ValueError(
                f"{len(compositions)} compositions, but energies of shape {values.shape}; right: one per composition"
            )
        try:
            groups = group_compositions(compositions)
        except AttributeError:
            # only after an error: most calls have thousands of compositions
            for place, found in enumerate(compositions):
                if not isinstance(found, Composition):
                    right = "must be a pymatgen Composition, e.g. Composition('AlPd')"
                    raise TypeError(f"compositions[{place}] is {found!r}: {right}") from None
            raise
        self._require(chain.from_iterable(group.symbols for group in groups))
        return groups, values

    def _require(self, elements: Iterable[str]) -> None:
        """Raise if elements have no phase."""
        missing = sorted(set(elements) - set(self.elemental_energies))
        if missing:
            raise MissingElementError(
                f"the reference set has no elemental phase of {', '.join(missing)}; "
                f"it has {', '.join(sorted(self.elemental_energies))}"
            )

    def _elemental(self, symbols: Sequence[str]) -> NDArray[np.float64]:
        return np.array([self.elemental_energies[symbol] for symbol in symbols])

    def _hull(self, symbols: tuple[str, ...]) -> HullFacets:
        """Return the hull of a chemical system, given its elements in alphabetical order."""
        if symbols not in self._facets:
            subsets = chain.from_iterable(combinations(symbols, size) for size in range(1, len(symbols) + 1))
            inside = chain.from_iterable(self._entries_by_system.get(subset, ()) for subset in subsets)
            self._facets[symbols] = HullFacets.build(list(inside), symbols, self._elemental(symbols))
        return self._facets[symbols]
