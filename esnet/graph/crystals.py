"""Checks of crystals that all graph models share."""

from typing import Any, TypeAlias

import numpy as np
from pymatgen.core import Composition, Structure

Material: TypeAlias = Structure | Composition
"""Input of a graph model; a composition is sufficient for Roost."""


class UnusableCrystalError(Exception):
    """A graph model cannot treat the crystal; the message gives the reason."""


def elements_of(material: Material) -> set[str]:
    """Return the symbols of a material's elements."""
    composition = material if isinstance(material, Composition) else material.composition
    return {element.symbol for element in composition.elements}


def checked_crystal(material: Material | None) -> Structure:
    """Return a material as a checked crystal.

    Raises
    ------
    UnusableCrystalError
        If it is not a crystal, is disordered, or contains a number that is not finite (which would crash spglib and
        thus the process).
    """
    if not isinstance(material, Structure):
        raise UnusableCrystalError("there is no crystal")
    if not material.is_ordered:
        raise UnusableCrystalError("its sites are not each of one element")
    if not (np.isfinite(material.lattice.matrix).all() and np.isfinite(material.frac_coords).all()):
        raise UnusableCrystalError("its cell or a position is not finite")
    return material


def checked_composition(material: Material | None) -> Composition:
    """Return a material's composition, with its elements in alphabetical order.

    Raises
    ------
    UnusableCrystalError
        If there is no composition.
    """
    if material is None:
        raise UnusableCrystalError("there is no composition")
    composition: Any = material if isinstance(material, Composition) else material.composition
    amounts = composition.element_composition.get_el_amt_dict()
    return Composition({symbol: amounts[symbol] for symbol in sorted(amounts)})


NO_NEIGHBOURS = "no atom has another one within {cutoff:g} A"
