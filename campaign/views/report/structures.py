"""Crystals that the reader can rotate, drawn in the browser from compact data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from campaign.store.candidates import candidates_by_id
from campaign.store.collections import CampaignStore, in_chunks
from campaign.views.results import Row

MOST_STRUCTURES = 1000
MOST_ATOMS = 40_000
"""Maximum number of atoms of all structures together: about 1 MB in the page."""
_AT_ONCE = 500
_DIGITS = 3  # a thousandth of an angstrom
BOND_FACTOR = 1.2
BOND_RULE = (
    f"A bond joins two atoms that are no farther apart than {BOND_FACTOR:g} times the sum of their covalent radii "
    "(Cordero et al. 2008)."
)


@dataclass(frozen=True, kw_only=True)
class ShownStructure:
    """One crystal.

    Attributes
    ----------
    relaxed
        Whether the crystal is relaxed.
    positions
        Cartesian coordinates, A, shape (n, 3).
    lattice
        Cell vectors as rows, A, shape (3, 3).
    """

    id: str
    relaxed: bool
    species: list[str]
    positions: list[list[float]]
    lattice: list[list[float]]

    def to_json(self) -> dict[str, Any]:
        """Return what the browser draws: ``r`` relaxed, ``s`` species, ``p`` positions (A), ``l`` lattice (A)."""
        return {"r": self.relaxed, "s": self.species, "p": self.positions, "l": self.lattice}


def read_structures(store: CampaignStore, rows: Sequence[Row]) -> list[ShownStructure]:
    """Return the structures of the first candidates of the ranked table, the relaxed crystal if there is one."""
    wanted = [row.id for row in rows[:MOST_STRUCTURES]]
    shown: list[ShownStructure] = []
    atoms = 0
    for structure in _read(store, wanted):
        atoms += len(structure.species)
        if atoms > MOST_ATOMS:
            break
        shown.append(structure)
    return shown


def _read(store: CampaignStore, ids: Sequence[str]) -> Iterator[ShownStructure]:
    fields = ["structure.lattice", "structure.sites", "relaxation.structure.lattice", "relaxation.structure.sites"]
    for part in in_chunks(ids, _AT_ONCE):
        found = candidates_by_id(store, part, fields)
        for name in part:
            document: Mapping[str, Any] = found.get(name) or {}
            relaxed = (document.get("relaxation") or {}).get("structure")
            content = relaxed or document.get("structure")
            if content and content.get("sites"):
                yield shown_structure(name, content, relaxed=bool(relaxed))


def shown_structure(name: str, content: Mapping[str, Any], *, relaxed: bool) -> ShownStructure:
    """Return a structure from pymatgen's dictionary: ``sites`` with ``species`` and ``abc``, ``lattice.matrix``."""
    matrix = content["lattice"]["matrix"]
    species = [str(site["species"][0]["element"]) for site in content["sites"]]
    positions = []
    for site in content["sites"]:
        a, b, c = (fraction % 1.0 for fraction in site["abc"])
        positions.append([round(a * x + b * y + c * z, _DIGITS) for x, y, z in zip(*matrix, strict=True)])
    lattice = [[round(float(value), _DIGITS) for value in row] for row in matrix]
    return ShownStructure(id=name, relaxed=relaxed, species=species, positions=positions, lattice=lattice)
