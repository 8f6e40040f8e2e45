"""A convex hull as arrays of its facets, evaluated for many compositions together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from campaign.hull.chemical_systems import symbols_of
from esnet.files.errors import UserError

CHUNK = 2**17
"""Pairs of composition and facet processed together: limits each array to 1 MB."""

TOLERANCE = 1e-6
"""Largest amount by which a barycentric coordinate in the best facet may be below zero."""


class HullGapError(UserError):
    """The facets of a hull do not cover a composition of its chemical system."""


@dataclass(frozen=True)
class HullFacets:
    """The f facets of a convex hull of k elements.

    Attributes
    ----------
    symbols
        The k elements in alphabetical order.
    inverses
        Shape (k, k, f): vertex, element, facet. Fractions times ``inverses[v]`` are the barycentric coordinates of
        a composition at vertex v of all facets.
    potentials
        Chemical potentials of each facet relative to the elements, eV/atom, shape (f, k); their product with the
        fractions is the formation energy of the hull.
    vertices
        Reduced formulas of the k phases at the vertices of each facet.
    """

    symbols: tuple[str, ...]
    inverses: NDArray[np.float64]
    potentials: NDArray[np.float64]
    vertices: tuple[tuple[str, ...], ...]

    @classmethod
    def build(cls, entries: Iterable[Any], symbols: tuple[str, ...], elemental: NDArray[np.float64]) -> HullFacets:
        """Build the hull with pymatgen's PhaseDiagram and keep its facets.

        Parameters
        ----------
        entries
            All entries of the chemical system and of those within it.
        symbols
            The k elements in alphabetical order.
        elemental
            Energies of their most stable phases, eV/atom, shape (k,).
        """
        # imports Matplotlib
        from pymatgen.analysis.phase_diagram import PhaseDiagram

        diagram = PhaseDiagram([_undecorated(entry) for entry in entries])
        fractions = np.array(
            [[entry.composition.get_atomic_fraction(symbol) for symbol in symbols] for entry in diagram.qhull_entries]
        )
        formation = np.array([entry.energy_per_atom for entry in diagram.qhull_entries]) - fractions @ elemental
        facets = np.array(diagram.facets, dtype=np.intp).reshape(-1, len(symbols))
        inverses = np.linalg.inv(fractions[facets])  # facet, element, vertex
        formulas = [str(entry.composition.reduced_formula) for entry in diagram.qhull_entries]
        return cls(
            symbols=symbols,
            inverses=np.ascontiguousarray(inverses.transpose(2, 1, 0)),
            potentials=np.einsum("fev,fv->fe", inverses, formation[facets]),
            vertices=tuple(tuple(formulas[place] for place in corners) for corners in facets),
        )

    def energies(self, fractions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the formation energies of the hull.

        Each composition is evaluated in the facet in which its smallest barycentric coordinate is largest. At common
        edges, and at gaps or overlaps due to rounding, this is the facet that contains it best.

        Parameters
        ----------
        fractions
            Atomic fractions of the system's elements, shape (m, k).

        Returns
        -------
        array of float
            eV/atom, shape (m,).

        Raises
        ------
        HullGapError
            If no facet contains a composition.
        """
        found = np.empty(len(fractions))
        step = max(1, CHUNK // max(1, len(self.potentials)))
        for start in range(0, len(fractions), step):
            part = slice(start, start + step)
            found[part] = np.einsum("me,me->m", fractions[part], self.potentials[self._best_facets(fractions[part])])
        return found

    def decompositions(self, fractions: NDArray[np.float64]) -> list[dict[str, float]]:
        """Return the phases of the hull that compositions decompose into.

        Parameters
        ----------
        fractions
            Atomic fractions of the system's elements, shape (m, k).

        Returns
        -------
        list of dict
            For each composition, the fraction of its atoms in each phase, by reduced formula, largest first; fractions
            add up to 1.

        Raises
        ------
        HullGapError
            If no facet contains a composition.
        """
        found = []
        for composition, facet in zip(fractions, self._best_facets(fractions), strict=True):
            shares: dict[str, float] = {}
            for formula, share in zip(self.vertices[facet], self.inverses[:, :, facet] @ composition, strict=True):
                if share > TOLERANCE:
                    shares[formula] = shares.get(formula, 0.0) + float(share)
            found.append(dict(sorted(shares.items(), key=lambda item: (-round(item[1], 6), item[0]))))
        return found

    def _best_facets(self, fractions: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the index of the facet that contains each composition, shape (m,)."""
        if not len(self.potentials):
            raise self._gap(fractions[0])
        smallest = fractions @ self.inverses[0]
        for inverse in self.inverses[1:]:
            np.minimum(smallest, fractions @ inverse, out=smallest)
        best: NDArray[np.intp] = smallest.argmax(axis=1)
        inside = smallest.max(axis=1)
        if inside.min() < -TOLERANCE:
            raise self._gap(fractions[inside.argmin()])
        return best

    def _gap(self, fractions: Sequence[float] | NDArray[np.float64]) -> HullGapError:
        found = " ".join(f"{symbol}{fraction:.6g}" for symbol, fraction in zip(self.symbols, fractions, strict=True))
        return HullGapError(
            f"none of the {len(self.potentials)} facets of the hull of {'-'.join(self.symbols)} contains {found}; "
            "check the entries of that system for a wrong energy or composition"
        )


def _undecorated(entry: Any) -> Any:
    """Return the entry with a composition of elements; pymatgen would treat Fe2+ and Fe3+ as two components."""
    composition = entry.composition
    if symbols_of(composition) == {str(species) for species in composition.elements}:
        return entry
    from pymatgen.analysis.phase_diagram import PDEntry

    return PDEntry(composition.element_composition, entry.energy)
