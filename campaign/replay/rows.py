"""Rows of a CSV or JSONL file, with their line numbers."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from campaign.replay.data import ReplayDataError


class Row(NamedTuple):
    """A row with its last line number in the file, and its non-empty values."""

    line: int
    values: Mapping[str, Any]


def read_rows(path: Path) -> tuple[list[Row], list[str]]:
    """Read all rows and the names of all columns.

    Raises
    ------
    ReplayDataError
        If the file cannot be read, is not of the kind its name implies, or has no row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ReplayDataError(path, [f"cannot be read ({reason}); right: a CSV or JSONL file"]) from error
    is_jsonl = path.suffix.lower() in (".jsonl", ".ndjson")
    rows, columns = (_jsonl_rows if is_jsonl else _csv_rows)(path, text)
    if not rows:
        raise ReplayDataError(path, ["has no rows; right: a header line and a row for each candidate"])
    return rows, columns


def _csv_rows(path: Path, text: str) -> tuple[list[Row], list[str]]:
    line = 0

    def lines() -> Iterator[str]:
        nonlocal line
        for line, content in enumerate(text.splitlines(keepends=True), start=1):  # noqa: B007 (the row's line)
            if content.strip() and not content.startswith("#"):
                yield content

    reader = csv.reader(lines(), strict=True)
    rows: list[Row] = []
    header: list[str] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if repeated := sorted({name for name in header if header.count(name) > 1}):
            raise ReplayDataError(path, [f"line {line}: columns {', '.join(repeated)} are given twice; give each once"])
        for cells in reader:
            if len(cells) != len(header):
                problem = f"line {line}: found {len(cells)} cells; right: {len(header)}, as the header line has"
                raise ReplayDataError(path, [problem])
            values = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
            rows.append(Row(line, values))
    except csv.Error as error:
        raise ReplayDataError(path, [f"line {line}: not CSV: {error}"]) from error
    return rows, header


def _jsonl_rows(path: Path, text: str) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(content)
        except ValueError as error:
            raise ReplayDataError(path, [f"line {line}: not JSON: {error}"]) from error
        if not isinstance(values, dict):
            raise ReplayDataError(path, [f"line {line}: found {content[:60]}; right: one JSON object per line"])
        rows.append(Row(line, {key: value for key, value in values.items() if value is not None and value != ""}))
    return rows, list(dict.fromkeys(key for row in rows for key in row.values))
