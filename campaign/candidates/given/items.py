"""Split files with many crystals into items that can be read one by one in any process."""

import csv
import io
import json
import lzma
import math
import re
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any, TextIO

import ase.db
import numpy as np
from ase.io.extxyz import key_val_str_to_dict

from campaign.candidates.given.source_files import SourceFile
from campaign.candidates.structure_files import structure_kind
from campaign.candidates.structure_text import MAX_SITES, StructureFileError, open_packed

_NAMES = ("name", "id", "_id", "material_id", "mat_id", "structure_id", "entry_id", "uid", "key")
"""Columns, in any case, that may contain a crystal's name."""
_STRUCTURES = ("structure", "cif", "path", "file", "poscar", "initial_structure", "cif_file", "filename")
"""Columns, in any case, that may contain a crystal."""
_OF_FRAMES = ("lattice", "properties", "pbc", "occupancy", "spacegroup", "unit_cell", "cell_origin", "origin")
"""Lower-case keys in the comment line of an extended XYZ file that belong to the crystal itself."""
_LONGEST_TEXT = 1000
"""Characters kept of a column."""
_MOST_COLUMNS = 50


@dataclass(frozen=True)
class Item:
    """A crystal still to be read, or a file of crystals.

    Attributes
    ----------
    name
        Name of the crystal.
    place
        Its origin for messages: a file, or a file and a row.
    content
        A path, a text, a pymatgen dictionary, or an `AtomsRow`.
    columns
        Other information from its source.
    problem
        Why it cannot be read, if already known.
    """

    name: str
    place: str
    content: Any = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True)
class Frame:
    """Text of one frame of an extended XYZ file."""

    text: str


@dataclass(frozen=True)
class AtomsRow:
    """A row of an ASE database."""

    cell: np.ndarray[Any, Any]
    numbers: np.ndarray[Any, Any]
    positions: np.ndarray[Any, Any]
    pbc: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Value:
    """Content of a column of crystals, and the folder that its paths are relative to."""

    value: Any
    folder: Path


def items_of(file: SourceFile, *, column: str | None) -> Iterator[Item]:
    """Yield the crystals of a file.

    Parameters
    ----------
    column
        CSV column or JSON key with the crystal. If None, recognised by name.

    Raises
    ------
    StructureFileError
        If the file as a whole cannot be read; names it.
    """
    path = file.path
    try:
        if structure_kind(path) is not None:
            yield Item(file.name, str(path), path)
        elif file.kind == "extxyz":
            yield from _frames(file)
        elif file.kind == "ase":
            yield from _ase_rows(file)
        elif file.kind == "csv":
            yield from _csv_rows(file, column)
        elif file.kind == "jsonl":
            yield from _json_lines(file, column)
        else:
            yield from _json(file, column)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, lzma.LZMAError) as error:
        raise StructureFileError(f"{path} cannot be read: {error}") from error


