"""Whether two stored structures are the same crystal in the same cell, so that a calculation is valid for both.

Stricter than `campaign.candidates.structure_hash`: another cell of the same crystal has another energy per cell, other
k-points and, if rotated, other p and d channels of its DOS.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_TOLERANCE = 1e-3  # A, of lattice vectors and of distances between sites
#: Site properties that affect a calculation.
_PROPERTIES = ("magmom", "selective_dynamics")


def same_cell(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two structures (pymatgen dictionaries) have the same lattice, sites and initial moments.

    The order of the sites and the origin may differ; lengths are compared to 0.001 A.
    """
    kinds, others = _kinds(first), _kinds(second)
    if Counter(kinds) != Counter(others) or (first.get("charge") or 0) != (second.get("charge") or 0):
        return False
    lattice = np.asarray(first["lattice"]["matrix"], dtype=np.float64)
    if not np.allclose(lattice, second["lattice"]["matrix"], rtol=0.0, atol=_TOLERANCE):
        return False
    here, there = _positions(first), _positions(second)
    same_kind = np.array([[kind == other for other in others] for kind in kinds])
    anchor = min(range(len(kinds)), key=lambda place: (kinds.count(kinds[place]), kinds[place], place))
    return any(
        _coincide(here, there + (here[anchor] - there[place]), lattice, same_kind)
        for place in np.flatnonzero(same_kind[anchor])
    )


def _coincide(
    here: npt.NDArray[np.float64],
    there: npt.NDArray[np.float64],
    lattice: npt.NDArray[np.float64],
    same_kind: npt.NDArray[np.bool_],
) -> bool:
    """Whether each site coincides with one of the same kind; fractional positions, shape (n, 3)."""
    apart = here[:, None] - there[None]
    distances = np.linalg.norm((apart - np.rint(apart)) @ lattice, axis=2)
    match = (distances < _TOLERANCE) & same_kind
    return bool(match.any(axis=0).all() and match.any(axis=1).all())


def _positions(structure: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    return np.array([site["abc"] for site in structure["sites"]], dtype=np.float64)


def _kinds(structure: Mapping[str, Any]) -> list[str]:
    """Return the content of each site: species with oxidation state and spin, and the relevant properties."""
    return [_kind(site) for site in structure["sites"]]


def _kind(site: Mapping[str, Any]) -> str:
    properties = site.get("properties") or {}
    counting = {name: properties[name] for name in _PROPERTIES if properties.get(name) is not None}
    return json.dumps([site["species"], counting], sort_keys=True, default=str)
