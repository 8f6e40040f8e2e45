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
    """Return the path of a file while it is being written; a killed process may leave it behind."""
    return file.with_name(f".{file.name}.part")


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces the file when the block ends without error."""
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
    """Yield a temporary folder that is renamed to its final name when the block ends without error.

    ``refuse_existing`` is called with ``folder`` before the block and after it; it raises if something is there.
    """
    refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync_file(file)
        # mkdtemp makes it private; other users of a cluster may read it
        temporary.chmod(0o755)
        refuse_existing(folder)
        temporary.rename(folder)
    finally:
        # after the rename there is nothing under this name
        shutil.rmtree(temporary, ignore_errors=True)
    _sync_folder(folder.parent)


def _sync_file(file: Path) -> None:
    """Flush the data of a file to the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk after a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_entry(file: Path) -> dict[str, Any]:
    """Return a file's entry of a manifest: SHA-256 and size in bytes."""
    return {"sha256": sha256_of(file), "bytes": file.stat().st_size}


def sha256_of_json(content: Any) -> str:
    """Return the SHA-256 of JSON types as hexadecimal digits, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
