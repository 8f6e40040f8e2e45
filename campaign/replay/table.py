"""Known data for a replay from a CSV or JSONL file (columns: docs/how-to/replay.md)."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pymatgen.core import Composition, Element

from campaign.candidates.structure_files import list_structure_folder, read_structure_file
from campaign.candidates.structure_text import StructureFileError
from campaign.config.wording import format_count
from campaign.policies.cost_model import PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S, valence_electrons
from campaign.replay.candidate import KnownCandidate
from campaign.replay.columns import COLUMNS, PRICE, check_columns, column_of, scorers_of
from campaign.replay.data import ReplayData, ReplayDataError
from campaign.replay.hull import ELEMENTS_ONLY, hull_energies
from campaign.replay.rows import Row, read_rows

UNPHYSICAL = "unphysical"
_ENERGIES = ("e_form", "e_hull", "e_form_ml", "e_hull_ml")
_ENERGY = (-20.0, 20.0, "a number between -20 and 20 (eV/atom)")
_POSITIVE = (math.ulp(0.0), 20.0, "a number above 0, at most 20 (eV/atom)")
_COST = (0.0, 1e12, "a number of CPU-s, 0 or more")


@dataclass
class _Reader:
    """Reads values and collects problems; each getter returns None for a missing or wrong value."""

    path: Path
    problems: list[str] = field(default_factory=list)
    compositions: dict[str, Composition | None] = field(default_factory=dict)

    def problem(self, row: Row, column: str, found: object, right: str) -> None:
        name = f" ({row.values['id']})" if "id" in row.values and column != "id" else ""
        self.problems.append(f"line {row.line}{name}: {column}: found {found}; right: {right}")

    def number(self, row: Row, column: str, limits: tuple[float, float, str]) -> float | None:
        """Return the number in a column; None if empty or wrong."""
        if column not in row.values:
            return None
        value, (least, most, right) = row.values[column], limits
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not least <= number <= most:
            self.problem(row, column, repr(value), f"{right}; empty where there is none")
            return None
        return number

    def required(self, row: Row, column: str, limits: tuple[float, float, str]) -> float | None:
        if column not in row.values:
            self.problem(row, column, "nothing", limits[2])
        return self.number(row, column, limits)

    def flag(self, row: Row, column: str) -> bool:
        value = row.values.get(column, False)
        known = {"true": True, "false": False, "1": True, "0": False}
        if str(value).lower() not in known:
            self.problem(row, column, repr(value), "true or false")
        return known.get(str(value).lower(), False)

    def composition(self, row: Row, structures: Mapping[str, Path]) -> tuple[Composition, int | None] | None:
        """Return the composition of the cell, and its number of atoms if given by a structure; None if unknown."""
        for column in ("formula", "composition"):
            if column in row.values:
                text = json.dumps(row.values[column], sort_keys=True, default=str)
                if text not in self.compositions:
                    self.compositions[text] = _composition(row.values[column])
                found = self.compositions[text]
                if found is None:
                    self.problem(row, column, repr(row.values[column]), "a formula of elements, e.g. Al2Pd2")
                return None if found is None else (found, None)
        file = structures.get(str(row.values.get("id")))
        if file is None:
            self.problem(row, "formula", "nothing", "a formula, or --structures DIR with a file named after the id")
            return None

        try:
            crystals = read_structure_file(file)
        except StructureFileError as error:
            self.problems.append(f"line {row.line}: {file}: {error}")
            return None
        if len(crystals) > 1:
            self.problems.append(f"line {row.line}: {file}: has {len(crystals)} crystals; right: one, that of the row")
            return None
        return crystals[0].structure.composition, len(crystals[0].structure)


def read_replay_table(
    path: Path, *, structures: Path | None = None, references: Path | None = None, leave_out: Sequence[str] = ()
) -> ReplayData:
    """Read known data from a CSV file (with a header line; lines that begin with # are skipped) or a JSONL file.

    Parameters
    ----------
    path
        ``.jsonl`` and ``.ndjson`` are read as JSONL, everything else as CSV.
    structures
        Folder of CIF or POSCAR files named by id, for rows without a formula.
    references
        Reference entries for E_hull if the file has none; formation energies must be relative to the same elements.
    leave_out
        Ids of rows to leave out; ``unphysical`` also leaves out rows with an energy that no crystal can have.

    Raises
    ------
    ReplayDataError
        Lists all problems with line, column, what was found and what would be right.
    StructureFileError
        If the folder cannot be used.
    MissingElementError
        If the references lack an element.
    """
    rows, columns = read_rows(path)
    notes = check_columns(path, columns, has_structures=structures is not None, has_references=references is not None)
    files = {} if structures is None else list_structure_folder(structures).by_stem()
    reader = _Reader(path)
    rows, left_out = _left_out(reader, rows, leave_out)
    notes += left_out
    scorers = scorers_of(columns)
    priced = [scorer for scorer in scorers if column_of(PRICE, scorer) in columns]
    parsed = [found for row in rows if (found := _parsed(reader, row, files, scorers, priced)) is not None]
    reader.problems += _repeated(rows)
    if reader.problems:
        raise ReplayDataError(path, reader.problems)
    if any("e_hull" not in row.row.values and not row.failed for row in parsed):
        notes += [ELEMENTS_ONLY] if references is None else []
    by_scorer = _candidates(reader, parsed, references, scorers)
    column = column_of("uncertainty", "NAME" if "" not in by_scorer else "")
    return ReplayData(
        candidates=next(iter(by_scorer.values())),
        scorers={} if "" in by_scorer else by_scorer,
        source=str(path),
        notes=tuple(notes),
        uncertainty_from=f"a column {column} ({COLUMNS['uncertainty']})",
    )


def _left_out(reader: _Reader, rows: Sequence[Row], leave_out: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Return the remaining rows, and a note that names the others."""
    names = set(leave_out) - {UNPHYSICAL}
    if unknown := sorted(names - {str(row.values.get("id")) for row in rows}):
        reader.problems.append(f"--leave-out {', '.join(unknown)}: there is no row with that id")
    stay, notes = [], []
    for row in rows:
        named = [key for key in row.values if key.split(":")[0].strip() in _ENERGIES]
        energies = {key: row.values[key] for key in named if UNPHYSICAL in leave_out and _is_unphysical(row, key)}
        if energies or str(row.values.get("id")) in names:
            why = ", ".join([f"line {row.line}", *(f"{key} {value}" for key, value in energies.items())])
            notes.append(f"{row.values.get('id', 'without an id')} ({why})")
        else:
            stay.append(row)
    if rows and not stay:
        reader.problems.append("--leave-out leaves no row")
    return stay, [f"{format_count(len(notes), 'row')} left out: {', '.join(notes)}"] if notes else []


def _is_unphysical(row: Row, column: str) -> bool:
    """Whether a column contains a finite number that no crystal can have."""
    try:
        number = float(row.values[column])
    except (KeyError, TypeError, ValueError):
        return False
    return math.isfinite(number) and not _ENERGY[0] <= number <= _ENERGY[1]


class _Parsed(NamedTuple):
    """A valid row, possibly without E_hull."""

    row: Row
    composition: Composition
    n_sites: int
    failed: bool
    numbers: dict[str, float | None]


def _parsed(
    reader: _Reader, row: Row, structures: Mapping[str, Path], scorers: Sequence[str], priced: Sequence[str]
) -> _Parsed | None:
    before = len(reader.problems)
    failed = reader.flag(row, "relaxation_failed")
    if "id" not in row.values:
        reader.problem(row, "id", "nothing", COLUMNS["id"])
    numbers = {
        "e_form": (reader.number if failed else reader.required)(row, "e_form", _ENERGY),
        "e_hull": reader.number(row, "e_hull", _ENERGY),
        "dos_cpu_s": reader.number(row, "dos_cpu_s", _COST),
        "relax_cpu_s": reader.number(row, "relax_cpu_s", _COST),
    }
    for scorer in scorers:
        for name, limits in (("e_form_ml", _ENERGY), ("e_hull_ml", _ENERGY), ("uncertainty", _POSITIVE)):
            column = column_of(name, scorer)
            numbers[column] = reader.number(row, column, limits)
    for column in (column_of(PRICE, scorer) for scorer in priced):
        # the cost of an IS-DOS would be a hundred times too much for a potential
        numbers[column] = reader.required(row, column, _COST)
    sites = reader.number(row, "n_sites", (1, 1e6, "a whole number above 0"))
    if sites is not None and sites != int(sites):
        reader.problem(row, "n_sites", repr(row.values["n_sites"]), "a whole number above 0")
    found = reader.composition(row, structures)
    if found is None or len(reader.problems) > before:
        return None
    composition, atoms = found
    n_sites = int(sites) if sites is not None else atoms or max(1, round(composition.num_atoms))
    return _Parsed(row, composition, n_sites, failed, numbers)


def _candidates(
    reader: _Reader, parsed: Sequence[_Parsed], references: Path | None, scorers: Sequence[str]
) -> dict[str, tuple[KnownCandidate, ...]]:
    """Return the candidates as each scorer predicts them, with hulls missing from the file.

    Since the hull is known, it follows from the true energies and gives E_hull(ML) if there is no such column.
    """
    # with hulls derived from the true energies, the hull of a row without them is unknown
    own_hull = any(row.numbers["e_hull"] is not None for row in parsed)
    computed = hull_energies([row.composition for row in parsed], references)
    candidates: dict[str, list[KnownCandidate]] = {scorer: [] for scorer in scorers}
    for row, hull in zip(parsed, computed, strict=True):
        if own_hull and row.numbers["e_hull"] is None and not row.failed:
            reader.problem(row.row, "e_hull", "nothing", "a number in every row (eV/atom), or no such column")
        for scorer in scorers:
            candidates[scorer].append(_candidate(reader, row, float(hull), scorer, own_hull=own_hull))
    if reader.problems:
        raise ReplayDataError(reader.path, reader.problems)
    return {scorer: tuple(found) for scorer, found in candidates.items()}


def _candidate(reader: _Reader, row: _Parsed, hull: float, scorer: str, *, own_hull: bool) -> KnownCandidate:
    given = row.numbers
    e_form, e_hull = given["e_form"], given["e_hull"]
    e_form_ml, e_hull_ml, uncertainty = (
        given[column_of(name, scorer)] for name in ("e_form_ml", "e_hull_ml", "uncertainty")
    )
    known_hull = hull if e_form is None or e_hull is None else e_form - e_hull
    if e_form_ml is not None and e_hull_ml is None:
        if own_hull and (e_form is None or e_hull is None):
            right = "a number (eV/atom): without e_form and e_hull, the hull at its composition is unknown"
            reader.problem(row.row, column_of("e_hull_ml", scorer), "nothing", right)
        e_hull_ml = e_form_ml - known_hull
    e_form = math.nan if e_form is None else e_form
    amounts = row.composition.get_el_amt_dict()
    scale = row.n_sites / row.composition.num_atoms
    dos_cpu_s = PUBLISHED_DOS_CPU_S if given["dos_cpu_s"] is None else given["dos_cpu_s"]
    price = given.get(column_of(PRICE, scorer))
    return KnownCandidate(
        id=str(row.row.values["id"]),
        composition={symbol: count * scale for symbol, count in amounts.items()},
        e_form_ml=math.nan if e_form_ml is None else e_form_ml,
        e_hull_ml=math.nan if e_hull_ml is None else e_hull_ml,
        uncertainty=uncertainty,
        e_form=e_form,
        e_hull=e_form - known_hull if e_hull is None else e_hull,
        n_sites=row.n_sites,
        n_electrons=valence_electrons({symbol: count * scale for symbol, count in amounts.items()}),
        dos_cpu_s=dos_cpu_s if price is None else price,
        relax_cpu_s=PUBLISHED_RELAX_CPU_S if given["relax_cpu_s"] is None else given["relax_cpu_s"],
        relaxation_failed=row.failed,
    )


def _composition(value: Any) -> Composition | None:
    try:
        found = Composition(value)
    except (ValueError, TypeError, AttributeError):
        return None
    # pymatgen reads X2 as two dummy atoms, and Al0 as nothing
    usable = found.num_atoms > 0 and all(isinstance(element, Element) for element in found.elements)
    return found if usable else None


def _repeated(rows: Sequence[Row]) -> list[str]:
    first: dict[str, int] = {}
    problems = []
    for row in rows:
        name = str(row.values.get("id", ""))
        if name and name in first:
            problems.append(f"line {row.line}: id: found {name!r}, as in line {first[name]}; right: all different")
        first.setdefault(name, row.line)
    return problems
