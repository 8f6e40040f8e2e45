"""Symmetry operations of a CIF block: those listed, compared with those of the named space group."""

import re
from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any

from pymatgen.core import Composition

from campaign.candidates.space_groups import SpaceGroupSetting, hall_settings, named_settings, numbered_settings
from campaign.candidates.structure_text import StructureFileError, read_number

#: Errors that pymatgen's parser raises on files of another kind than their name implies.
PARSER_ERRORS = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RuntimeError, re.error),
)

_OPERATIONS = (
    *("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"),
    *("_space_group_symop_operation_xyz_", "_symmetry_equiv_pos_as_xyz_"),
)
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_HERMANN_MAUGUIN = ("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m_full")
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
UNKNOWN = ("", ".", "?")
"""Values of unspecified CIF items."""


def give_operations(data: dict[str, Any], notes: list[str]) -> int:
    """Add the operations of the named space group if the block lists none; return their number.

    Listed operations are compared with the named space group, so that a file that lists only the identity and the atoms
    of the asymmetric unit is not read as a crystal without symmetry.
    """
    lower = {key.lower(): key for key in data}
    if magnetic := next((key for key in data if "space_group_symop_magn_operation" in key), None):
        return len(as_list(data[magnetic])) * max(1, len(as_list(data.get("_space_group_symop_magn_centering.xyz"))))
    if any("_space_group_magn" in key for key in data):
        return 1  # pymatgen expands the named magnetic group
    tag, value, settings, contradiction = _named_group(data, lower)
    listed = next((data[lower[key]] for key in _OPERATIONS if key in lower), None)
    if listed is not None:
        operations = as_list(listed)
        if wrong := next((text for text in operations if not _is_operation(text)), None):
            raise StructureFileError(f"{wrong!r} is not a symmetry operation; right: e.g. -x,y+1/2,z")
        if contradiction and len(operations) > 1:
            notes.append(f"{contradiction}; the listed operations were used")
        elif not _holds_all_atoms(data):
            _compare_operations(len(set(operations)), settings, data, named=f"{value} ({tag})")
        return len(operations)
    if tag is None:
        if _holds_all_atoms(data) or not any(key.startswith(("_symmetry", "_space_group")) for key in lower):
            notes.append("names no space group: the atoms are assumed to be all atoms of the cell")
            return 1
        raise StructureFileError(
            "has neither operations nor the name of a space group; right: _space_group_symop_operation_xyz"
        )
    if contradiction:
        raise StructureFileError(f"lists no operations, and {contradiction}; right: one space group")
    setting = _one_setting(settings, data, tag=tag, value=value)
    operations = setting.operations
    if len(operations) > 1:
        notes.append(f"lists no operations; those of {value} ({tag}) were used, Hall number {setting.hall_number}")
    data["_symmetry_equiv_pos_as_xyz"] = operations
    return len(operations)


def _compare_operations(
    count: int, settings: Sequence[SpaceGroupSetting], data: Mapping[str, Any], *, named: str
) -> None:
    """Refuse a list of operations that lacks some of the named group's, since the cell would lack atoms."""
    if count == 1 and any(setting.number > 1 for setting in settings):
        raise StructureFileError(
            f"names the space group {named} and lists the identity as its only operation; right: all operations, or "
            "all atoms of the cell and _chemical_formula_sum with _cell_formula_units_Z"
        )
    right = sorted({len(setting.operations) for setting in settings if _fits_cell(setting, data)})
    if count > 1 and right and count not in right:
        raise StructureFileError(
            f"names the space group {named}, which has {' or '.join(map(str, right))} operations in such a cell, and "
            f"lists {count}; right: all operations, centring included"
        )


