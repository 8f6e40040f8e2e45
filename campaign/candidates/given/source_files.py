"""Find the files that a path of ``candidates.as_given`` refers to, and the kind of each."""

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from campaign.candidates.structure_files import structure_kind, structure_stem
from campaign.candidates.structure_text import StructureFileError, unpacked_name

Kind = Literal["crystal", "extxyz", "ase", "json", "jsonl", "csv", "list"]

_KINDS: dict[str, Kind] = {
    **{".extxyz": "extxyz", ".xyz": "extxyz", ".db": "ase", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"},
    **{".csv": "csv", ".txt": "list", ".lst": "list"},
}
LEFT_OUT_ENDING = ".left_out.csv"
"""Ending of the file that lists the crystals left out."""
_IN_FOLDERS = ("crystal", "extxyz")
"""Kinds read from folders: tables and databases in folders are as often about crystals as collections of them."""
_RIGHT = (
    "right: a folder, a file of crystals (CIF, POSCAR, .extxyz, ASE's .db or .json, .json or .jsonl of pymatgen's "
    "structures, .csv), a .txt file with a path in each line, or a pattern such as gen/*.cif"
)


@dataclass(frozen=True)
class SourceFile:
    """A file with crystals.

    Attributes
    ----------
    path
        Path of the file.
    kind
        Format of the file.
    name
        Name of its crystals: for a file in a folder or list its relative path, without endings.
    """

    path: Path
    kind: Kind
    name: str


@dataclass(frozen=True)
class Source:
    """The files of a path of ``candidates.as_given``.

    Attributes
    ----------
    path
        The path as given.
    files
        Files with crystals, in reading order.
    missing
        Missing or unreadable entries of a list: their names and problems.
    unused
        Files of the folder that are not read.
    """

    path: Path
    files: tuple[SourceFile, ...]
    missing: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = ()


def find_source(path: Path) -> Source:
    """Find the files of a path: a folder with its subfolders, a pattern, a list, or one file.

    Raises
    ------
    StructureFileError
        If it does not exist or contains nothing readable.
    """
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:
        raise StructureFileError(f"{str(path)[:200]} cannot be read: {error.strerror}; {_RIGHT}") from error
    if is_folder:
        return _folder(path)
    if is_file:
        kind = _kind_of(path)
        if kind is None:
            raise StructureFileError(f"{path} has a name without a known file extension; {_RIGHT}")
        return _list(path) if kind == "list" else Source(path, (SourceFile(path, kind, structure_stem(path)),))
    if glob.has_magic(str(path)):
        return _pattern(path)
    raise StructureFileError(f"{path} {'cannot be read' if path.exists() else 'does not exist'}; {_RIGHT}")


def _kind_of(path: Path) -> Kind | None:
    if structure_kind(path) is not None:
        return "crystal"
    return _KINDS.get(Path(unpacked_name(path)).suffix.lower())


def _folder(folder: Path) -> Source:
    found = sorted(_files_below(folder))
    kinds = {path: _kind_of(path) if path.exists() else None for path in found}
    files = tuple(_named(path, kind, folder) for path, kind in kinds.items() if kind in _IN_FOLDERS and kind)
    unused = tuple(str(path.relative_to(folder)) for path, kind in kinds.items() if kind not in _IN_FOLDERS)
    if not files:
        there = f" (there are {', '.join(unused[:5])})" if unused else ""
        raise StructureFileError(f"{folder} has no CIF, POSCAR or extended XYZ file{there}; {_RIGHT}")
    return Source(folder, files, unused=unused)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield all files of a folder and its subfolders, following links but visiting each folder once; hidden files are
    skipped.

    Raises
    ------
    StructureFileError
        If a subfolder cannot be read, since its files would be skipped silently.
    """

    def refuse(error: OSError) -> None:
        raise StructureFileError(f"{error.filename} cannot be read: {error.strerror}") from error

    visited: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        if (real := os.path.realpath(place)) in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _named(path: Path, kind: Kind, folder: Path) -> SourceFile:
    parent = path.relative_to(folder).parent
    return SourceFile(path, kind, (parent / structure_stem(path)).as_posix())


def _pattern(pattern: Path) -> Source:
    found = sorted(Path(name) for name in glob.glob(str(pattern), recursive=True))
    base = Path(*[part for part, magic in _until_magic(pattern.parts) if not magic])
    # the program's own list of left-out crystals is not a table of crystals
    kinds = {path: _kind_of(path) for path in found if path.is_file() and not path.name.endswith(LEFT_OUT_ENDING)}
    files = tuple(_named(path, kind, base) for path, kind in kinds.items() if kind and kind != "list")
    if not files:
        raise StructureFileError(f"no readable file matches {pattern}; {_RIGHT}")
    return Source(pattern, files, unused=tuple(str(path) for path, kind in kinds.items() if kind in (None, "list")))


def _until_magic(parts: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a path, each with whether it is or follows the first pattern."""
    magic = False
    for part in parts:
        magic = magic or glob.has_magic(part)
        yield part, magic


def _list(path: Path) -> Source:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StructureFileError(
            f"{path} cannot be read: {error}; right: a text file with one path per line"
        ) from error
    entries = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not entries:
        raise StructureFileError(f"{path} is empty; right: a text file with one path per line")
    files: list[SourceFile] = []
    missing: list[tuple[str, str]] = []
    for entry in entries:
        try:
            listed = path.parent / Path(entry).expanduser()
            kind = _kind_of(listed) if listed.is_file() else None
            found = "does not exist" if not listed.exists() else "is not a file of crystals"
        except (OSError, RuntimeError, ValueError) as error:  # too long, of no user, in a folder that is closed
            missing.append((entry[:200], f"is not a readable path: {str(error)[:200]}"))
            continue
        if kind is None or kind == "list":
            missing.append((entry, f"{listed} {found}; right: a path relative to the folder of {path.name}"))
            continue
        name = Path(entry).parent / structure_stem(listed) if not Path(entry).is_absolute() else structure_stem(listed)
        files.append(SourceFile(listed, kind, Path(name).as_posix().removeprefix("./")))
    return Source(path, tuple(files), missing=tuple(missing))