def _open_text(path: Path) -> Iterator[TextIO]:
    with open_packed(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield text


def _frames(file: SourceFile) -> Iterator[Item]:
    for text in _open_text(file.path):
        numbers = count()
        for line in text:
            if not line.strip():
                continue
            number = next(numbers)
            name, place = f"{file.name}#{number}", f"{file.path} frame {number}"
            if not re.fullmatch("[0-9]{1,9}", line.strip()):
                problem = f"its first line is {line.strip()[:40]!r}; right: a number of atoms; what follows is not read"
                yield Item(name, place, problem=problem)
                return
            frame = islice(text, int(line) + 1)
            if int(line) > MAX_SITES:
                deque(frame, maxlen=0)
                yield Item(name, place, problem=f"has {int(line)} atoms; right: at most {MAX_SITES}")
            else:
                content = line + "".join(frame)
                columns = _said_in(content)
                yield Item(_name_in(columns) or name, place, Frame(content), _kept(columns))


def _said_in(frame: str) -> dict[str, Any]:
    """Return other information in the comment line of a frame; empty if the line is damaged."""
    try:
        found = key_val_str_to_dict(frame.split("\n", 2)[1])
    except (ValueError, IndexError, KeyError):
        return {}
    return {key: value for key, value in found.items() if key.lower() not in _OF_FRAMES}


def _ase_rows(file: SourceFile, kind: str = "db") -> Iterator[Item]:
    try:
        with ase.db.connect(str(file.path), type=kind) as database:
            for row in database.select():
                columns = dict(row.key_value_pairs)
                atoms = AtomsRow(*(np.array(row[each]) for each in ("cell", "numbers", "positions", "pbc")))
                name = _name_in(columns) or f"{file.name}#{row.id}"
                yield Item(name, f"{file.path} row {row.id}", atoms, _kept(columns))
    except Exception as error:  # any error of SQLite or ASE on a damaged file
        raise StructureFileError(f"{file.path} cannot be read as an ASE database: {error}") from error


def _csv_rows(file: SourceFile, column: str | None) -> Iterator[Item]:
    csv.field_size_limit(64 << 20)
    for text in _open_text(file.path):
        dialect = "excel-tab" if "\t" in (header := text.readline()) and "," not in header else "excel"
        names = next(csv.reader([header], dialect), [])
        chosen = _structure_column(names, column, file.path)
        try:
            for number, row in enumerate(csv.DictReader(text, names, dialect=dialect, restkey="more"), start=1):
                value = row.pop(chosen)
                yield _record(file, number, value, row)
        except csv.Error as error:
            raise StructureFileError(f"{file.path} cannot be read as CSV: {error}") from error


def _structure_column(names: Sequence[str], column: str | None, path: Path) -> str:
    """Return the column with the crystals."""
    if column is not None:
        if column in names:
            return column
        raise StructureFileError(
            f"{path} has no column {column!r} (candidates.structure_column); it has {', '.join(names) or 'none'}"
        )
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    if found := next((by_lower[name] for name in _STRUCTURES if name in by_lower), None):
        return found
    raise StructureFileError(
        f"{path} has no column of crystals: it has {', '.join(names)[:200] or 'none'}; right: a column cif, structure "
        "or path, or the name of the column with the crystals in candidates.structure_column"
    )


def _json_lines(file: SourceFile, column: str | None) -> Iterator[Item]:
    for text in _open_text(file.path):
        for number, line in enumerate(text, start=1):
            if line.strip():
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    name, place = f"{file.name}#{number}", f"{file.path} line {number}"
                    yield Item(name, place, problem=f"does not parse as JSON: {error}")
                    continue
                yield _json_record(file, number, record, column)


def _json(file: SourceFile, column: str | None) -> Iterator[Item]:
    try:
        with open_packed(file.path) as raw:
            content = json.load(raw)
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise StructureFileError(f"{file.path} does not parse as JSON: {error}") from error
    if isinstance(content, dict) and {"ids", "nextid"} <= content.keys():
        del content
        yield from _ase_rows(file, "json")
    elif isinstance(content, dict) and {"columns", "data"} <= content.keys():  # a pandas table, orient="split"
        chosen = _structure_column(list(map(str, content["columns"])), column, file.path)
        for number, row in enumerate(content["data"], start=1):
            record = dict(zip(map(str, content["columns"]), row, strict=False))
            yield _record(file, number, record.pop(chosen, None), record)
    elif isinstance(content, dict) and not _is_structure(content) and not _crystal_key(content, column):
        for number, (name, record) in enumerate(content.items(), start=1):
            yield _json_record(file, number, record, column, name=name)
    else:
        records = content if isinstance(content, list) else [content]
        for number, record in enumerate(records, start=1):
            yield _json_record(file, number, record, column, single=not isinstance(content, list))


def _is_structure(record: Mapping[str, Any]) -> bool:
    return "lattice" in record and "sites" in record


def _crystal_key(record: Mapping[str, Any], column: str | None) -> str | None:
    """Return the key of a record that holds its crystal."""
    if column is not None:
        return column if column in record else None
    by_lower = {str(key).lower(): key for key in record}
    return next((by_lower[name] for name in _STRUCTURES if name in by_lower), None)


def _json_record(
    file: SourceFile, number: int, record: Any, column: str | None, *, name: str | None = None, single: bool = False
) -> Item:
    named = {} if name is None else {"name": name}
    if isinstance(record, str) or (isinstance(record, dict) and _is_structure(record)):
        return _record(file, number, record, named, single=single)
    key = _crystal_key(record, column) if isinstance(record, dict) else None
    if key is None:
        place = f"{file.path} record {number}"
        problem = "contains no crystal; right: a dictionary of a pymatgen Structure, or one under the key structure"
        return Item(name or f"{file.name}#{number}", place, problem=problem)
    return _record(file, number, record[key], named | {each: record[each] for each in record if each != key})


def _record(file: SourceFile, number: int, value: Any, columns: Mapping[Any, Any], *, single: bool = False) -> Item:
    name = _name_in(columns) or (file.name if single else f"{file.name}#{number}")
    return Item(name, f"{file.path} row {number}", Value(value, file.path.parent), _kept(columns))


def _name_in(columns: Mapping[Any, Any]) -> str | None:
    by_lower = {str(key).strip().lower(): value for key, value in columns.items()}
    named = (by_lower[name] for name in _NAMES if isinstance(by_lower.get(name), str | int))
    return next((str(name).strip()[:200] for name in named if str(name).strip()), None)


def _kept(columns: Mapping[Any, Any]) -> dict[str, Any]:
    """Return columns in a form that MongoDB accepts: keys without dots and dollars, short JSON values."""
    kept: dict[str, Any] = {}
    for key, value in list(columns.items())[:_MOST_COLUMNS]:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            value = None
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
            value = str(value)
        if not (value is None or isinstance(value, bool | int | float)):
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            value = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "..."
            value = value.replace("\0", "")
        kept[str(key).replace(".", "_").replace("$", "_").replace("\0", "") or "_"] = value
    return kept
