"""A folder of results: there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esnet.errors import UserError


class OutputExistsError(UserError, FileExistsError):
    """Something is there already; results are never overwritten."""


def refuse_existing_output(folder: Path | str) -> None:
    """Raise OutputExistsError, saying what to do, if something is there already."""
    path = Path(folder)
    if path.exists() or path.is_symlink():
        raise OutputExistsError(f"{path} exists: results are never overwritten; name another folder with --output")


@contextmanager
def new_output_folder(folder: Path | str) -> Iterator[Path]:
    """Give a folder to fill, which gets its name when the block ends without an exception.

    Parameters
    ----------
    folder
        The folder to make. It is filled beside it under a temporary name.

    Raises
    ------
    OutputExistsError
        If ``folder`` is there, before the block or after it.
    """
    path = Path(folder)
    refuse_existing_output(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        # mkdtemp makes it private
        temporary.chmod(0o755)
        refuse_existing_output(path)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: after a rename in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