def _named_group(
    data: Mapping[str, Any], lower: Mapping[str, str]
) -> tuple[str | None, str, list[SpaceGroupSetting], str]:
    """Return tag, text and settings of the named space group, preferably by its Hall symbol, and any contradiction."""
    unread: tuple[str | None, str] = (None, "")
    read: list[tuple[str, str, list[SpaceGroupSetting]]] = []
    for tags, find in ((_HALL, hall_settings), (_HERMANN_MAUGUIN, named_settings), (_NUMBER, _settings_of_text)):
        for tag in tags:
            value = str(data.get(lower.get(tag, ""), "")).strip() or str(data.get(lower.get(f"{tag}_", ""), "")).strip()
            if value in UNKNOWN:
                continue
            if settings := find(value):
                read.append((lower.get(tag, tag), value, settings))
            else:
                unread = (lower.get(tag, tag), value)
    if not read:
        return *unread, [], ""
    first, *others = read
    numbers = {setting.number for setting in first[2]}
    for tag, value, settings in others:
        if numbers.isdisjoint(setting.number for setting in settings):
            return *first, f"names two space groups, {first[1]} ({first[0]}) and {value} ({tag})"
    return *first, ""


def _settings_of_text(number: str) -> list[SpaceGroupSetting]:
    return numbered_settings(int(number_or_0(number)))


def _one_setting(
    settings: Sequence[SpaceGroupSetting], data: Mapping[str, Any], *, tag: str, value: str
) -> SpaceGroupSetting:
    """Return the only setting that fits the cell, or the standard one of a monoclinic group if that fits."""
    fitting = [setting for setting in settings if _fits_cell(setting, data)]
    if len(fitting) > 1 and all(3 <= setting.number <= 15 for setting in fitting):
        fitting = [setting for setting in fitting if setting.choice.startswith("b")] or fitting
    if len(fitting) == 1:
        return fitting[0]
    if not settings:
        why = "is not a space group with known operations"
    elif not fitting:
        why = "does not fit the cell's angles and lengths"
    else:
        why = f"leaves {len(fitting)} choices of origin or axes open"
    raise StructureFileError(
        f"lists no operations, and {value!r} ({tag}) {why}; right: _space_group_symop_operation_xyz"
    )


def _fits_cell(setting: SpaceGroupSetting, data: Mapping[str, Any]) -> bool:
    a, b, c = (number_or_0(data.get(f"_cell_length_{axis}")) for axis in "abc")
    alpha, beta, gamma = (number_or_0(data.get(f"_cell_angle_{angle}")) for angle in ("alpha", "beta", "gamma"))

    def right(*angles: float) -> bool:
        return all(isclose(angle, 90.0, abs_tol=0.05) for angle in angles)

    def same(*lengths: float) -> bool:
        return max(lengths) - min(lengths) <= 2e-3 * max(lengths)

    number = setting.number
    if number <= 2:
        return True
    if number <= 15:
        unique = setting.choice.lstrip("-")[:1]
        return right(*{"a": (beta, gamma), "b": (alpha, gamma), "c": (alpha, beta)}[unique])
    if number <= 142:
        return right(alpha, beta, gamma) and (number <= 74 or same(a, b))
    if setting.choice == "R":
        return same(a, b, c) and same(alpha, beta, gamma)
    if number <= 194:
        return same(a, b) and right(alpha, beta) and isclose(gamma, 120.0, abs_tol=0.05)
    return same(a, b, c) and right(alpha, beta, gamma)


def _is_operation(text: str) -> bool:
    parts = text.strip().strip("'\"").lower().split(",")
    return len(parts) == 3 and all(re.fullmatch(r"[\sxyz\d./+*-]*[xyz][\sxyz\d./+*-]*", part) for part in parts)


def _holds_all_atoms(data: Mapping[str, Any]) -> bool:
    """Whether the number of listed atoms matches the file's formula and number of formula units."""
    formula, units = formula_of(data), number_or_0(data.get("_cell_formula_units_Z"))
    rows = len(data["_atom_site_fract_x"])
    return formula is not None and rows in {round(formula.num_atoms), round(formula.num_atoms * units)}


def formula_of(data: Mapping[str, Any]) -> Composition | None:
    text = str(data.get("_chemical_formula_sum", "")).strip()
    if text in UNKNOWN:
        return None
    try:
        return Composition(re.sub(r"\bD(?=[\d\s]|$)", "H", text.replace(",", " ")))
    except PARSER_ERRORS:
        return None  # x and n as numbers of atoms, or words


def as_list(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


def number_or_0(value: Any) -> float:
    try:
        return read_number(str(value), "")
    except StructureFileError:
        return 0.0
