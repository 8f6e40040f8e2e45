"""Files and folders that are there as a whole or not at all, whatever interrupts their writing."""

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
    """Return where a file lies while it is written; a killed process may leave it there."""
    return file.with_name(f".{file.name}.part")


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """Give a path to write to; the file gets its name, in place of a former one, when the block ends without error."""
    temporary = part_of(file)
    try:
        yield temporary
        _sync_file(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(file.parent)


def write_whole(file: Path, content: bytes | str) -> None:
    """Write bytes, or text as UTF-8."""
    with whole_file(file) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_folder(folder: Path, *, refuse_existing: Callable[[Path], None]) -> Iterator[Path]:
    """Give a folder to fill under a temporary name beside its own, which it gets when the block ends without error.

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
    """Wait until the written data are on the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: after a rename in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_entry(file: Path) -> dict[str, Any]:
    """Return a manifest's entry of a file: its SHA-256 and its size in bytes."""
    return {"sha256": sha256_of(file), "bytes": file.stat().st_size}


def sha256_of_json(content: Any) -> str:
    """SHA-256 of JSON types as hexadecimal digits, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256_of(file: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
