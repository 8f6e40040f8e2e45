"""The crystals of a data set: writing and reading the file ``structures.h5``.

Each crystal is stored once, however many samples share it (an IS-DOS and an RS-DOS of one material share both):
``initial`` and ``relaxed`` hold the index of each sample's crystal, or -1. The sites of all crystals are concatenated
in ``element`` and ``coords``, and ``n_sites`` is their number per crystal.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.crystals import WHICH, Crystal, Which
from esnet.dataset.hdf5 import NewH5, mistake_in, open_h5
from esnet.dataset.sample import DatasetError, Sample
from esnet.representation.composition import N_ELEMENTS

if TYPE_CHECKING:
    from pymatgen.core import Structure

_NONE = -1

#: dtype, shape of a row, rows per chunk
_COLUMNS: dict[str, tuple[str, tuple[int, ...], int]] = {
    **dict.fromkeys(WHICH, ("<i8", (), 4096)),
    "n_sites": ("<u4", (), 4096),
    "lattice": ("<f8", (3, 3), 256),
    "element": ("u1", (), 8192),
    "coords": ("<f8", (3,), 1024),
}


class StructureWriter:
    """Writes the crystals of samples as they are added.

    Keeps the deflated crystals in memory, with about 100 bytes of overhead for each.

    Attributes
    ----------
    counts
        Number of samples with each crystal, by `esnet.dataset.crystals.WHICH`.
    file
        File with all data flushed so far.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = dict.fromkeys(WHICH, 0)
        self.file = NewH5()
        self._rows: dict[bytes, int] = {}
        self._new: list[Crystal] = []
        self._places: dict[str, list[int]] = {which: [] for which in WHICH}
        for name, (dtype, shape, rows) in _COLUMNS.items():
            self.file.content.create_dataset(
                name,
                shape=(0, *shape),
                maxshape=(None, *shape),
                chunks=(rows, *shape),
                dtype=dtype,
                compression="gzip",
                shuffle=True,
            )

    def add(self, sample: Sample) -> None:
        """Add the crystals of the next sample."""
        for which in WHICH:
            structure = sample.structure(which)
            self._places[which].append(_NONE if structure is None else self._row(Crystal.of(structure)))
            self.counts[which] += structure is not None

    def _row(self, crystal: Crystal) -> int:
        digest = crystal.digest()
        if digest not in self._rows:
            self._rows[digest] = len(self._rows)
            self._new.append(crystal)
        return self._rows[digest]

    def flush(self) -> None:
        """Deflate the data added since the last call."""
        for which in WHICH:
            self._append(which, self._places[which])
            self._places[which] = []
        self._append("n_sites", [len(crystal.elements) for crystal in self._new])
        self._append("lattice", [crystal.lattice for crystal in self._new])
        self._append("element", [number for crystal in self._new for number in crystal.elements])
        self._append("coords", [site for crystal in self._new for site in crystal.coords])
        self._new = []

    def _append(self, column: str, values: Sequence[Any]) -> None:
        if values:
            dataset = self.file.content[column]
            start = len(dataset)
            dataset.resize(start + len(values), axis=0)
            dataset[start:] = np.asarray(values)


def read_structures(file: Path, n_samples: int, places: NDArray[np.intp], which: Which) -> list["Structure | None"]:
    """Read the crystals of some samples as separate structures, without reading the sites of other crystals.

    Parameters
    ----------
    n_samples
        Number of samples in the data set.
    places
        Indices of the samples.

    Raises
    ------
    DatasetError
        If the file cannot be read, or its columns contradict each other.
    """
    with open_h5(file, cached=True) as content:
        try:
            columns = {name: content[name] for name in _COLUMNS}
            limits = dict.fromkeys(("n_sites", "lattice"), (0, 2 * n_samples))
            limits |= dict.fromkeys(WHICH, (n_samples, n_samples))
            _check(file, columns, limits)
            rows, n_sites = columns[which][()], columns["n_sites"][()].astype(np.int64)
            ends = np.cumsum(n_sites)
            total = int(n_sites.sum())
            exact = {"lattice": len(n_sites), "element": total, "coords": total}
            _check(file, columns, {name: (n_rows, n_rows) for name, n_rows in exact.items()})
            if len(rows) and not _NONE <= rows.min() <= rows.max() < len(n_sites):
                raise DatasetError(f"{file}: its columns contradict each other ({which})")
            wanted = rows[places]
            # in file order, so that each chunk is inflated once
            crystals = {
                int(row): _read_crystal(file, columns, int(row), int(ends[row] - n_sites[row]), int(ends[row]))
                for row in np.unique(wanted[wanted != _NONE])
            }
        except (AttributeError, KeyError, OSError, TypeError) as error:
            raise DatasetError(f"{file} lacks a column or cannot be read: {error}") from error
    return [None if row == _NONE else crystals[int(row)].structure() for row in wanted]


def _check(file: Path, columns: Mapping[str, Any], limits: Mapping[str, tuple[int, int]]) -> None:
    """Raise DatasetError if a column has the wrong type or number of rows."""
    for name, (least, most) in limits.items():
        dtype, row, _ = _COLUMNS[name]
        if wrong := mistake_in(columns[name], dtype, row, least, most):
            raise DatasetError(f"{file}: its columns contradict each other ({name}: {wrong})")


def _read_crystal(file: Path, columns: dict[str, Any], row: int, start: int, end: int) -> Crystal:
    elements = columns["element"][start:end]
    if len(elements) and elements.max() >= N_ELEMENTS:
        raise DatasetError(f"{file}: crystal {row} has {elements.max()}, must be places of elements from 0 to 110")
    return Crystal(elements, columns["lattice"][row], columns["coords"][start:end])
