"""HDF5 files of a data set: opened to read, or made in memory and written at once."""

import io
from pathlib import Path
from typing import Any

from esnet.dataset.sample import DatasetError
from esnet.files.errors import require

_CACHE = 4_000_000


def open_h5(file: Path, *, cached: bool = False) -> Any:
    """Open an HDF5 file to read; DatasetError, naming it, where it is none.

    Parameters
    ----------
    cached
        Whether inflated chunks are held (4 MB of each column), for what is read in many small pieces.
    """
    h5py = require("h5py", extra="esnet")
    try:
        # else no cache of chunks: densities are fetched past it
        return h5py.File(file, "r", rdcc_nbytes=_CACHE if cached else 0)
    except OSError as error:
        raise DatasetError(f"{file} cannot be read as HDF5: {error}") from error


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
