"""Results as JSON, CSV or Parquet, written row by row so that 100,000 candidates are never in memory together."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from campaign.store.collections import in_chunks
from campaign.views.export.cells import csv_line
from campaign.views.export.full_rows import STRUCTURES, FullRow, column_names
from campaign.views.export.selection import plain_structure
from campaign.views.results import plain_json
from esnet.files.errors import require

_UNITS = {
    **dict.fromkeys(
        ("e_form_ml", "e_hull_ml", "e_form_dft", "e_hull_dft", "uncertainty", "e_form_raw", "e_hull_raw"), "eV/atom"
    ),
    "cpu_s": "CPU-s",
}
_ROW_GROUP = 1000
_KINDS = {
    **dict.fromkeys(("rank", "n_sites", "space_group_number", "relaxed_space_group_number"), "int64"),
    **dict.fromkeys(("stable", "novel", "near_threshold"), "bool_"),
    **dict.fromkeys(_UNITS, "float64"),
}
"""Types of the columns of a Parquet file, also for empty columns; all others are text."""


def json_texts(rows: Iterable[FullRow], *, structures: bool) -> Iterator[str]:
    """Yield pieces of a JSON list of objects, one object a line; structures are pymatgen's dictionaries."""
    before = "[\n"
    for row in rows:
        yield before + _json(row_as_dict(row, structures=structures))
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _json(values: dict[str, Any]) -> str:
    try:
        return json.dumps(values, allow_nan=False)
    except ValueError:  # a property of a site that is not a number
        return json.dumps(plain_json(values), allow_nan=False)


def csv_texts(rows: Iterable[FullRow], *, structures: bool) -> Iterator[str]:
    """Yield lines of a CSV file with a header; structures are CIF texts, empty if missing."""
    names = column_names(structures=structures)
    yield csv_line(names)
    for row in rows:
        values = row_as_dict(row, structures=structures)
        for name in STRUCTURES if structures else ():
            values[name] = values[name] and cif_text(plain_structure(values[name]))
        yield csv_line([values[name] for name in names], names)


def row_as_dict(row: FullRow, *, structures: bool) -> dict[str, Any]:
    """Return the columns of a row by name."""
    return {name: getattr(row, name) for name in column_names(structures=structures)}


def cif_text(structure: Structure) -> str:
    """Return a structure as CIF in P 1, with all atoms and no symmetry that would round their positions."""
    return str(CifWriter(structure, significant_figures=10))


def write_parquet(rows: Iterable[FullRow], file: Path, *, structures: bool) -> int:
    """Write a Parquet file and return the number of its rows; structures and source columns are JSON texts in it.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    """
    arrow, parquet = require("pyarrow", extra="parquet"), require("pyarrow.parquet", extra="parquet")
    schema = _schema(arrow, structures=structures)
    written = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for part in in_chunks(rows, _ROW_GROUP):
            table = [_flat(row_as_dict(row, structures=structures)) for row in part]
            writer.write_table(arrow.Table.from_pylist(table, schema=schema))
            written += len(part)
    return written


def _schema(arrow: ModuleType, *, structures: bool) -> Any:
    columns = []
    for name in column_names(structures=structures):
        unit = _UNITS.get(name)
        kind = getattr(arrow, _KINDS.get(name, "string"))()
        columns.append(arrow.field(name, kind, metadata=None if unit is None else {"unit": unit}))
    return arrow.schema(columns)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _json(value) if isinstance(value, dict) else value for name, value in values.items()}
