"""Formats of an entries file: JSON or JSON lines, optionally gzipped, split into one dictionary per entry."""

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esnet.files.errors import UserError

_SUFFIXES = (".json", ".jsonl")
_RIGHT = (
    "right: a file .json, .jsonl, .json.gz or .jsonl.gz of pymatgen ComputedEntry or ComputedStructureEntry "
    'dictionaries: a list, an object {"entries": [...]}, or one a line'
)
_HEADER_KEYS = (
    *("entries", "engine", "functional", "corrections", "source", "database_version"),
    *("elements", "max_elements", "dft"),
)
_MOST_SHOWN = 20
_LARGEST_RATIO = 100


class EntriesFileError(UserError, ValueError):
    """An entries file cannot be used; `problems` lists all reasons, with entry and place if they concern one."""

    def __init__(self, path: Path, problems: Iterable[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        shown = list(self.problems[:_MOST_SHOWN])
        if len(self.problems) > _MOST_SHOWN:
            shown.append(f"and {len(self.problems) - _MOST_SHOWN} more")
        super().__init__("\n".join(f"{path}: {problem}" for problem in shown))


@dataclass(frozen=True, kw_only=True)
class RawEntries:
    """An entries file with unparsed entries.

    Attributes
    ----------
    sha256
        Checksum of the file as stored, compressed or not.
    header
        Other fields of the object form; empty for a list and for JSON lines.
    entries
        Place in the file (``line 3``, ``entry 3``, counted from 1) and content; can be iterated once.
    """

    path: Path
    sha256: str
    header: Mapping[str, Any] = field(default_factory=dict)
    entries: Iterator[tuple[str, Any]] = field(default_factory=lambda: iter(()))


def open_entries(path: Path) -> RawEntries:
    """Open a file; entries are parsed one by one, so that their structures need not be in memory together.

    Raises
    ------
    EntriesFileError
        If the file is absent, of another kind, damaged, or not of one of the forms. Invalid lines of JSON lines raise
        it during iteration.
    """
    name = path.name.lower()
    packed = name.endswith(".gz")
    kind = Path(name.removesuffix(".gz")).suffix
    if kind not in _SUFFIXES:
        raise EntriesFileError(path, [f"is no entries file by its name; {_RIGHT}"])
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise EntriesFileError(path, [f"cannot be read ({error.strerror}); {_RIGHT}"]) from error
    sha256 = hashlib.sha256(raw).hexdigest()
    try:
        content = _unpacked(raw) if packed else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise EntriesFileError(path, [f"is damaged or not compressed with gzip ({error})"]) from error
    if content is None:
        raise EntriesFileError(path, [f"unpacks to more than {_LARGEST_RATIO} times its size, as no entries do"])
    if kind == ".jsonl":
        return RawEntries(path=path, sha256=sha256, entries=_lines(path, content))
    header, entries = _whole(path, content)
    return RawEntries(path=path, sha256=sha256, header=header, entries=_numbered(entries))


def _unpacked(raw: bytes) -> bytes | None:
    """Return the uncompressed content; None if it is implausibly large."""
    largest = max(1 << 24, _LARGEST_RATIO * len(raw))
    with gzip.open(io.BytesIO(raw)) as file:
        content = file.read(largest + 1)
    return None if len(content) > largest else content


def _lines(path: Path, content: bytes) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(io.BytesIO(content), start=1):
        if line.strip():
            yield f"line {number}", _parsed(path, line, f"line {number} is")


def _numbered(entries: list[Any]) -> Iterator[tuple[str, Any]]:
    entries.reverse()
    for number in range(1, len(entries) + 1):
        yield f"entry {number}", entries.pop()  # so that its structure is not kept


def _parsed(path: Path, content: bytes, what: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise EntriesFileError(path, [f"{what} not JSON ({str(error)[:160]}); {_RIGHT}"]) from error


def _whole(path: Path, content: bytes) -> tuple[dict[str, Any], list[Any]]:
    parsed = _parsed(path, content, "is")
    if isinstance(parsed, list):
        return {}, parsed
    if not isinstance(parsed, dict) or not isinstance(parsed.get("entries"), list):
        raise EntriesFileError(path, [f"contains neither a list nor an object with a list of entries; {_RIGHT}"])
    if unknown := sorted(set(parsed) - set(_HEADER_KEYS)):
        raise EntriesFileError(path, [f"unknown key {', '.join(unknown)}; known here: {', '.join(_HEADER_KEYS)}"])
    return {key: value for key, value in parsed.items() if key != "entries"}, parsed["entries"]
