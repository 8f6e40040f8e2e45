"""A folder of results: there as a whole or not at all."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from esnet.files.atomic import whole_folder
from esnet.files.errors import UserError


class OutputExistsError(UserError, FileExistsError):
    """Something exists there already; results are never overwritten."""


class OutputPlaceError(UserError, NotADirectoryError):
    """A folder cannot be made where it should be."""


def refuse_existing_output(folder: Path | str) -> None:
    """Raise OutputExistsError or OutputPlaceError, saying what to do, if the folder is there or cannot be made."""
    path = Path(folder)
    if path.exists() or path.is_symlink():
        raise OutputExistsError(f"{path} exists: results are never overwritten; name another folder")
    above = next(parent for parent in path.absolute().parents if parent.exists() or parent.is_symlink())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        what = "may not be written to" if above.is_dir() else "is not a folder"
        raise OutputPlaceError(f"{path} cannot be made: {above} {what}; name another folder")


def new_output_folder(folder: Path | str) -> AbstractContextManager[Path]:
    """Give a folder to fill under a temporary name, which gets its own when the block ends without an exception.

    Raises
    ------
    OutputExistsError
        If ``folder`` is there, before the block or after it.
    """
    return whole_folder(Path(folder), refuse_existing=refuse_existing_output)
