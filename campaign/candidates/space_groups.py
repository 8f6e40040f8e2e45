"""Space groups from spglib: that of a crystal, and the operations of a named group in each of the 530 settings."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import spglib

#: Names, before 1992, of the groups with an e glide (International Tables A, table 1.6.4.1 of 2016).
_OLD_NAMES = {"abm2": "aem2", "aba2": "aea2", "cmca": "cmce", "cmma": "cmme", "ccca": "ccce"}
#: Suffixes that select a setting, with spglib's choices; S and Z are used by the ICSD.
_CHOICES = {"1": "1", "2": "2", "h": "H", "r": "R", "s": "1", "z": "2"}

_VOLUME = 15.0  # A^3 an atom
_SYMPREC = 0.01  # A
_DECIMALS = 5  # of cells and positions, far finer than the tolerance


@dataclass(frozen=True)
class SpaceGroupSetting:
    """A space group in one of its settings.

    Attributes
    ----------
    hall_number
        Number from 1 to 530 (S. R. Hall, Acta Cryst. A 37, 517 (1981), in the order of spglib).
    number
        Number in International Tables A, 1 to 230.
    choice
        Origin (``1``, ``2``), axes (``H``, ``R``) or unique axis and cell (``b1`` ...); empty if there is only one.
    """

    hall_number: int
    number: int
    choice: str

    @property
    def operations(self) -> list[str]:
        """Return all operations, centring included, in the form ``x,y+1/2,-z``."""
        found = spglib.get_symmetry_from_database(self.hall_number)
        pairs = zip(found["rotations"], found["translations"], strict=True)
        return [",".join(map(_row_text, rotation, translation)) for rotation, translation in pairs]


def _row_text(rotation: list[int], translation: float) -> str:
    axes = "".join(
        f"{'-' if factor < 0 else '+'}{axis}" for factor, axis in zip(rotation, "xyz", strict=True) if factor
    )
    twelfths = round(translation * 12) % 12
    return axes.removeprefix("+") + (f"+{twelfths}/12" if twelfths else "")


def space_group_of(content: Mapping[str, Any] | None) -> tuple[str, int] | None:
    """Return the space group of a crystal, with a tolerance of 0.01 A for sites in a cell of 15 A^3/atom.

    Volumes are scaled to that, so that crystals of one prototype share a cached result: spglib takes up to 15 ms for
    each. No pymatgen object is built.

    Parameters
    ----------
    content
        pymatgen's dictionary of an ordered structure.

    Returns
    -------
    tuple of str and int or None
        Short Hermann-Mauguin symbol, and the number in International Tables A; None without a structure, or if spglib
        finds no symmetry.
    """
    if not content or not content.get("sites"):
        return None
    species = [str(site["species"][0]["element"]) for site in content["sites"]]
    kinds = {symbol: number for number, symbol in enumerate(dict.fromkeys(species), start=1)}
    lattice = np.asarray(content["lattice"]["matrix"], dtype=float)
    volume = abs(float(np.linalg.det(lattice)))
    if not volume > 0.0:
        return None
    lattice *= (_VOLUME * len(species) / volume) ** (1 / 3)
    positions = np.asarray([site["abc"] for site in content["sites"]], dtype=float)
    return _space_group(
        tuple(lattice.round(_DECIMALS).ravel().tolist()),
        tuple(positions.round(_DECIMALS).ravel().tolist()),
        tuple(kinds[symbol] for symbol in species),
    )


@lru_cache(maxsize=10_000)
def _space_group(
    lattice: tuple[float, ...], positions: tuple[float, ...], kinds: tuple[int, ...]
) -> tuple[str, int] | None:
    cell = (np.reshape(lattice, (3, 3)), np.reshape(positions, (-1, 3)), kinds)
    found = spglib.get_symmetry_dataset(cell, symprec=_SYMPREC)
    return None if found is None else (str(found.international), int(found.number))


def named_settings(name: str) -> list[SpaceGroupSetting]:
    """Return every setting that a Hermann-Mauguin symbol, short or full, old or new, may mean; empty if unknown.

    A suffix such as ``:2``, ``:H``, ``Z`` or ``S`` narrows the settings down if the group has more than one.
    """
    head, suffix = name, ""
    if found := re.fullmatch(r"(.*\S)(?:\s*:\s*|\s+)([12HRSZ])", name.strip(), flags=re.IGNORECASE):
        head, suffix = found[1], found[2].lower()
        if ":" not in name and suffix in "12":  # the last position of a symbol such as P 1 2 1
            head, suffix = name, ""
    key = _key(head)
    settings = _by_name().get(_OLD_NAMES.get(key, key), [])
    choices = {setting.choice for setting in settings}
    if suffix and len(choices) > 1:
        return [setting for setting in settings if setting.choice == _CHOICES[suffix]]
    return list(settings)


def hall_settings(symbol: str) -> list[SpaceGroupSetting]:
    """Return the setting of a Hall symbol in a list; empty if unknown."""
    return [setting for hall, setting in _settings() if _hall_key(hall) == _hall_key(symbol)]


def numbered_settings(number: int) -> list[SpaceGroupSetting]:
    """Return every setting of a space group given by its number in International Tables A."""
    return [setting for _, setting in _settings() if setting.number == number]


def _key(name: str) -> str:
    return re.sub(r"[\s_()]", "", name).lower()


def _hall_key(symbol: str) -> str:
    return " ".join(symbol.replace("_", " ").split()).lower()


@cache
def _settings() -> list[tuple[str, SpaceGroupSetting]]:
    types = [(hall_number, spglib.get_spacegroup_type(hall_number)) for hall_number in range(1, 531)]
    return [(kind.hall_symbol, SpaceGroupSetting(hall, int(kind.number), kind.choice)) for hall, kind in types]


@cache
def _by_name() -> Mapping[str, list[SpaceGroupSetting]]:
    found: dict[str, list[SpaceGroupSetting]] = {}
    for _, setting in _settings():
        for key in dict.fromkeys(_names(setting)):
            found.setdefault(key, []).append(setting)
    return found


def _names(setting: SpaceGroupSetting) -> Iterator[str]:
    kind = spglib.get_spacegroup_type(setting.hall_number)
    names = [kind.international_full, *kind.international.split("=")]
    monoclinic = 3 <= setting.number <= 15
    if monoclinic and setting.choice not in ("b", "b1"):
        # P 21/c = P 1 21/n 1: the first name means the standard setting
        names = names[:1] + names[2:]
    for name in names:
        yield _key(name)
        if monoclinic:  # P 1 21/c 1 is also called P 21/c
            yield _key(" ".join(word for word in name.split() if word != "1"))
        if setting.number >= 195:  # cubic: F m -3 m was F m 3 m
            yield _key(name).replace("-3", "3")
