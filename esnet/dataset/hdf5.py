"""HDF5 files of a data set: opened for reading, or built in memory and written in one step."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from esnet.dataset.sample import DatasetError
from esnet.files.errors import require

_CACHE = 4_000_000
_DEFLATE = 1032
"""Largest ratio of inflated to deflated size."""


def open_h5(file: Path, *, cached: bool = False) -> Any:
    """Open an HDF5 file for reading; raise DatasetError, naming the file, if it is not one.

    Parameters
    ----------
    cached
        Whether inflated chunks are cached (4 MB of each column), for data read in many small pieces.
    """
    h5py = require("h5py", extra="esnet")
    try:
        # densities are fetched without the chunk cache
        return h5py.File(file, "r", rdcc_nbytes=_CACHE if cached else 0)
    except OSError as error:
        raise DatasetError(f"{file} cannot be read as HDF5: {error}") from error


def mistake_in(column: Any, dtype: str | None, row: tuple[int, ...], least: int, most: int) -> str | None:
    """Return what is wrong with the layout of a column, or None; the column itself is not read.

    HDF5 reads unwritten rows as zeros, so a small file can claim any number of rows and exhaust the reader's memory.

    Parameters
    ----------
    dtype
        Type of the numbers; None for text.
    row
        Shape of a row.
    least, most
        Smallest and largest allowed number of rows.
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
    """An HDF5 file in memory until it is written.

    HDF5 1.14 crashes with a segmentation fault when it closes a file on a full disk or over quota. Here Python writes
    the file, and raises OSError instead.

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
        """Close the content and write it; raise DatasetError, naming the file, if writing fails."""
        self.content.close()
        try:
            file.write_bytes(self._buffer.getbuffer())
        except OSError as error:
            raise DatasetError(f"{file} cannot be written: {error.strerror or error}") from error
