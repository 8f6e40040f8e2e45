"""Elements that a campaign may use, their reference crystals, and the volume per atom in these."""

import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from statistics import median
from typing import Any, Literal

import numpy as np
from ase.data import atomic_names, atomic_numbers, chemical_symbols, covalent_radii, reference_states
from pymatgen.core import Element, Lattice, Structure
from ruamel.yaml import YAML

from campaign.candidates.structure_hash import primitive_cell
from campaign.candidates.wyckoff import Site, conventional_cell, read_lengths
from campaign.config.yaml_file import nearest
from esnet.files.errors import UserError

LARGEST_ATOMIC_NUMBER = 111
"""Length of ESNet's composition vector, H to Rg."""

BUILT_IN: Literal[1, 2] = 2
"""Version of the built-in data: crystals of the elements, volumes of candidates. Version 1 (up to release 0.1) has
diamond for carbon and scales every candidate by the volumes of its elements. A running campaign keeps its version.
"""

_CRYSTALS = frozenset({"fcc", "bcc", "hcp", "diamond", "sc", "bct", "rhombohedral"})
"""Crystal types that `ase.build.bulk` builds from `ase.data.reference_states` without further input."""

_LABELS = ("Li", "Be", "B", "C")
"""Labels that distinguish the orbits of a crystal while its primitive cell is determined."""

AVOGADRO_PER_CUBIC_ANGSTROM = 0.602214076
"""Avogadro's number times 1e-24 cm^3/A^3, to convert cm^3/mol to A^3/atom (SI definition of 2019)."""


class ElementError(UserError, ValueError):
    """A symbol is not an element, or is one that a campaign cannot treat."""


class MissingReferenceError(ElementError):
    """An element has no built-in reference crystal."""


@cache
def symbols() -> tuple[str, ...]:
    """Return the 111 symbols H to Rg ordered by atomic number."""
    return tuple(chemical_symbols[1 : LARGEST_ATOMIC_NUMBER + 1])


def is_f_block(symbol: str) -> bool:
    """Whether an element is a lanthanide (La to Lu) or an actinide (Ac to Lr)."""
    number = symbols().index(symbol) + 1
    return 57 <= number <= 71 or 89 <= number <= 103


def check_element(symbol: str) -> str:
    """Return `symbol` if a campaign can treat it.

    Raises
    ------
    ElementError
        If it is not an element (suggests the nearest one) or is in the f block.
    """
    if symbol not in symbols():
        guess = _nearest_symbol(symbol)
        remedy = f"did you mean {guess!r}?" if guess else "use a symbol from H to Rg, e.g. Al"
        raise ElementError(f"no element has the symbol {symbol!r}; {remedy}")
    if is_f_block(symbol):
        kind = "a lanthanide" if symbols().index(symbol) < 80 else "an actinide"
        raise ElementError(
            f"{symbol} is {kind} and f-block elements are refused: the representation has s, p and d channels only, "
            "so their f electrons would be ignored; use elements of the s, p and d blocks"
        )
    return symbol


def _nearest_symbol(word: str) -> str | None:
    """Return the nearest symbol: ignoring case (``CU``), by English name (``Gold``), or by similarity (``Alu``)."""
    by_lower = {symbol.lower(): symbol for symbol in symbols()}
    by_name = {name.lower(): symbol for name, symbol in zip(atomic_names[1:], symbols(), strict=False)}
    lowered = word.strip().lower()
    exact = by_lower.get(lowered) or by_name.get(lowered) or {"aluminum": "Al", "cesium": "Cs"}.get(lowered)
    if exact:
        return exact
    name = nearest(lowered, by_name) if len(lowered) > 3 else None
    return by_name[name] if name else nearest(lowered, symbols())


def _has_crystal(symbol: str) -> bool:
    """Whether ase.data describes the element's crystal; avoids ase.build, which imports GPAW."""
    state = reference_states[atomic_numbers[symbol]]
    if state is None or state["symmetry"] not in _CRYSTALS:
        return False
    return state.get("basis", ()) is not None  # None: a basis is needed but not listed (Se, Te)


@cache
def _crystal(symbol: str) -> tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]]:
    """Return cell vectors in A and fractional positions of the built-in crystal's primitive cell."""
    # imports GPAW and SciPy
    from ase.build import bulk

    atoms = bulk(symbol)
    cell = tuple(tuple(float(x) for x in vector) for vector in atoms.cell)
    return cell, tuple(tuple(float(x) for x in position) for position in atoms.get_scaled_positions())


