"""CIF and magnetic CIF files: pymatgen's parser, and a comparison of what it read with what the file says.

Where the file leaves something open that decides the crystal (operations of its space group, partial occupancies,
several crystals), pymatgen takes a default and warns. Here the default is either one that CIF defines, or the block
is refused; and all that pymatgen says is passed on as notes.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from pymatgen.core import Composition, Structure
from pymatgen.io.cif import CifBlock, CifParser

from campaign.candidates.space_groups import SpaceGroupSetting, hall_settings, named_settings, numbered_settings
from campaign.candidates.structure_text import (
    HYDROGEN_ISOTOPES,
    MAX_SITES,
    StructureFileError,
    isotope_note,
    read_number,
)

#: What pymatgen's parser raises on files that are not what their name says.
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
_LARGEST_ORBITS = 20_000
"""Atoms times operations; beyond it the crystal has far more than `MAX_SITES` atoms, or many on one site."""
_UNKNOWN = ("", ".", "?")


@dataclass(frozen=True)
class CifCrystal:
    """A block of a CIF file that holds a crystal.

    Attributes
    ----------
    block
        Its name, behind ``data_``.
    structure
        The crystal, lengths in A; its sites may be of several elements or partly empty.
    notes
        What a user should know of how it was read.
    """

    block: str
    structure: Structure
    notes: list[str]


def read_cif(text: str) -> list[CifCrystal]:
    """Read every crystal of a CIF file.

    Raises
    ------
    StructureFileError
        Naming the block and the tag that is wrong.
    """
    blocks = re.findall(r"^\s*data_(\S*)", text, flags=re.MULTILINE | re.IGNORECASE)
    if not blocks:
        raise StructureFileError("does not parse as CIF (it has no line data_NAME); right: a CIF file")
    if doubled := next((name for name in blocks if blocks.count(name) > 1), None):
        raise StructureFileError(f"has two blocks data_{doubled}; right: a name of its own for each")
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            parser = CifParser.from_str(text, check_cif=False)  # `_compare` does, for every block
        except PARSER_ERRORS as error:
            raise StructureFileError(f"does not parse as CIF ({_first_line(error)})") from error
    notes += [str(warning.message) for warning in said]
    crystals = []
    for name, block in parser._cif.data.items():
        if not any(key.startswith("_atom_site_") for key in block.data):
            continue  # e.g. the bibliography, or the reflections
        try:
            crystals.append(_read_block(name, block, parser, notes))
        except StructureFileError as error:
            raise StructureFileError(f"data_{name}: {error}" if len(blocks) > 1 else str(error)) from error
    if not crystals:
        raise StructureFileError("has no atoms (_atom_site_fract_x); right: a CIF file with a crystal")
    return crystals


def _read_block(name: str, block: CifBlock, parser: CifParser, notes: Sequence[str]) -> CifCrystal:
    noted = [*notes, *_prepare_sites(block.data)]
    number = _operations(block.data, noted)
    rows = len(block.data["_atom_site_fract_x"])
    if rows > MAX_SITES or rows * number > _LARGEST_ORBITS:
        raise StructureFileError(
            f"lists {rows} atoms and {number} operations; right: {MAX_SITES} atoms in the cell at most"
        )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            structure = parser._get_structure(block, primitive=False, symmetrized=False, check_occu=True)
        except PARSER_ERRORS as error:
            raise StructureFileError(f"does not parse as CIF ({_first_line(error)})") from error
    if structure is None:
        raise StructureFileError("has no atoms that pymatgen can read")
    noted += [_first_line(warning.message) for warning in said if not str(warning.message).startswith(_CHECKED_HERE)]
    if structure.is_ordered:
        _compare(block.data, structure)
    return CifCrystal(name, structure, list(dict.fromkeys(noted)))


#: pymatgen's own words on what `_operations` decides more strictly.
_CHECKED_HERE = ("A 1-line symmetry op",)


def _prepare_sites(data: dict[str, Any]) -> Iterator[str]:
    """Write out the defaults that CIF defines, and refuse what stands for no atom; yield what is worth a note."""
    for tag in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"):
        if f"_cell_{tag}" in data:
            read_number(data[f"_cell_{tag}"], f"_cell_{tag}")
    for axis in "xyz":
        tag = f"_atom_site_fract_{axis}"
        values = data.get(tag)
        if not isinstance(values, list):
            given = "Cartesian coordinates" if "_atom_site_cartn_x" in map(str.lower, data) else "none"
            raise StructureFileError(f"has no loop with {tag} ({given}); right: fractional coordinates")
        for row, value in enumerate(values):
            if value in _UNKNOWN:
                raise StructureFileError(f"{tag} of atom {row + 1} is {value!r}; right: a coordinate for every atom")
            read_number(value, f"{tag} of atom {row + 1}")
    occupancies = data.get("_atom_site_occupancy")
    if isinstance(occupancies, list):
        data["_atom_site_occupancy"] = ["1" if value in _UNKNOWN else value for value in occupancies]
        for row, value in enumerate(data["_atom_site_occupancy"]):
            read_number(value, f"_atom_site_occupancy of atom {row + 1}")
        if "?" in occupancies:
            yield "_atom_site_occupancy is unknown (?) for some atoms and taken as 1"
    tag = "_atom_site_type_symbol" if "_atom_site_type_symbol" in data else "_atom_site_label"
    symbols = data.get(tag)
    if not isinstance(symbols, list):
        raise StructureFileError(
            "has no loop with _atom_site_type_symbol or _atom_site_label; right: an element for every atom"
        )
    for row, symbol in enumerate(symbols):
        element = re.match(r"[A-Za-z]*", symbol)[0]  # type: ignore[index]
        if element.lower() in ("x", "va", "vac", "vacancy", "du", "dummy"):
            raise StructureFileError(
                f"{tag} of atom {row + 1} is {symbol!r}, no element; right: atoms only, no vacancies"
            )
        if element in HYDROGEN_ISOTOPES:
            symbols[row] = "H" + symbol[1:]
            yield isotope_note(symbol)
    if any(_number_or_0(value) for value in _listed(data.get("_atom_site_attached_hydrogens"))):
        raise StructureFileError(
            "has hydrogen atoms without coordinates (_atom_site_attached_hydrogens); right: every atom"
        )


def _operations(data: dict[str, Any], notes: list[str]) -> int:
    """Give the block the operations that it names if it lists none; return how many there are.

    A list of operations is compared with the space group that the file names, so that a file which lists the atoms of
    the asymmetric unit, and the identity alone, is not taken for a crystal without symmetry.
    """
    lower = {key.lower(): key for key in data}
    if magnetic := next((key for key in data if "space_group_symop_magn_operation" in key), None):
        return len(_listed(data[magnetic])) * max(1, len(_listed(data.get("_space_group_symop_magn_centering.xyz"))))
    if any("_space_group_magn" in key for key in data):
        return 1  # pymatgen expands the magnetic group that is named
    tag, value, settings = _named_group(data, lower)
    listed = next((data[lower[key]] for key in _OPERATIONS if key in lower), None)
    if listed is not None:
        operations = _listed(listed)
        if wrong := next((text for text in operations if not _is_operation(text)), None):
            raise StructureFileError(f"the operation {wrong!r} is none; right: e.g. -x,y+1/2,z")
        if len(operations) == 1 and any(setting.number > 1 for setting in settings) and not _holds_all_atoms(data):
            raise StructureFileError(
                f"names the space group {value} ({tag}) and lists the identity as its only operation; right: all "
                "operations, or all atoms of the cell and _chemical_formula_sum with _cell_formula_units_Z"
            )
        return len(operations)
    if tag is None:
        if _holds_all_atoms(data) or not any(key.startswith(("_symmetry", "_space_group")) for key in lower):
            notes.append("names no space group: the atoms are taken for all of the cell")
            return 1
        raise StructureFileError(
            "has neither operations nor the name of a space group; right: _space_group_symop_operation_xyz"
        )
    setting = _one_setting(settings, data, tag=tag, value=value)
    operations = setting.operations
    if len(operations) > 1:
        notes.append(f"lists no operations; those of {value} ({tag}) were taken, Hall number {setting.hall_number}")
    data["_symmetry_equiv_pos_as_xyz"] = operations
    return len(operations)


def _named_group(data: Mapping[str, Any], lower: Mapping[str, str]) -> tuple[str | None, str, list[SpaceGroupSetting]]:
    """Tag, text and settings of the space group that the file names, by its Hall symbol first."""
    unread: tuple[str | None, str, list[SpaceGroupSetting]] = (None, "", [])
    for tags, find in ((_HALL, hall_settings), (_HERMANN_MAUGUIN, named_settings), (_NUMBER, _settings_of_text)):
        for tag in tags:
            value = str(data.get(lower.get(tag, ""), "")).strip() or str(data.get(lower.get(f"{tag}_", ""), "")).strip()
            if value in _UNKNOWN:
                continue
            if settings := find(value):
                return lower.get(tag, tag), value, settings
            unread = (lower.get(tag, tag), value, [])
    return unread


def _settings_of_text(number: str) -> list[SpaceGroupSetting]:
    return numbered_settings(int(_number_or_0(number)))


def _one_setting(
    settings: Sequence[SpaceGroupSetting], data: Mapping[str, Any], *, tag: str, value: str
) -> SpaceGroupSetting:
    """The setting that the shape of the cell leaves; the standard one of a monoclinic group where the cell fits it."""
    fitting = [setting for setting in settings if _fits_cell(setting, data)]
    if len(fitting) > 1 and all(3 <= setting.number <= 15 for setting in fitting):
        fitting = [setting for setting in fitting if setting.choice.startswith("b")] or fitting
    if len(fitting) == 1:
        return fitting[0]
    if not settings:
        why = "is no space group of which the operations are known"
    elif not fitting:
        why = "does not fit the cell's angles and lengths"
    else:
        why = f"leaves {len(fitting)} choices of origin or axes open"
    raise StructureFileError(
        f"lists no operations, and {value!r} ({tag}) {why}; right: _space_group_symop_operation_xyz"
    )


def _fits_cell(setting: SpaceGroupSetting, data: Mapping[str, Any]) -> bool:
    a, b, c = (_number_or_0(data.get(f"_cell_length_{axis}")) for axis in "abc")
    alpha, beta, gamma = (_number_or_0(data.get(f"_cell_angle_{angle}")) for angle in ("alpha", "beta", "gamma"))

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
    """Whether the listed atoms are as many as the file's formula and number of formula units say."""
    formula, units = _formula(data), _number_or_0(data.get("_cell_formula_units_Z"))
    rows = len(data["_atom_site_fract_x"])
    return formula is not None and rows in {round(formula.num_atoms), round(formula.num_atoms * units)}


