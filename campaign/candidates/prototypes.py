"""The prototype crystals shipped with the project."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from pymatgen.core import Structure
from ruamel.yaml import YAML

from campaign.candidates.structure_hash import primitive_cell
from campaign.candidates.wyckoff import Site, conventional_cell, read_lengths
from campaign.config.yaml_file import did_you_mean

FORMAT = 1
"""Version of `prototypes.yaml` that this program reads."""


class UnknownPrototypeError(ValueError):
    """No shipped prototype has this name."""


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
        Volume relative to that of the atoms in their elements, for compounds of metals; see `prototypes.yaml`.
    aflow
        Label in the AFLOW library of crystallographic prototypes.
    sites
        The occupied orbits.
    also
        Other names accepted in a campaign file.
    """

    name: str
    compound: str
    pearson: str
    space_group: int
    lengths: tuple[float, float, float]
    volume_factor: float | None
    aflow: str
    sites: tuple[Site, ...]
    also: tuple[str, ...]

    @property
    def elements(self) -> tuple[str, ...]:
        """Distinct elements of the prototype compound, in the order of the sites."""
        return tuple(dict.fromkeys(site.element for site in self.sites))

    def conventional_cell(self) -> Structure:
        """Return the prototype compound in its conventional cell."""
        return conventional_cell(self.space_group, self.lengths, self.sites)

    def structure(self) -> Structure:
        """Return the prototype compound in its primitive cell."""
        return primitive_cell(self.conventional_cell())


@cache
def shipped_prototypes() -> Mapping[str, ShippedPrototype]:
    """Return all shipped prototypes by name, in the order of the file."""
    text = resources.files("campaign.candidates").joinpath("prototypes.yaml").read_text(encoding="utf-8")
    content = YAML(typ="safe", pure=True).load(text)
    if content["format"] != FORMAT:
        raise ValueError(
            f"prototypes.yaml has format {content['format']}; this program reads format {FORMAT}: reinstall it"
        )
    return MappingProxyType({name: _prototype(name, entry) for name, entry in content["prototypes"].items()})


def _prototype(name: str, entry: Mapping[str, Any]) -> ShippedPrototype:
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
        lengths=read_lengths(entry),
        volume_factor=None if entry["volume_factor"] is None else float(entry["volume_factor"]),
        aflow=entry["aflow"],
        sites=sites,
        also=tuple(entry["also"]),
    )


def check_prototype_name(name: str) -> str:
    """Return the Strukturbericht name of a shipped prototype, given any of its names.

    ``NiAs``, ``B81`` and ``b8_1`` all mean ``B8_1``; AFLOW's label is accepted if only one prototype has it.

    Raises
    ------
    UnknownPrototypeError
        If the name is unknown; lists the names and the nearest one.
    """
    found = _spellings().get(_plain(name), ())
    if len(found) == 1:
        return found[0]
    prototypes = tuple(shipped_prototypes())
    if found:
        raise UnknownPrototypeError(f"{name} is the label of {len(found)} prototypes; name one: {', '.join(found)}")
    raise UnknownPrototypeError(
        f"no prototype of this name ships with the project; {did_you_mean(name, prototypes)}; "
        "your own structures go into the folder candidates.structures"
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_{}-]", "", name).lower()


@cache
def _spellings() -> Mapping[str, tuple[str, ...]]:
    """Return the prototypes by each of their names, reduced to letters and digits."""
    found: dict[str, dict[str, None]] = {}
    for prototype in shipped_prototypes().values():
        for name in (prototype.name, *prototype.also, prototype.aflow):
            found.setdefault(_plain(name), {})[prototype.name] = None
    return MappingProxyType({spelling: tuple(names) for spelling, names in found.items()})
