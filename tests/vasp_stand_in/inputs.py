"""The four input files of a run, and the key under which its outputs are recorded."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

INPUTS = ("INCAR", "POSCAR", "KPOINTS", "POTCAR")
#: Tags that decide what is computed; parallelism, what is written, and the way to the result do not.
_DECISIVE = (
    *("ENCUT", "EDIFF", "EDIFFG", "ISMEAR", "SIGMA", "ISPIN", "MAGMOM", "ISIF", "NSW", "LORBIT"),
    *("NEDOS", "EMIN", "EMAX"),
)
_DECIMALS = 3

Stage = Literal["static", "relax"]


class InputError(RuntimeError):
    """An input is absent: VASP's Fortran says so and ends with code 29."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What VASP was asked for.

    Attributes
    ----------
    tags
        INCAR, with upper-case names and values as they are written.
    symbols, counts
        Elements of the POSCAR and how many atoms of each, in its order.
    lattice, positions
        In A, and fractional.
    mesh
        Style and divisions of the KPOINTS.
    titles
        TITEL of each data set in the POTCAR.
    """

    tags: dict[str, str]
    symbols: list[str]
    counts: list[int]
    lattice: list[list[float]]
    positions: list[list[float]]
    mesh: str
    titles: list[str]

    @property
    def stage(self) -> Stage:
        """Whether ions may move."""
        return "relax" if int(self.tags.get("NSW", "0")) > 0 else "static"

    @property
    def elements(self) -> str:
        """Elements in alphabetical order, ``Al-Cu``."""
        return "-".join(sorted(set(self.symbols)))

    @property
    def formula(self) -> str:
        """Elements and numbers of atoms as in the POSCAR, ``Al1Cu1``."""
        return "".join(f"{symbol}{count}" for symbol, count in zip(self.symbols, self.counts, strict=True))

    def key(self) -> str:
        """Name of the recording of these inputs."""
        asked = {
            "crystal": [self.symbols, self.counts, _rounded(self.lattice), _rounded(self.positions)],
            "mesh": self.mesh,
            "tags": {name: _plain(self.tags[name]) for name in _DECISIVE if name in self.tags},
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:24]


def read_inputs(folder: Path) -> Inputs:
    """Read the input files in a folder.

    Raises
    ------
    InputError
        If one is absent, in VASP's words.
    """
    for name in INPUTS:
        if not (folder / name).is_file():
            raise InputError(f"forrtl: severe (29): file not found, unit 10, file {folder.resolve() / name}")
    symbols, counts, lattice, positions = _read_poscar((folder / "POSCAR").read_text(encoding="utf-8"))
    kpoints = (folder / "KPOINTS").read_text(encoding="utf-8").splitlines()
    potcar = (folder / "POTCAR").read_text(encoding="utf-8", errors="replace")
    return Inputs(
        tags=read_incar((folder / "INCAR").read_text(encoding="utf-8")),
        symbols=symbols,
        counts=counts,
        lattice=lattice,
        positions=positions,
        mesh=" ".join([kpoints[2].strip()[:1].upper(), *kpoints[3].split()]),
        titles=[" ".join(title.split()) for title in re.findall(r"TITEL\s*=(.*)", potcar)],
    )


def read_incar(text: str) -> dict[str, str]:
    """Tags of an INCAR."""
    tags = {}
    for line in text.splitlines():
        name, equals, value = re.split(r"[!#]", line, maxsplit=1)[0].partition("=")
        if equals:
            tags[name.strip().upper()] = value.strip()
    return tags


def _read_poscar(text: str) -> tuple[list[str], list[int], list[list[float]], list[list[float]]]:
    lines = text.splitlines()
    scale = float(lines[1].split()[0])
    lattice = [[scale * float(word) for word in line.split()[:3]] for line in lines[2:5]]
    symbols, counts = lines[5].split(), [int(word) for word in lines[6].split()]
    first = 9 if lines[7].strip()[:1].lower() == "s" else 8
    positions = [[float(word) for word in line.split()[:3]] for line in lines[first : first + sum(counts)]]
    return symbols, counts, lattice, positions


def _rounded(rows: list[list[float]]) -> list[list[float]]:
    return [[round(value, _DECIMALS) + 0.0 for value in row] for row in rows]


def _plain(value: str) -> str:
    """A value without the ways in which it can be written: ``1e-05`` and ``0.00001`` are the same."""
    words = []
    for word in value.split():
        count, star, each = word.rpartition("*")
        try:
            number = f"{float(each):.6g}"
        except ValueError:
            number = each.lower()
        words += [number] * (int(count) if star else 1)
    return " ".join(words)
