"""The densities of a data set: files of up to 1,024 samples, written one by one and read without HDF5's filters.

A chunk is one deflated sample. It is fetched as stored under HDF5's lock and inflated outside the lock, so several
threads can read at the same time.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.format import SHARD_SIZE, shard_name
from esnet.dataset.hdf5 import open_h5
from esnet.dataset.sample import DatasetError
from esnet.representation.dos import DOS_SHAPE

_NAME = "dos"
_DTYPE = np.dtype("<f4")
_SAMPLE_BYTES = _DTYPE.itemsize * int(np.prod(DOS_SHAPE))
_CHUNK_BYTES = _SAMPLE_BYTES + 1024  # incompressible data grows by 0.1 % with deflate
_DEFLATE = 1  # HDF5's identifier of this filter
_OPEN_SHARDS = 64


def create_shard(content: Any) -> None:
    """Create an empty column of densities in an HDF5 file."""
    content.create_dataset(
        _NAME,
        shape=(0, *DOS_SHAPE),
        maxshape=(SHARD_SIZE, *DOS_SHAPE),
        chunks=(1, *DOS_SHAPE),
        dtype=_DTYPE,
        compression="gzip",
        compression_opts=1,
    )


def append_sample(content: Any, dos: NDArray[np.float32]) -> None:
    """Append the densities of one sample."""
    densities = content[_NAME]
    densities.resize(len(densities) + 1, axis=0)
    densities[-1] = dos


def open_shard(file: Path) -> Any:
    """Open a file's densities for reading.

    Raises
    ------
    DatasetError
        If it is not an HDF5 file, or its densities have a layout that `inflated` would misread.
    """
    content = open_h5(file)
    shard = content.get(_NAME)
    found = None if shard is None else (shard.dtype, shard.shape[1:], shard.chunks, _filters(shard))
    if found != (_DTYPE, DOS_SHAPE, (1, *DOS_SHAPE), [_DEFLATE]):
        content.close()
        raise DatasetError(
            f"{file}: {_NAME!r} is {found or 'absent'}, must be {_DTYPE} of shape (n, 2, 1500, 9), one sample a chunk, "
            "deflated and nothing else"
        )
    return shard


def fetch(shard: Any, row: int) -> tuple[int, bytes]:
    """Return HDF5's filter mask and the stored bytes of a sample."""
    chunk: tuple[int, bytes] = shard.id.read_direct_chunk((row, 0, 0, 0))
    return chunk


def inflated(filter_mask: int, data: bytes) -> NDArray[np.float32]:
    """Return the read-only densities (2, 1500, 9) from the result of `fetch`; zlib.error or ValueError if damaged."""
    if len(data) > _CHUNK_BYTES:  # deflate expands it at most 1,032 times
        raise ValueError(f"its chunk has {len(data)} bytes, must be at most {_CHUNK_BYTES}")
    # bit 0: HDF5 skipped the only filter for this chunk, since deflate did not shrink it
    content = data if filter_mask & 1 else zlib.decompress(data, bufsize=_SAMPLE_BYTES)
    return np.frombuffer(content, dtype=_DTYPE).reshape(DOS_SHAPE)


def _filters(shard: Any) -> list[int]:
    made_with = shard.id.get_create_plist()
    return [made_with.get_filter(number)[0] for number in range(made_with.get_nfilters())]


class OpenShards:
    """The densities of one data set, with files opened on demand; safe to read from several threads.

    Parameters
    ----------
    folder
        Folder of the data set.
    ids
        Ids of all samples, for error messages.
    """

    def __init__(self, folder: Path, ids: Sequence[str]) -> None:
        self._folder, self._ids = folder, ids
        self._open: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def densities(self, place: int) -> NDArray[np.float32]:
        """Return the densities of one sample; raise DatasetError, naming it, if its file was damaged after opening."""
        number, row = divmod(place, SHARD_SIZE)
        file = self._folder / shard_name(number)
        try:
            with self._lock:
                filter_mask, data = fetch(self._shard(number, file), row)
            return inflated(filter_mask, data)
        except (OSError, ValueError, zlib.error) as error:
            raise DatasetError(f"{file}: sample {self._ids[place]!r} cannot be read: {error}") from error

    def _shard(self, number: int, file: Path) -> Any:
        """Return the densities in one file, opening it if necessary; the caller holds the lock."""
        shard = self._open.pop(number, None)
        if shard is None:
            shard = open_shard(file)
        self._open[number] = shard
        while len(self._open) > _OPEN_SHARDS:
            _, oldest = self._open.popitem(last=False)
            oldest.file.close()
        return shard
