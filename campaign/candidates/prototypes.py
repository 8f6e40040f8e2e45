"""The prototype crystals that ship with the project."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
import spglib
from pymatgen.core import Lattice, Structure
from ruamel.yaml import YAML

from campaign.candidates.structure_hash import primitive_cell
from campaign.config.yaml_file import did_you_mean

FORMAT = 1
"""Version of `prototypes.yaml` that this program reads."""


class UnknownPrototypeError(ValueError):
    """No prototype of that name ships with the project."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One crystallographic orbit of a prototype.

    Attributes
    ----------
    element
        Element of the prototype compound.
    wyckoff
        Multiplicity in the conventional cell and Wyckoff letter, e.g. ``8c``.
    coordinates
        Fractional coordinates of one site of the orbit in the conventional cell.
    """

    element: str
    wyckoff: str
    coordinates: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class ShippedPrototype:
    """A prototype crystal, from its crystallographic definition.

    Attributes
    ----------
    name
        Strukturbericht designation, e.g. ``L1_0``.
    compound
        Formula of the compound that the structure type is named after.
    pearson
        Pearson symbol.
    space_group
        Number in International Tables A.
    lengths
        Lengths a, b, c of the conventional cell in A.
    volume_factor
        Volume of the arrangement / volume of its atoms in their own elements; see `prototypes.yaml`.
    sites
        The occupied orbits.
    also
        Other names that a campaign file may use.
    """

    name: str
    compound: str
    pearson: str
    space_group: int
    lengths: tuple[float, float, float]
    volume_factor: float
    sites: tuple[Site, ...]
    also: tuple[str, ...]

    @property
    def elements(self) -> tuple[str, ...]:
        """Distinct elements of the prototype compound, in the order of the sites."""
        return tuple(dict.fromkeys(site.element for site in self.sites))

    def conventional_cell(self) -> Structure:
        """The prototype compound in its conventional cell."""
        a, b, c = self.lengths
        gamma = 120.0 if 143 <= self.space_group <= 194 else 90.0  # trigonal and hexagonal: hexagonal axes
        species: list[str] = []
        positions: list[list[float]] = []
        for site in self.sites:
            orbit = _orbit(self.space_group, site.coordinates)
            species += [site.element] * len(orbit)
            positions += orbit
        return Structure(Lattice.from_parameters(a, b, c, 90.0, 90.0, gamma), species, positions)

    def structure(self) -> Structure:
        """The prototype compound in its primitive cell."""
        return primitive_cell(self.conventional_cell())


@cache
def shipped_prototypes() -> Mapping[str, ShippedPrototype]:
    """All shipped prototypes by name, in the order of the file."""
    text = resources.files("campaign.candidates").joinpath("prototypes.yaml").read_text(encoding="utf-8")
    content = YAML(typ="safe", pure=True).load(text)
    if content["format"] != FORMAT:
        raise ValueError(
            f"prototypes.yaml has format {content['format']}; this program reads format {FORMAT}: reinstall it"
        )
    return MappingProxyType({name: _prototype(name, entry) for name, entry in content["prototypes"].items()})


def _prototype(name: str, entry: Mapping[str, Any]) -> ShippedPrototype:
    a = float(entry["a"])
    sites = tuple(
        Site(
            element=site["element"],
            wyckoff=site["wyckoff"],
            coordinates=tuple(float(x) for x in site["coordinates"]),  # type: ignore[arg-type]
        )
        for site in entry["sites"]
    )
    return ShippedPrototype(
        name=name,
        compound=entry["compound"],
        pearson=entry["pearson"],
        space_group=entry["space_group"],
        lengths=(a, float(entry.get("b", a)), float(entry.get("c", a))),
        volume_factor=float(entry["volume_factor"]),
        sites=sites,
        also=tuple(entry["also"]),
    )


def check_prototype_name(name: str) -> str:
    """The Strukturbericht name of a shipped prototype, given that name or another one of it (``NiAs`` -> ``B8_1``).

    Raises
    ------
    UnknownPrototypeError
        Listing the names and the nearest one.
    """
    prototypes = shipped_prototypes()
    if name in prototypes:
        return name
    for prototype in prototypes.values():
        if name in prototype.also:
            return prototype.name
    raise UnknownPrototypeError(
        f"no prototype of this name ships with the project; {did_you_mean(name, tuple(prototypes))}; "
        "your own structures go into the folder candidates.structures"
    )


@cache
def _hall_number(space_group: int) -> int:
    """Spglib's number of a space group's setting: origin choice 2 or hexagonal axes where there is a choice."""
    settings = [(spglib.get_spacegroup_type(hall), hall) for hall in range(1, 531)]
    of_group = [(setting.choice, hall) for setting, hall in settings if setting.number == space_group]
    preferred = [hall for choice, hall in of_group if choice in ("2", "H")]
    return (preferred or [of_group[0][1]])[0]


def _orbit(space_group: int, coordinates: tuple[float, float, float]) -> list[list[float]]:
    """Fractional coordinates in [0, 1) of every site that the space group makes of one."""
    operations = spglib.get_symmetry_from_database(_hall_number(space_group))
    images = operations["rotations"] @ np.array(coordinates) + operations["translations"]
    # 1e-6: far below any distance between sites, far above the rounding of 1/3
    keys = np.rint(images * 1e6).astype(int) % 1_000_000
    keys[keys == 999_999] = 0
    _, first = np.unique(keys, axis=0, return_index=True)
    return [[float(x) % 1.0 for x in images[index]] for index in sorted(first)]
