"""Read VASP's POSCAR and CONTCAR files.

If a file lacks data, pymatgen's reader guesses (elements from the comment, or H and He), and it drops what does not
fit. This reader names the line of missing data instead. https://www.vasp.at/wiki/POSCAR
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from campaign.candidates.structure_text import (
    HYDROGEN_ISOTOPES,
    MAX_SITES,
    StructureFileError,
    isotope_note,
    read_number,
)


def read_poscar(text: str) -> tuple[Structure, list[str]]:
    """Read a POSCAR; return its crystal (lengths in A), and notes for the user on how it was read.

    Raises
    ------
    StructureFileError
        Names the wrong or missing line.
    """
    lines = text.split("\n")
    notes: list[str] = []
    scale = _scale(_line(lines, 1, "the scale factor"))
    cell = np.array([_vector(_line(lines, 2 + row, "a vector of the cell"), 3 + row) for row in range(3)])
    symbols = _symbols(_line(lines, 5, "the elements").split(), notes)
    counts = _counts(_line(lines, 6, "the number of atoms of each element").split(), symbols)
    at = 7
    if _line(lines, at, "Direct or Cartesian").strip()[:1].lower() == "s":
        at += 1  # selective dynamics: the flags after the coordinates only matter for a relaxation
    mode = _line(lines, at, "Direct or Cartesian").strip()
    if not mode[:1].isalpha():
        raise StructureFileError(f"line {at + 1} is {mode[:40]!r}; right: Direct or Cartesian")
    cartesian = mode[0].lower() in "ck"
    n_sites = sum(counts)
    rows = [line for line in lines[at + 1 : at + 1 + n_sites] if line.strip()]
    if len(rows) < n_sites:
        raise StructureFileError(f"has coordinates of {len(rows)} atoms; right: {n_sites}, as line 7 says")
    positions = np.array([_vector(row, at + 2 + index) for index, row in enumerate(rows)])
    if any(line.strip() for line in lines[at + 1 + n_sites :]):
        notes.append("data after the coordinates (velocities, predictor) are not used")
    if len(scale) == 1 and scale[0] < 0:  # the volume of the cell
        if not (volume := abs(np.linalg.det(cell))) > 0:
            raise StructureFileError("the cell of lines 3 to 5 has no volume")
        scale = [(-scale[0] / volume) ** (1 / 3)]
    lattice = Lattice(cell * scale)
    species = [symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)]
    if cartesian:
        positions = positions * scale
    return Structure(lattice, species, positions, coords_are_cartesian=cartesian), notes


def _line(lines: Sequence[str], index: int, what: str) -> str:
    """Return a line without its comment."""
    text = re.split(r"[!#]", lines[index], maxsplit=1)[0] if index < len(lines) else ""
    if not text.strip():
        raise StructureFileError(f"line {index + 1} is empty or absent; right: {what}")
    return text


def _scale(text: str) -> list[float]:
    words = text.split()
    numbers = [word for word in words[:3] if re.match(r"[+-]?[\d.]", word)]
    if len(numbers) not in (1, 3):
        raise StructureFileError(f"line 2 is {text.strip()[:40]!r}; right: a scale factor, or three of them")
    scale = [read_number(word, "the scale factor of line 2") for word in numbers]
    if 0 in scale or (len(scale) == 3 and min(scale) < 0):
        raise StructureFileError(
            f"line 2 is {text.strip()[:40]!r}; right: a scale factor other than 0, or three above 0"
        )
    return scale


def _vector(text: str, line: int) -> NDArray[np.float64]:
    words = text.split()
    if len(words) < 3:
        raise StructureFileError(f"line {line} is {text.strip()[:40]!r}; right: three numbers")
    return np.array([read_number(word, f"a number of line {line}") for word in words[:3]])


def _symbols(words: Sequence[str], notes: list[str]) -> list[str]:
    if all(word.isdigit() for word in words):
        raise StructureFileError(
            "names no elements (a file of VASP 4); right: a line with the symbols of the elements before the line "
            "with their numbers of atoms"
        )
    symbols = [re.split(r"[_/]", word)[0] for word in words]  # Fe_pv/1a2b, as written by VASP 6 into its CONTCAR
    notes += map(isotope_note, sorted(set(symbols).intersection(HYDROGEN_ISOTOPES)))
    symbols = ["H" if symbol in HYDROGEN_ISOTOPES else symbol for symbol in symbols]
    if wrong := [word for word, symbol in zip(words, symbols, strict=True) if not Element.is_valid_symbol(symbol)]:
        raise StructureFileError(f"line 6 has {wrong[0]!r}; right: symbols of elements")
    return symbols


def _counts(words: Sequence[str], symbols: Sequence[str]) -> list[int]:
    if not all(word.isdigit() and len(word) < 10 for word in words) or len(words) != len(symbols):
        raise StructureFileError(
            f"line 7 is {' '.join(words)[:40]!r}; right: {len(symbols)} numbers of atoms, as line 6 has elements"
        )
    counts = [int(word) for word in words]
    if 0 in counts:
        raise StructureFileError(f"line 7 says no atom of {symbols[counts.index(0)]}; right: elements with atoms only")
    if sum(counts) > MAX_SITES:
        raise StructureFileError(f"line 7 says {sum(counts)} atoms; right: 1 to {MAX_SITES}")
    return counts
