"""Formation energies of VASP runs from a table."""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from esnet.dataset.sample import DosKind
from esnet.files.errors import UserError

ENERGY = "formation_energy_per_atom"
_NAMES = ("id", "path")
_FEW = 6  # samples; with fewer, energies may correlate with the cell size by chance
_FOLLOWS = 0.9  # correlation coefficient
_OPTIONAL = ("kind", "material", "prototype")


class VaspEnergyError(UserError, ValueError):
    """Formation energies cannot be taken from a table of energies or a set of runs."""


@dataclass(frozen=True, kw_only=True)
class EnergyEntry:
    """One row of a table of energies.

    Attributes
    ----------
    name
        Name or path of a folder, or path of a file, that the row applies to.
    energy
        Formation energy of the relaxed crystal, eV/atom.
    kind
        Kind of the DOS; None if the table does not state it.
    material
        Name of the material, the same for all of its runs.
    prototype
        Structure type; empty if unknown.
    """

    name: str
    energy: float
    kind: DosKind | None = None
    material: str = ""
    prototype: str = ""


@dataclass(frozen=True)
class EnergyTable:
    """Formation energies by the name of a run."""

    path: Path
    entries: Mapping[str, EnergyEntry]

    @classmethod
    def read(cls, path: Path) -> "EnergyTable":
        """Read a CSV file with a header, or a JSON file.

        Parameters
        ----------
        path
            File with the columns (CSV), or a list of objects with the keys (JSON), ``id`` or ``path``,
            ``formation_energy_per_atom`` (eV/atom, of the relaxed crystal) and optionally ``kind`` (is_dos or rs_dos),
            ``material`` and ``prototype``. JSON may also be an object that maps names to energies or to such objects.

        Raises
        ------
        VaspEnergyError
            If the file cannot be read, lacks a column, or has an energy that is not finite or a repeated name.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise VaspEnergyError(f"{path}: cannot be read as UTF-8 text ({error})") from error
        read_rows = _json_rows if path.suffix.lower() == ".json" else _csv_rows
        rows = read_rows(path, text)
        entries: dict[str, EnergyEntry] = {}
        for number, row in enumerate(rows, start=1):
            entry = _entry(f"{path}, entry {number}", row)
            if entry.name in entries:
                raise VaspEnergyError(f"{path}, entry {number}: {entry.name!r} occurs twice")
            entries[entry.name] = entry
        if not entries:
            raise VaspEnergyError(f"{path}: has no entry")
        return cls(path, entries)

    def find(self, file: Path) -> tuple[EnergyEntry, Path] | None:
        """Return the most specific entry for a run, and the path that the entry names (the run's file or a folder).

        ``file`` is the path of the run's output file inside the folder of runs. An entry applies to a run if it names
        the path of the file, of its folder or of a parent folder, or else the bare name of one of these folders.
        """
        folders = [folder for folder in file.parents if folder != Path()]
        names = [(place.as_posix(), place) for place in (file, *folders)]
        names += [(folder.name, folder) for folder in folders]
        return next(((self.entries[name], place) for name, place in names if name in self.entries), None)


def scaling_warning(n_atoms: Sequence[float], energies: Sequence[float]) -> str | None:
    """Return a warning if the magnitude of the formation energies correlates with the number of atoms in the cell.

    Parameters
    ----------
    n_atoms
        Number of atoms in the cell of each sample.
    energies
        Formation energies of the samples, which should be in eV/atom.
    """
    if len(n_atoms) < _FEW or len(set(n_atoms)) < 2 or len({abs(energy) for energy in energies}) < 2:
        return None
    if np.corrcoef(n_atoms, np.abs(energies))[0, 1] < _FOLLOWS:
        return None
    return "the formation energies increase with the size of the cell: they may be in eV per cell; eV/atom is expected"


def _csv_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(text))
    _refuse_twice(path, reader.fieldnames or ())
    rows: list[Mapping[str, Any]] = list(reader)
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise VaspEnergyError(
                f"{path}, entry {number}: has more cells than the header names; cells are divided by commas, numbers "
                "have a decimal point"
            )
    return rows


def _without_twice(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_twice(path, [name for name, _ in pairs])
    return dict(pairs)


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise VaspEnergyError(f"{path}: {twice[0]!r} occurs twice; each id, and each column, may occur once")


def _json_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _without_twice(path, pairs))
    except VaspEnergyError:
        raise
    except ValueError as error:
        raise VaspEnergyError(f"{path}: is not JSON: {error}") from error
    if isinstance(content, dict):
        content = [
            {"id": name, **value} if isinstance(value, dict) else {"id": name, ENERGY: value}
            for name, value in content.items()
        ]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise VaspEnergyError(f"{path}: must be an object, or a list of objects with id and {ENERGY}")
    return content


def _entry(where: str, row: Mapping[str, Any]) -> EnergyEntry:
    # an empty cell counts as missing
    given = {name: value for name, value in row.items() if name and value not in ("", None)}
    names = [str(given[name]).strip() for name in _NAMES if name in given]
    if names and ENERGY in row and ENERGY not in given:
        raise VaspEnergyError(f"{where}: {ENERGY} of {names[0]!r} is empty; give a number in eV/atom, or no entry")
    if not names or ENERGY not in given:
        raise VaspEnergyError(
            f"{where}: must have {' or '.join(_NAMES)}, and {ENERGY} (eV/atom); it has {', '.join(given) or 'nothing'} "
            "(the first line of a CSV file names the columns)"
        )
    if unknown := set(given) - {*_NAMES, ENERGY, *_OPTIONAL}:
        raise VaspEnergyError(f"{where}: {', '.join(sorted(unknown))} is not one of {', '.join(_OPTIONAL)}")
    try:
        # JSON's true must not be read as 1 eV/atom
        energy = math.nan if isinstance(given[ENERGY], bool) else float(given[ENERGY])
    except (TypeError, ValueError):
        energy = math.nan
    if not math.isfinite(energy):
        raise VaspEnergyError(f"{where}: {ENERGY} is {given[ENERGY]!r}, must be a finite number (eV/atom)")
    kind = given.get("kind")
    if kind is not None and kind not in get_args(DosKind):
        raise VaspEnergyError(f"{where}: kind is {kind!r}, must be one of {', '.join(get_args(DosKind))}")
    name = Path(names[0]).as_posix()
    material, prototype = (str(given.get(column, "")) for column in ("material", "prototype"))
    return EnergyEntry(name=name, energy=energy, kind=kind, material=material, prototype=prototype)
