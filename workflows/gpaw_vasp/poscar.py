"""POSCAR, and the titles of the POTCAR that belongs to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflows.gpaw_vasp import potcars
from workflows.gpaw_vasp.errors import InputRefused


@dataclass(frozen=True)
class Poscar:
    """A POSCAR file.

    Attributes
    ----------
    comment
        Its first line.
    symbols
        Element of each atom.
    cell : ndarray, shape (3, 3)
        Lattice vectors as rows, A.
    positions : ndarray, shape (N, 3)
        Fractional coordinates.
    """

    comment: str
    symbols: tuple[str, ...]
    cell: np.ndarray
    positions: np.ndarray

    def groups(self) -> list[tuple[str, int]]:
        """Return runs of the same element, as VASP's species: [(element, count), ...]."""
        runs: list[tuple[str, int]] = []
        for symbol in self.symbols:
            if runs and runs[-1][0] == symbol:
                runs[-1] = (symbol, runs[-1][1] + 1)
            else:
                runs.append((symbol, 1))
        return runs


def read_input(directory: Path, name: str) -> str:
    """Return the text of an input file.

    Raises
    ------
    InputRefused
        If it does not exist.
    """
    try:
        return (directory / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputRefused(f"{name}: not found in {directory}; vasp-gpaw runs where INCAR and POSCAR are") from None


def parse_poscar(text: str) -> Poscar:
    """Read the text of a POSCAR file (VASP 5 format, with a line of elements).

    Raises
    ------
    InputRefused
        If it cannot be parsed, names an unknown element, requests selective dynamics, or has an element without a GPAW
        data set.
    """
    lines = text.splitlines()
    try:
        scale = float(lines[1].split("!")[0])
        cell = np.array([[float(word) for word in line.split()[:3]] for line in lines[2:5]])
        names = lines[5].split()
        counts = [int(word) for word in lines[6].split()]
        mode = lines[7].strip()
        rows = [[float(word) for word in line.split()[:3]] for line in lines[8 : 8 + sum(counts)]]
        coordinates = np.array(rows).reshape(sum(counts), 3)
        if mode[:1].lower() != "s" and (cell.shape != (3, 3) or len(names) != len(counts) or not counts):
            raise ValueError
    except (IndexError, ValueError):
        if len(lines) > 7 and lines[7].strip()[:1].lower() == "s":
            raise _selective(lines[7]) from None
        raise InputRefused(
            "POSCAR: does not parse; needed are a comment, one scale, three lattice vectors, a line of elements, a line"
            " of counts, Direct or Cartesian, and one line of coordinates for each atom"
        ) from None
    if mode[:1].lower() == "s":
        raise _selective(mode)
    determinant = float(np.linalg.det(cell))
    if scale == 0 or abs(determinant) < 1e-12:
        raise InputRefused("POSCAR: the cell has no volume; check the scale and the lattice vectors")
    factor = scale if scale > 0 else (-scale / abs(determinant)) ** (1 / 3)
    cell = cell * factor
    cartesian = mode[:1].lower() in ("c", "k")
    positions = (coordinates * factor) @ np.linalg.inv(cell) if cartesian else coordinates
    elements = [name.split("_")[0].split("/")[0] for name in names]
    available = potcars.available_elements()
    for element in elements:
        if element not in available:
            raise InputRefused(
                f"POSCAR: element {element}: GPAW has no PBE PAW data set for it; available are:"
                f" {' '.join(sorted(available)) or 'none (is gpaw-data installed?)'}"
            )
    symbols = tuple(element for element, count in zip(elements, counts, strict=True) for _ in range(count))
    return Poscar(comment=lines[0].strip(), symbols=symbols, cell=cell, positions=positions)


def _selective(line: str) -> InputRefused:
    return InputRefused(
        f"POSCAR: line 8 says {line.strip()!r}: selective dynamics is refused, all atoms move; remove that line"
    )


def read_titles(directory: Path, species: Sequence[str]) -> tuple[str, ...]:
    """Return the POTCAR title of each species, in POSCAR's order.

    These are the first lines of the POTCAR's data sets, or are built from POTCAR.spec or the elements without a POTCAR.

    Raises
    ------
    InputRefused
        If the POTCAR's elements differ from the POSCAR's, or it is not for PBE.
    """
    if (directory / "POTCAR").exists():
        blocks = read_input(directory, "POTCAR").split("End of Dataset")
        titles = [block.strip().splitlines()[0].strip() for block in blocks if block.strip()]
        source = "POTCAR"
    elif (directory / "POTCAR.spec").exists():
        titles = [potcars.title(word) for word in read_input(directory, "POTCAR.spec").split()]
        source = "POTCAR.spec"
    else:
        return tuple(potcars.title(element) for element in species)
    found = [title.split()[1].split("_")[0].split(".")[0] for title in titles if len(title.split()) > 1]
    if found != list(species):
        raise InputRefused(
            f"{source}: holds data sets for {' '.join(found) or 'nothing'}, but POSCAR's species are"
            f" {' '.join(species)}; write them in that order"
        )
    for title in titles:
        if not title.startswith("PAW_PBE"):
            raise InputRefused(f"{source}: {title!r} is not a PBE data set; a title starting with PAW_PBE is needed")
    return tuple(titles)
