"""Read CIF and magnetic CIF files with pymatgen's parser, and compare the result with the file.

If the file leaves open something that determines the crystal (symmetry operations, partial occupancies, several
crystals), pymatgen assumes a default and warns. Here either the default is defined by CIF or the block is refused; all
of pymatgen's warnings are passed on as notes.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isclose
from typing import Any

from pymatgen.core import Element, Structure
from pymatgen.io.cif import CifBlock, CifParser

from campaign.candidates.cif_symmetry import PARSER_ERRORS, UNKNOWN, as_list, formula_of, give_operations, number_or_0
from campaign.candidates.structure_text import (
    FARTHEST,
    HYDROGEN_ISOTOPES,
    MAX_SITES,
    Reason,
    StructureFileError,
    isotope_note,
    read_number,
)

_LARGEST_ORBITS = 20_000
"""Atoms times operations; beyond it the crystal has far more than `MAX_SITES` atoms, or many on one site."""


@dataclass(frozen=True)
class CifCrystal:
    """A block of a CIF file with a crystal.

    Attributes
    ----------
    block
        Its name, without ``data_``.
    structure
        The crystal, lengths in A; its sites may be of several elements or partly empty.
    notes
        Notes for the user on how it was read.
    """

    block: str
    structure: Structure
    notes: list[str]


def read_cif(text: str) -> list[CifCrystal | tuple[str, StructureFileError]]:
    """Read every crystal of a CIF file.

    Returns
    -------
    list
        For each block with a crystal, the crystal, or the block's name and the error, which names the tag.

    Raises
    ------
    StructureFileError
        If the file as a whole cannot be read.
    """
    blocks = re.findall(r"^\s*data_(\S*)", text, flags=re.MULTILINE | re.IGNORECASE)
    if not blocks:
        raise StructureFileError("does not parse as CIF (it has no line data_NAME); right: a CIF file")
    if doubled := next((name for name in blocks if blocks.count(name) > 1), None):
        raise StructureFileError(f"has two blocks data_{doubled}; right: a different name for each")
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            parser = CifParser.from_str(text, check_cif=False)  # `_compare` checks every block
        except PARSER_ERRORS as error:
            if "zip()" in str(error):
                raise StructureFileError("has a loop_ whose last row lacks values; right: one for each tag") from error
            raise StructureFileError(f"does not parse as CIF ({_first_line(error)})") from error
    notes += [str(warning.message) for warning in warned]
    crystals: list[CifCrystal | tuple[str, StructureFileError]] = []
    for name, block in parser._cif.data.items():
        if not any(key.startswith("_atom_site_") for key in block.data):
            continue  # e.g. the bibliography or reflections
        try:
            crystals.append(_read_block(name, block, parser, notes))
        except StructureFileError as error:
            said = f"data_{name}: {error}" if len(blocks) > 1 else str(error)
            crystals.append((name, StructureFileError(said, reason=error.reason)))
    if not crystals:
        raise StructureFileError("has no atoms (_atom_site_fract_x); right: a CIF file with a crystal")
    return crystals


def _read_block(name: str, block: CifBlock, parser: CifParser, notes: Sequence[str]) -> CifCrystal:
    noted = [*notes, *_prepare_sites(block.data)]
    number = give_operations(block.data, noted)
    rows = len(block.data["_atom_site_fract_x"])
    if rows > MAX_SITES or rows * number > _LARGEST_ORBITS:
        raise StructureFileError(
            f"lists {rows} atoms and {number} operations; right: {MAX_SITES} atoms in the cell at most",
            reason=Reason.TOO_LARGE,
        )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            structure = parser._get_structure(block, primitive=False, symmetrized=False, check_occu=True)
        except PARSER_ERRORS as error:
            raise StructureFileError(f"does not parse as CIF ({_first_line(error)})") from error
    if structure is None:
        raise StructureFileError("has no atoms that pymatgen can read")
    if strange := next((each.symbol for each in structure.elements if not Element.is_valid_symbol(each.symbol)), None):
        raise StructureFileError(f"has atoms {strange!r}, which is not an element; right: symbols of elements")
    noted += [_first_line(warning.message) for warning in said if not str(warning.message).startswith(_CHECKED_HERE)]
    if structure.is_ordered:
        _compare(block.data, structure)
    return CifCrystal(name, structure, list(dict.fromkeys(noted)))


#: Warnings of pymatgen about what `give_operations` checks more strictly.
_CHECKED_HERE = ("A 1-line symmetry op",)


def _prepare_sites(data: dict[str, Any]) -> Iterator[str]:
    """Apply the defaults defined by CIF and refuse entries that are not atoms; yield notes."""
    _check_cell(data)
    for axis in "xyz":
        tag = f"_atom_site_fract_{axis}"
        values = data.get(tag)
        if not isinstance(values, list):
            given = "Cartesian coordinates" if "_atom_site_cartn_x" in map(str.lower, data) else "none"
            raise StructureFileError(f"has no loop with {tag} ({given}); right: fractional coordinates")
        for row, value in enumerate(values):
            if value in UNKNOWN:
                raise StructureFileError(f"{tag} of atom {row + 1} is {value!r}; right: a coordinate for every atom")
            if not abs(read_number(value, f"{tag} of atom {row + 1}")) <= FARTHEST:
                raise StructureFileError(
                    f"{tag} of atom {row + 1} is {value!r}; right: a coordinate in or near the cell"
                )
    occupancies = data.get("_atom_site_occupancy")
    if isinstance(occupancies, list):
        data["_atom_site_occupancy"] = ["1" if value in UNKNOWN else value for value in occupancies]
        for row, value in enumerate(data["_atom_site_occupancy"]):
            tag = f"_atom_site_occupancy of atom {row + 1}"
            if not read_number(value, tag) > 0:
                raise StructureFileError(f"{tag} is {value!r}; right: 1, and no line for a missing atom")
        if "?" in occupancies:
            yield "_atom_site_occupancy is unknown (?) for some atoms and assumed to be 1"
    tag = "_atom_site_type_symbol" if "_atom_site_type_symbol" in data else "_atom_site_label"
    symbols = data.get(tag)
    if not isinstance(symbols, list):
        raise StructureFileError(
            "has no loop with _atom_site_type_symbol or _atom_site_label; right: an element for every atom"
        )
    for row, symbol in enumerate(symbols):
        if symbol in UNKNOWN:
            raise StructureFileError(f"{tag} of atom {row + 1} is {symbol!r}; right: an element for every atom")
        element = re.match(r"[A-Za-z]*", symbol)[0]  # type: ignore[index]
        if element.lower() in ("x", "va", "vac", "vacancy", "du", "dummy"):
            raise StructureFileError(
                f"{tag} of atom {row + 1} is {symbol!r}, not an element; right: atoms only, no vacancies"
            )
        if element in HYDROGEN_ISOTOPES:
            symbols[row] = "H" + symbol[1:]
            yield isotope_note(symbol)
    if "dum" in map(str.lower, as_list(data.get("_atom_site_calc_flag"))):
        raise StructureFileError("has dummy atoms (_atom_site_calc_flag dum); right: atoms only")
    if any(number_or_0(value) for value in as_list(data.get("_atom_site_attached_hydrogens"))):
        raise StructureFileError(
            "has hydrogen atoms without coordinates (_atom_site_attached_hydrogens); right: every atom"
        )


def _check_cell(data: Mapping[str, Any]) -> None:
    """Refuse invalid cell lengths and angles before pymatgen makes a lattice of them."""
    for tag in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"):
        name = f"_cell_{tag}"
        if name not in data:
            raise StructureFileError(f"has no {name}; right: lengths and angles of the cell")
        value, highest = read_number(data[name], name), 180.0 if tag.startswith("angle") else inf
        if not 0 < value < highest:
            right = "an angle between 0 and 180" if tag.startswith("angle") else "a length above 0"
            raise StructureFileError(f"{name} is {data[name]!r}; right: {right}")
    angles = sorted(read_number(data[f"_cell_angle_{angle}"], "") for angle in ("alpha", "beta", "gamma"))
    if sum(angles) >= 360 or angles[2] >= angles[0] + angles[1]:
        raise StructureFileError(
            f"has the cell angles {', '.join(map('{:g}'.format, angles))}, which do not form a cell"
        )


def _compare(data: Mapping[str, Any], structure: Structure) -> None:
    """Compare the crystal with the formula and volume stated in the file.

    Raises
    ------
    StructureFileError
        If they differ.
    """
    formula = formula_of(data)
    read = structure.composition.element_composition
    if formula is not None:
        if formula.reduced_formula != read.reduced_formula and not formula.reduced_composition.almost_equals(
            read.reduced_composition, rtol=0.01, atol=1e-3
        ):
            raise StructureFileError(
                f"_chemical_formula_sum is {formula.formula}, the atoms are {read.formula}; right: all atoms"
            )
        units = number_or_0(data.get("_cell_formula_units_Z"))
        said = {round(formula.num_atoms * units)}
        if isclose(formula.get_reduced_composition_and_factor()[1], units):  # the formula of the whole cell
            said.add(round(formula.num_atoms))
        if units and round(read.num_atoms) not in said:
            raise StructureFileError(
                f"_cell_formula_units_Z is {units:g} of {formula.formula}, and {len(structure)} atoms were read; "
                "right: a number that agrees"
            )
    volume = number_or_0(data.get("_cell_volume"))
    if volume and not isclose(volume, structure.volume, rel_tol=0.02):
        raise StructureFileError(
            f"_cell_volume is {volume:g} A^3, the cell has {structure.volume:.4g} A^3; right: Angstrom and degrees"
        )


def _first_line(error: BaseException | str) -> str:
    words = str(error).strip().splitlines()[:1] or [type(error).__name__]
    return words[0][:160]
