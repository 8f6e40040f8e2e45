"""Formation energies of VASP runs: from a table of the user's, or against the elements among the runs themselves."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from esnet.dataset.sample import DosKind
from esnet.files.errors import UserError
from esnet.sources.vasp_dos import VaspRun

ENERGY = "formation_energy_per_atom"
_NAMES = ("id", "path")
_OPTIONAL = ("kind", "material", "prototype")
# what a vasprun.xml writes for "no meta-GGA"
_NO_METAGGA = ("", "--", "NONE")


class VaspEnergyError(UserError, ValueError):
    """A table of energies, or a set of runs, from which formation energies cannot be taken."""


@dataclass(frozen=True, kw_only=True)
class EnergyEntry:
    """One line of a table of energies.

    Attributes
    ----------
    name
        Name or path of the folder, or path of the file, that it is about.
    energy
        Formation energy of the relaxed crystal, eV/atom.
    kind
        Of the DOS; None: the table does not say.
    material
        The same for all runs of one material.
    prototype
        Structure type; empty: unknown.
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
    def read(cls, path: Path) -> EnergyTable:
        """Read a CSV file with a header, or a JSON file.

        Parameters
        ----------
        path
            Columns (CSV), or keys of the objects of a list (JSON): ``id`` or ``path``, ``formation_energy_per_atom``
            (eV/atom, of the relaxed crystal), and, where wanted, ``kind`` (is_dos or rs_dos), ``material`` and
            ``prototype``. JSON may also be an object: name -> energy, or name -> such an object.

        Raises
        ------
        VaspEnergyError
            If the file cannot be read, lacks a column, has an energy that is no finite number, or a name twice.
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

    def find(self, file: Path) -> EnergyEntry | None:
        """Return the entry of a run, the most specific one, for the path of its output file inside the folder of runs.

        An entry is about a run if it is the path of the file, of its folder or of a folder above that, or else the name
        of one of these folders.
        """
        folders = [folder for folder in file.parents if folder != Path()]
        names = [file.as_posix(), *(folder.as_posix() for folder in folders), *(folder.name for folder in folders)]
        return next((self.entries[name] for name in names if name in self.entries), None)


def _csv_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = list(csv.DictReader(io.StringIO(text)))
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise VaspEnergyError(
                f"{path}, entry {number}: has more cells than the header names; cells are divided by commas, numbers "
                "have a decimal point"
            )
    return rows


def _json_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise VaspEnergyError(f"{path}: is no JSON: {error}") from error
    if isinstance(content, dict):
        content = [
            {"id": name, **value} if isinstance(value, dict) else {"id": name, ENERGY: value}
            for name, value in content.items()
        ]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise VaspEnergyError(f"{path}: must be an object, or a list of objects with id and {ENERGY}")
    return content


def _entry(where: str, row: Mapping[str, Any]) -> EnergyEntry:
    # an empty cell is a cell that is not there
    given = {name: value for name, value in row.items() if name and value not in ("", None)}
    names = [str(given[name]).strip() for name in _NAMES if name in given]
    if not names or ENERGY not in given:
        raise VaspEnergyError(
            f"{where}: must have {' or '.join(_NAMES)}, and {ENERGY} (eV/atom); it has {', '.join(given) or 'nothing'}"
        )
    if unknown := set(given) - {*_NAMES, ENERGY, *_OPTIONAL}:
        raise VaspEnergyError(f"{where}: {', '.join(sorted(unknown))} is not one of {', '.join(_OPTIONAL)}")
    try:
        energy = float(given[ENERGY])
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


@dataclass
class ElementalReferences:
    """Total energies of the elements, and the settings under which all of them were computed.

    Attributes
    ----------
    energies
        Element -> lowest energy of its runs, eV/atom.
    sources
        Element -> file of that run.
    settings
        What all runs have in common, and for each element its POTCAR and its Hubbard U (see `_settings_of`).
    """

    energies: dict[str, float] = field(default_factory=dict)
    sources: dict[str, Path] = field(default_factory=dict)
    settings: dict[str, tuple[Any, Path]] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Iterable[VaspRun]) -> ElementalReferences:
        """Take the references from those of the runs that have a single element.

        Raises
        ------
        VaspEnergyError
            If two runs differ in the functional, the cutoff, or an element's POTCAR or U: their energies are not
            differences of anything. It names the setting and both files.
        """
        references = cls()
        for run in runs:
            references._check(run)
            if len(run.composition) == 1 and run.energy is not None:
                (element,) = run.composition
                per_atom = run.energy / run.n_sites
                if per_atom < references.energies.get(element, math.inf):
                    references.energies[element], references.sources[element] = per_atom, run.path
        return references

    def missing(self, run: VaspRun) -> list[str]:
        """Elements of a run that no run of the pure element gives an energy for."""
        return sorted(set(run.composition) - set(self.energies))

    def formation_energy(self, run: VaspRun) -> float:
        """Formation energy of a run's structure, eV/atom.

        Raises
        ------
        VaspEnergyError
            If the run has no energy, or an element has no reference; it names them.
        """
        if run.energy is None:
            raise VaspEnergyError(f"{run.path}: has no finite total energy")
        if missing := self.missing(run):
            raise VaspEnergyError(
                f"{run.path}: no run of pure {', '.join(missing)} in the folder to refer its formation energy to; "
                "add one, or give the energies in a table"
            )
        elements = sum(count * self.energies[element] for element, count in run.composition.items())
        return (run.energy - elements) / run.n_sites

    def _check(self, run: VaspRun) -> None:
        for name, value in _settings_of(run).items():
            known, path = self.settings.setdefault(name, (value, run.path))
            if known != value:
                raise VaspEnergyError(
                    f"energies of different settings cannot be subtracted: {name} is {known} in {path} and "
                    f"{value} in {run.path}; read the runs of one kind only (a pattern), or give a table of energies"
                )


def _settings_of(run: VaspRun) -> dict[str, Any]:
    """Return the settings that total energies must share: functional, cutoff, and each element's POTCAR and U.

    As in pymatgen, ``GGA = --`` means the functional of the POTCARs, which is PBE for those of the PBE set.
    """
    tags = {**run.parameters, **run.incar}
    gga, metagga = (str(tags.get(name, "--")).strip().upper() for name in ("GGA", "METAGGA"))
    if gga in ("", "--") and run.potcars and all(titel.startswith("PAW_PBE") for titel in run.potcars):
        gga = "PE"
    hybrid = bool(tags.get("LHFCALC", False))
    settings = {
        "GGA": gga,
        "METAGGA": "none" if metagga in _NO_METAGGA else metagga,
        "LHFCALC": (hybrid, tags.get("AEXX"), tags.get("HFSCREEN")) if hybrid else hybrid,
        "LUSE_VDW": bool(tags.get("LUSE_VDW", False)),
        "IVDW": int(tags.get("IVDW", 0)),
        "ENCUT": run.parameters.get("ENMAX", tags.get("ENCUT")),
    }
    settings |= {f"POTCAR of {_element_of(titel)}": titel for titel in run.potcars}
    elements = run.structure.elements
    values = _list(tags.get("LDAUU")) if tags.get("LDAU") else [0.0] * len(elements)
    if len(values) != len(elements):
        return settings | {"LDAUU": values}
    return settings | {f"Hubbard U of {element}": value for element, value in zip(elements, values, strict=True)}


def _element_of(titel: str) -> str:
    """Return ``Fe`` of ``PAW_PBE Fe_pv 02Aug2007``; the whole title where it is not made like that."""
    words = titel.split()
    return words[1].partition("_")[0] if len(words) > 1 else titel


def _list(value: Any) -> list[float]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