@cache
def listed_elements() -> Mapping[str, Mapping[str, Any]]:
    """Return the entries of `elements.yaml`."""
    text = resources.files("campaign.candidates").joinpath("elements.yaml").read_text(encoding="utf-8")
    entries: dict[str, Mapping[str, Any]] = YAML(typ="safe", pure=True).load(text)["elements"]
    return entries


@cache
def _listed_crystal(symbol: str) -> Structure:
    """Return the primitive cell of an entry of `elements.yaml`, with initial moments as site property ``magmom``."""
    entry = listed_elements()[symbol]
    # each orbit as a different element: a primitive cell keeps elements but not moments
    orbits = dict(zip(_LABELS, entry["sites"], strict=False))
    sites = [
        Site(element=label, wyckoff=site["wyckoff"], coordinates=tuple(float(x) for x in site["coordinates"]))  # type: ignore[arg-type]
        for label, site in orbits.items()
    ]
    labelled = primitive_cell(
        conventional_cell(entry["space_group"], read_lengths(entry), sites, beta=float(entry.get("beta", 90.0)))
    )
    moments = dict(zip(orbits, entry.get("moments", ()), strict=False))
    properties = {"magmom": [moments[site.specie.symbol] for site in labelled]} if moments else None
    return Structure(labelled.lattice, [symbol] * len(labelled), labelled.frac_coords, site_properties=properties)


def reference_structure(symbol: str, *, built_in: int = BUILT_IN) -> Structure:
    """Return the unrelaxed primitive cell of an element's crystal.

    Available for every element up to bismuth outside the f block. Metals, noble gases, silicon, germanium, arsenic and
    antimony: lattice and experimental lattice parameters of `ase.data.reference_states` (C. Kittel, Introduction to
    Solid State Physics; tin is beta-tin there). The others, gases as crystals of their molecules: `elements.yaml`, with
    initial magnetic moments as the site property ``magmom`` for O and Mn.

    Parameters
    ----------
    symbol
        Symbol of the element.
    built_in
        Version of the built-in data (`BUILT_IN`).

    Raises
    ------
    MissingReferenceError
        If there is no built-in crystal of the element; the message names the remedy.
    ElementError
        If there is no such element, or it is in the f block.
    """
    known_to_ase = _has_crystal(check_element(symbol))
    if symbol in listed_elements() and not (built_in == 1 and known_to_ase):
        return _listed_crystal(symbol).copy()
    if not known_to_ase:
        raise MissingReferenceError(
            f"there is no built-in crystal of {symbol} to serve as its elemental reference; put a CIF or POSCAR of it "
            "into a folder and name the folder in references.structures of the campaign file"
        )
    cell, positions = _crystal(symbol)
    return Structure(Lattice(cell), [symbol] * len(positions), positions)


def elements_without_reference(elements: Iterable[str]) -> tuple[str, ...]:
    """Return those of `elements`, in order, for which `reference_structure` has no crystal."""
    return tuple(symbol for symbol in elements if symbol not in listed_elements() and not _has_crystal(symbol))


@cache
def volume_per_atom(symbol: str) -> float:
    """Return the volume per atom in the element's condensed phase, in A^3.

    Taken from, in this order: the reference crystal built by ASE; the molar volume of the solid or liquid in pymatgen's
    periodic table; for the few radioactive elements with neither, the cube of ASE's covalent radius (B. Cordero et al.,
    Dalton Trans. 2008, 2832) times the median ratio of volume to cubed radius over all built-in crystals (7.4).
    """
    check_element(symbol)
    volume = _crystal_volume(symbol)
    if volume is not None:
        return volume
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns about missing values
        molar_volume = Element(symbol).molar_volume
    if molar_volume is not None:
        return float(molar_volume) / AVOGADRO_PER_CUBIC_ANGSTROM
    return float(covalent_radii[atomic_numbers[symbol]]) ** 3 * _volume_to_cubed_radius()


@cache
def _volume_to_cubed_radius() -> float:
    volumes = {symbol: _crystal_volume(symbol) for symbol in symbols() if not is_f_block(symbol)}
    return median(
        volume / float(covalent_radii[atomic_numbers[symbol]]) ** 3
        for symbol, volume in volumes.items()
        if volume is not None
    )


@cache
def _crystal_volume(symbol: str) -> float | None:
    if not _has_crystal(symbol):
        return None
    cell, positions = _crystal(symbol)
    return float(abs(np.linalg.det(cell))) / len(positions)
