"""Folders of results, written atomically."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from esnet.files.atomic import whole_folder
from esnet.files.errors import UserError


class OutputExistsError(UserError, FileExistsError):
    """The output already exists; results are never overwritten."""


class OutputPlaceError(UserError, NotADirectoryError):
    """A folder cannot be created at the given path."""


def refuse_existing_output(folder: Path | str) -> None:
    """Raise OutputExistsError or OutputPlaceError, with a remedy, if the folder exists or cannot be created."""
    path = Path(folder)
    if path.exists() or path.is_symlink():
        raise OutputExistsError(f"{path} exists: results are never overwritten; name another folder")
    above = next(parent for parent in path.absolute().parents if parent.exists() or parent.is_symlink())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        what = "may not be written to" if above.is_dir() else "is not a folder"
        raise OutputPlaceError(f"{path} cannot be made: {above} {what}; name another folder")


def new_output_folder(folder: Path | str) -> AbstractContextManager[Path]:
    """Yield a temporary folder, which is renamed to its final name when the block ends without an exception.

    Raises
    ------
    OutputExistsError
        If ``folder`` exists before or after the block.
    """
    return whole_folder(Path(folder), refuse_existing=refuse_existing_output)
