"""HDF5 files of a data set: opened for reading, or built in memory and written in one go."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from esnet.dataset.sample import DatasetError
from esnet.files.errors import require

_CACHE = 4_000_000
_DEFLATE = 1032
"""Bytes that deflate makes of one, at most."""


def open_h5(file: Path, *, cached: bool = False) -> Any:
    """Open an HDF5 file to read; DatasetError, naming it, where it is none.

    Parameters
    ----------
    cached
        Whether inflated chunks are cached (4 MB of each column), for data read in many small pieces.
    """
    h5py = require("h5py", extra="esnet")
    try:
        # else no cache of chunks: densities are fetched past it
        return h5py.File(file, "r", rdcc_nbytes=_CACHE if cached else 0)
    except OSError as error:
        raise DatasetError(f"{file} cannot be read as HDF5: {error}") from error


def mistake_in(column: Any, dtype: str | None, row: tuple[int, ...], least: int, most: int) -> str | None:
    """Report problems of a column before any of it is read; None: nothing.

    HDF5 reads rows that were never written as zeros, so that a small file can state any number of rows, and fill the
    memory of its reader.

    Parameters
    ----------
    dtype
        Of the numbers; None: text.
    row
        Shape of a row.
    least, most
        Limits of the number of rows.
    """
    if dtype is not None and column.dtype != np.dtype(dtype):
        return f"is {column.dtype}, must be {np.dtype(dtype)}"
    if column.shape is None or column.shape[1:] != row or not column.shape:
        return f"has the shape {column.shape}, must be (rows, {', '.join(map(str, row))})"
    n_rows = len(column)
    if not least <= n_rows <= most:
        return f"{n_rows} rows, must be {least if least == most else f'{least} to {most}'}"
    chunk = math.prod(column.chunks or ()) * column.dtype.itemsize
    if n_rows and max(column.nbytes, chunk) > _DEFLATE * column.id.get_storage_size():
        return "states more rows than the file holds"
    return None


class NewH5:
    """An HDF5 file that is in memory until it is written.

    The library of HDF5 1.14 dies of a segmentation fault when it closes a file whose disk is full or whose quota is
    used up. Here the disk is Python's, which raises OSError.

    Attributes
    ----------
    content
        The open ``h5py.File``.
    """

    def __init__(self) -> None:
        h5py = require("h5py", extra="esnet")
        self._buffer = io.BytesIO()
        self.content: Any = h5py.File(self._buffer, "w")

    def write(self, file: Path) -> None:
        """Close the content and write it; DatasetError, naming the file, where the disk does not take it."""
        self.content.close()
        try:
            file.write_bytes(self._buffer.getbuffer())
        except OSError as error:
            raise DatasetError(f"{file} cannot be written: {error.strerror or error}") from error
