"""Entries for tests, as pymatgen writes them: small, with made-up energies in eV."""

import gzip
import json
from pathlib import Path
from typing import Any

from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

PBE = {"run_type": "GGA", "hubbards": {}}
VASP = {**PBE, "potcar_symbols": ["PAW_PBE Al 04Jan2001"]}
GPAW = {**PBE, "potcar_symbols": ["PAW_PBE Al GPAW"]}

#: Al -3.5, Cu -3.7 eV an atom; AlCu at -0.2 eV/atom.
ALLOYS = {"Al4": -14.0, "Cu4": -14.8, "AlCu": -7.6, "Al2Cu": -11.0}


def entry(formula: str, energy: float, *, name: str | None = None, **parameters: Any) -> dict[str, Any]:
    """ComputedEntry of a formula as a dictionary."""
    return ComputedEntry(formula, energy, entry_id=name or f"id-{formula}", parameters=parameters).as_dict()


def alloys(**parameters: Any) -> list[dict[str, Any]]:
    """Entries of `ALLOYS`."""
    return [entry(formula, energy, **parameters) for formula, energy in ALLOYS.items()]


def rocksalt(metal: str, anion: str, a: float = 4.2) -> Structure:
    """Four formula units of rock salt."""
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def alumina() -> Structure:
    """Corundum, 30 atoms in the hexagonal cell."""
    lattice = Lattice.hexagonal(4.76, 12.99)
    return Structure.from_spacegroup("R-3c", lattice, ["Al", "O"], [[0, 0, 0.3522], [0.3063, 0, 0.25]])


def structure_entry(structure: Structure, energy: float, name: str) -> ComputedStructureEntry:
    """An entry as pymatgen's corrections take it."""
    return ComputedStructureEntry(structure, energy, parameters=dict(PBE), entry_id=name)


def write(path: Path, entries: Any, **header: Any) -> Path:
    """Write entries in the form that the file's name says; an object where there is a header."""
    if ".jsonl" in path.name:
        text = "".join(json.dumps(found) + "\n" for found in entries)
    else:
        text = json.dumps({**header, "entries": entries} if header else entries)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
