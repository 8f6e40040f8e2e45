"""Atomic writing of files and folders, safe against interruption."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def part_of(file: Path) -> Path:
    """Return the temporary path of a file while it is being written, which a killed process may leave behind."""
    return file.with_name(f".{file.name}.part")


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to the file when the block ends without an error."""
    temporary = part_of(file)
    try:
        yield temporary
        _sync_file(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(file.parent)


def write_whole(file: Path, content: bytes | str) -> None:
    """Write bytes, or text as UTF-8, atomically."""
    with whole_file(file) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_folder(folder: Path, *, refuse_existing: Callable[[Path], None]) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to its final name when the block ends without an error.

    ``refuse_existing`` is called with ``folder`` before and after the block, and raises an error if it exists.
    """
    refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync_file(file)
        # mkdtemp makes it private, but other users of a cluster may read the result
        temporary.chmod(0o755)
        refuse_existing(folder)
        temporary.rename(folder)
    finally:
        # nothing is left under this name after the rename
        shutil.rmtree(temporary, ignore_errors=True)
    _sync_folder(folder.parent)


def _sync_file(file: Path) -> None:
    """Flush the data of a file to disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk after a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_entry(file: Path) -> dict[str, Any]:
    """Return the entry of a file in a manifest: SHA-256 and size in bytes."""
    return {"sha256": sha256_of(file), "bytes": file.stat().st_size}


def sha256_of_json(content: Any) -> str:
    """Return the SHA-256 of JSON types as hexadecimal digits, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
