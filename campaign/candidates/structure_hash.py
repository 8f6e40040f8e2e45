"""A unique id for a crystal, independent of the description of its cell.

The id is a hash of a canonical form: spglib's symmetry-refined primitive cell, its lattice in the shape with the
smallest metric, and the sites in the order and from the origin that give the smallest list of rounded coordinates.
Supercells, shifted origins, other axes, other site orders and mirror images (which have the same energy) all have the
same form. Equal crystals can only be separated by a coordinate within rounding noise (about 1e-8) of a rounding
boundary; `_OFFSET` keeps the boundaries away from the special values that symmetry gives.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import spglib
from pymatgen.core import Lattice, Structure

if TYPE_CHECKING:
    Array = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]

FORM_VERSION = 1
"""Part of every hash; increase it whenever the canonical form changes."""

_LENGTH_STEP = 1e-3  # A
_COSINE_STEP = 1e-4
_COORDINATE_STEP = 1e-3
_OFFSET = 0.2137
"""Fraction of a step by which rounding is shifted, so that 0, 1/2, 1/3, 1/8 ... lie inside a step and not on
its edge.
"""

_SYMPREC = 0.01  # largest distance in A between a site and its symmetric position
_ID_SYMPREC = 1e-3
"""Tolerance in A of the symmetry search for an id. Tighter than usual: at 0.01 A, MoSi2 (z = 0.335, close to 1/3 of the
bcc lattice) is refined to slightly different z from different supercells.
"""

ID_DIGITS = 16
"""Hexadecimal digits of a hash in an id: 64 bits, so 1e5 structures collide with probability 3e-10."""


def primitive_cell(structure: Structure) -> Structure:
    """Return the symmetry-refined standard primitive cell of an ordered crystal in any cell."""
    lattice, positions, numbers = _standardised(structure, symprec=_SYMPREC)
    return Structure(Lattice(lattice), [int(z) for z in numbers], positions).get_sorted_structure()


def space_group_number(structure: Structure) -> int:
    """Return the number of a crystal's space group in International Tables A."""
    cell = (structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure])
    dataset = spglib.get_symmetry_dataset(cell, symprec=_SYMPREC)
    if dataset is None:
        raise ValueError(_no_symmetry(structure, _SYMPREC))
    return int(dataset.number)


def structure_hash(structure: Structure, *, refined: bool = False) -> str:
    """Return the SHA-256 (hex) of a crystal's canonical form, which is the same for every description of the crystal.

    Parameters
    ----------
    structure
        An ordered crystal in any cell. Lengths are compared to 0.001 A, fractional coordinates of the primitive cell to
        0.001.
    refined
        Whether it comes from `primitive_cell` (elements and volume may have been changed since): the hash is the same,
        but the symmetry search, three quarters of the time, is skipped.
    """
    if refined:
        lattice, positions = structure.lattice.matrix, structure.frac_coords
        numbers = np.array([site.specie.Z for site in structure], dtype=np.int64)
    else:
        lattice, positions, numbers = _standardised(structure, symprec=_ID_SYMPREC)
    metric, bases = _canonical_bases(lattice)
    form = {"version": FORM_VERSION, "metric": metric, "sites": _canonical_sites(positions, numbers, bases)}
    return hashlib.sha256(json.dumps(form, separators=(",", ":")).encode()).hexdigest()


def candidate_id(campaign: str, structure: Structure, settings_hash: str, *, refined: bool = False) -> str:
    """Return ``<campaign>-<structure>-<settings>``, which identifies a crystal, its calculation and campaign.

    Parameters
    ----------
    settings_hash
        Hash of the settings that affect calculated numbers, `CampaignSpec.settings_hash`.
    refined
        See `structure_hash`.
    """
    return id_of_hash(campaign, structure_hash(structure, refined=refined), settings_hash)


def id_of_hash(campaign: str, crystal: str, settings_hash: str) -> str:
    """Return the id of a candidate whose crystal's hash is known, see `candidate_id`."""
    return f"{campaign}-{crystal[:ID_DIGITS]}-{settings_hash[:8]}"


def hash_in_id(candidate: str) -> str:
    """Return the part of a candidate's id that identifies its crystal."""
    return candidate.rsplit("-", 2)[1]