def _compare(data: Mapping[str, Any], structure: Structure) -> None:
    """Compare the crystal with the formula and the volume that the file says.

    Raises
    ------
    StructureFileError
        They differ.
    """
    formula = _formula(data)
    read = structure.composition.element_composition
    if formula is not None:
        if formula.reduced_formula != read.reduced_formula and not formula.reduced_composition.almost_equals(
            read.reduced_composition, rtol=0.01, atol=1e-3
        ):
            raise StructureFileError(
                f"_chemical_formula_sum is {formula.formula}, the atoms are {read.formula}; right: all atoms"
            )
        units = _number_or_0(data.get("_cell_formula_units_Z"))
        said = {round(formula.num_atoms * units)}
        if isclose(formula.get_reduced_composition_and_factor()[1], units):  # the formula of the whole cell
            said.add(round(formula.num_atoms))
        if units and round(read.num_atoms) not in said:
            raise StructureFileError(
                f"_cell_formula_units_Z is {units:g} of {formula.formula}, and {len(structure)} atoms were read; "
                "right: a number that agrees"
            )
    volume = _number_or_0(data.get("_cell_volume"))
    if volume and not isclose(volume, structure.volume, rel_tol=0.02):
        raise StructureFileError(
            f"_cell_volume is {volume:g} A^3, the cell has {structure.volume:.4g} A^3; right: Angstrom and degrees"
        )


def _formula(data: Mapping[str, Any]) -> Composition | None:
    text = str(data.get("_chemical_formula_sum", "")).strip()
    if text in _UNKNOWN:
        return None
    try:
        return Composition(re.sub(r"\bD(?=[\d\s]|$)", "H", text.replace(",", " ")))
    except PARSER_ERRORS:
        return None  # x and n as numbers of atoms, words


def _listed(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _number_or_0(value: Any) -> float:
    try:
        return read_number(str(value), "")
    except StructureFileError:
        return 0.0


def _first_line(error: BaseException | str) -> str:
    words = str(error).strip().splitlines()[:1] or [type(error).__name__]
    return words[0][:160]