def calculation_key(document_id: str, structure: Structure, settings_hash: str) -> str:
    """Return ``<structure>-<settings>``, which identifies a crystal and its calculation in any campaign.

    Parameters
    ----------
    document_id
        Id of a candidate, which already contains the key, or of a reference, which needs a symmetry search.
    """
    found = re.fullmatch(rf"[^/]+-([0-9a-f]{{{ID_DIGITS}}}-[0-9a-f]{{8}})", document_id)
    return found[1] if found else candidate_id("", structure, settings_hash).removeprefix("-")


def _standardised(structure: Structure, *, symprec: float) -> tuple[Array, Array, IntArray]:
    """Return spglib's idealised primitive cell: vectors (3, 3) in A, fractional positions (n, 3), atomic
    numbers (n,).
    """
    cell = (structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure])
    found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=False, symprec=symprec)
    if found is None:
        raise ValueError(_no_symmetry(structure, symprec))
    lattice, positions, numbers = found
    return np.asarray(lattice), np.asarray(positions), np.asarray(numbers, dtype=np.int64)


def _no_symmetry(structure: Structure, symprec: float) -> str:
    return (
        f"spglib finds no symmetry of {structure.composition.formula} with {len(structure)} sites within {symprec} A: "
        "check that its atoms do not overlap"
    )


def _rounded(values: Array, step: float) -> IntArray:
    return np.floor(values / step + 0.5 + _OFFSET).astype(np.int64)


@cache
def _unimodular() -> IntArray:
    """Return all integer matrices with entries -1, 0, 1 and determinant 1 or -1, shape (n, 3, 3)."""
    grid = np.indices((3,) * 9).reshape(9, -1).T.reshape(-1, 3, 3) - 1
    determinants = np.rint(np.linalg.det(grid)).astype(int)
    return np.asarray(grid[np.abs(determinants) == 1], dtype=np.int64)


def _canonical_bases(lattice: Array) -> tuple[list[int], IntArray]:
    """Return the smallest rounded metric among the reduced lattice's bases, and all (m, 3, 3) bases that have it.

    The bases are given as integer combinations of the vectors of `lattice`. From a Niggli-reduced cell every other
    shortest basis is one unimodular step with entries -1, 0, 1 away, which removes the ambiguity of reduced cells with
    equal lengths or angles on a boundary.
    """
    reduced = spglib.niggli_reduce(lattice, eps=1e-4)
    to_reduced = np.rint(reduced @ np.linalg.inv(lattice)).astype(np.int64)
    steps = _unimodular()
    lengths = np.linalg.norm(steps @ reduced, axis=2)
    total = lengths.sum(axis=1)
    short = np.flatnonzero(total < total.min() + 10 * _LENGTH_STEP)  # most bases are too long to be considered
    steps, lengths = steps[short], lengths[short]
    metrics = steps @ (reduced @ reduced.T) @ steps.transpose(0, 2, 1)
    first, second = [1, 0, 0], [2, 2, 1]
    cosines = metrics[:, first, second] / (lengths[:, first] * lengths[:, second])
    keys = np.hstack([_rounded(lengths, _LENGTH_STEP), _rounded(-cosines, _COSINE_STEP)])
    smallest = keys[np.lexsort(keys.T[::-1])[0]]
    return smallest.tolist(), steps[(keys == smallest).all(axis=1)] @ to_reduced


def _canonical_sites(positions: Array, numbers: IntArray, bases: IntArray) -> list[int]:
    """Return the smallest list of sites (atomic number and rounded coordinates as one integer) over all bases and
    origins.

    Origins are the sites of the rarest element (of the lightest one in a tie), which are few and independent of the
    description.
    """
    elements, counts = np.unique(numbers, return_counts=True)
    rarest = elements[np.lexsort((elements, counts))[0]]
    divisions = round(1 / _COORDINATE_STEP)
    inverse = np.linalg.inv(bases)  # fractional coordinates in a basis B of the old one: x B^-1
    shifted = positions[None] - positions[numbers == rarest][:, None]
    coordinates = _rounded(np.einsum("oij,mjk->omik", shifted, inverse), _COORDINATE_STEP) % divisions
    # one integer per site, to sort and compare lists of sites fast; divisions^3 * 111 fits into 64 bits
    codes = numbers * divisions + coordinates[..., 0]
    codes = (codes * divisions + coordinates[..., 1]) * divisions + coordinates[..., 2]
    lists = np.sort(codes.reshape(-1, len(numbers)), axis=1)
    first: list[int] = lists[np.lexsort(lists.T[::-1])[0]].tolist()
    return first
