"""Labelled densities of states on disk, possibly more than fit into memory.

A data set is a directory (see `esnet.dataset.format`) that a `DatasetWriter` creates from a stream of `Sample` and a
`Dataset` reads, checked on opening. Small fields (ids, energies, compositions ...) are kept in memory, densities are
read on demand.
"""

import json
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.dataset.columns import Columns, read_columns
from esnet.dataset.crystals import WHICH, Which
from esnet.dataset.format import COLUMNS, STRUCTURES, DatasetManifest
from esnet.dataset.hdf5 import open_h5
from esnet.dataset.sample import KINDS, DatasetError, DosKind, Filters, Sample
from esnet.dataset.shards import OpenShards
from esnet.dataset.structures import read_structures
from esnet.dataset.writer import DatasetExistsError, DatasetWriter
from esnet.representation.composition import ELEMENTS
from esnet.representation.dos import DOS_SHAPE
from esnet.representation.features import Representation
from esnet.representation.samples import Samples

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = [
    "KINDS",
    "Dataset",
    "DatasetError",
    "DatasetExistsError",
    "DatasetManifest",
    "DatasetWriter",
    "DosKind",
    "Filters",
    "Sample",
]


class Dataset:
    """A read-only data set, opened with `Dataset.open`.

    Can be pickled (the files are reopened and the checksum compared), and read by several threads.

    Attributes
    ----------
    path
        Directory of the data set.
    manifest
        Its description: filters and dropped samples, source, versions.

    Examples
    --------
    >>> import esnet
    >>> data = esnet.Dataset.open("dataset")
    >>> len(data), data.energies.shape, data.representation.normalisation
    (8, (8,), 'atom')
    """

    def __init__(self, path: Path, manifest: DatasetManifest, columns: Columns) -> None:
        self.path = path
        self.manifest = manifest
        self._columns = columns
        self._shards = OpenShards(path, columns.ids)

    @classmethod
    def open(cls, path: Path | str, *, verify: bool = True) -> Self:
        """Open a data set.

        Parameters
        ----------
        path
            Its directory, made by `campaign dataset`, `esnet dataset` or `esnet fetch-mp`.
        verify
            Whether the SHA-256 of every file is compared with the manifest (about 1.5 GB/s); otherwise only names,
            sizes and the manifest itself are checked.

        Returns
        -------
        Dataset
            The data set, with its small columns in memory and its densities on disk.

        Raises
        ------
        DatasetError
            If a file is missing, unexpected, truncated, altered or of a newer version; the message names it.

        Examples
        --------
        >>> import esnet
        >>> data = esnet.Dataset.open("dataset")
        >>> len(data.ids), len(data.checksum)
        (8, 64)
        """
        folder = Path(path)
        manifest = DatasetManifest.read(folder)
        manifest.check_files(folder, verify=verify)
        return cls(folder, manifest, read_columns(folder / COLUMNS, manifest.n_samples))

    def __len__(self) -> int:
        return len(self._columns.ids)

    def __repr__(self) -> str:
        return f"<Dataset {self.path}: {len(self)} samples, {self.checksum[:12]}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self.path.resolve()), self.checksum)

    @property
    def checksum(self) -> str:
        """SHA-256 of the content: the data set's identity (see `DatasetManifest`)."""
        return self.manifest.checksum

    @cached_property
    def representation(self) -> Representation:
        """Representation of the features."""
        return self.manifest.stored_representation

    @property
    def ids(self) -> tuple[str, ...]:
        """Unique names of the samples."""
        return self._columns.ids

    @property
    def materials(self) -> tuple[str, ...]:
        """Material of each sample; an IS-DOS and an RS-DOS may share one."""
        return self._columns.materials

    @property
    def kinds(self) -> tuple[str, ...]:
        """``is_dos`` or ``rs_dos`` for each sample."""
        return self._columns.kinds

    @property
    def chemsys(self) -> tuple[str, ...]:
        """Chemical system of each sample, e.g. ``Al-Pd``."""
        return self._columns.chemsys

    @property
    def prototypes(self) -> tuple[str, ...]:
        """Structure type of each sample; empty if unknown."""
        return self._columns.prototypes

    @property
    def digests(self) -> tuple[bytes, ...]:
        """SHA-256 of each sample's densities, 32 bytes; equal for copies of one DOS."""
        return self._columns.digests

    @property
    def energies(self) -> NDArray[np.float64]:
        """Formation energies of the relaxed crystals, eV/atom, shape (n,)."""
        return self._columns.energies

    @property
    def efermi(self) -> NDArray[np.float64]:
        """Fermi levels on the axis of the DOS, eV, shape (n,); NaN if unknown."""
        return self._columns.efermi

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Energy spacings of the sources, eV, shape (n,); NaN if unknown."""
        return self._columns.spacing

    @cached_property
    def compositions(self) -> NDArray[np.float32]:
        """Composition vectors from `esnet.representation.composition.composition_vector`, shape (n, 111)."""
        amounts = self._columns.amounts
        if self.representation.composition == "fraction":
            vectors = np.asarray(amounts / amounts.sum(axis=1, keepdims=True), dtype=np.float32)
        else:
            vectors = np.asarray(amounts > 0, dtype=np.float32)
        vectors.flags.writeable = False
        return vectors

    def amounts(self, place: int) -> dict[str, float]:
        """Return the composition of one sample as given by the source.

        Parameters
        ----------
        place
            Index of the sample.

        Returns
        -------
        dict
            Element symbol -> amount.

        Raises
        ------
        IndexError
            If the index is out of range.

        Examples
        --------
        >>> import esnet
        >>> data = esnet.Dataset.open("dataset")
        >>> data.amounts(0)
        {'Li': 1.0, 'Al': 1.0}
        """
        row = self._columns.amounts[place]
        return {ELEMENTS[column]: float(row[column]) for column in np.flatnonzero(row)}

    def provenance(self, indices: ArrayLike) -> list[dict[str, Any]]:
        """Read the origin of samples from disk.

        Parameters
        ----------
        indices
            k indices of samples.

        Returns
        -------
        list of dict
            Origin of the k samples, as given by the source.

        Raises
        ------
        DatasetError
            If an index is out of range.

        Examples
        --------
        >>> import esnet
        >>> data = esnet.Dataset.open("dataset")
        >>> data.provenance([0])[0]["engine"]
        'gpaw'
        """
        wanted = self._columns.places(indices, self.path)
        with open_h5(self.path / COLUMNS) as file:
            texts = file["provenance"].asstr()[()]
        return [json.loads(texts[place]) for place in wanted]

    def structures(self, indices: ArrayLike, which: Which) -> list["Structure | None"]:
        """Read crystals from disk.

        Parameters
        ----------
        indices
            k indices of samples in any order, possibly repeated.
        which
            ``initial``: before the relaxation, the crystal of an IS-DOS; ``relaxed``: after it, the crystal of an
            RS-DOS.

        Returns
        -------
        list of Structure or None
            k separate structures with elements, lattice and positions; None for a sample without one, and for all
            samples of a data set in format 1.

        Raises
        ------
        DatasetError
            If an index is out of range, ``which`` is unknown, or the file was damaged after opening.

        Examples
        --------
        >>> import esnet
        >>> data = esnet.Dataset.open("dataset")
        >>> [crystal is None for crystal in data.structures([0, 1], "relaxed")]
        [True, True]
        """
        wanted = self._columns.places(indices, self.path)
        if which not in WHICH:
            raise DatasetError(f"which={which!r}: must be one of {', '.join(WHICH)}")
        if not self.manifest.structures[which]:
            return [None] * len(wanted)
        return read_structures(self.path / STRUCTURES, len(self), wanted, which)

    def indices(self, *, kind: DosKind | None = None, materials: Collection[str] | None = None) -> NDArray[np.intp]:
        """Return the indices of samples of one kind or of some materials; by default of all samples.

        Parameters
        ----------
        kind
            ``is_dos`` or ``rs_dos``. If None, both.
        materials
            Names as in `materials`; unknown ones are ignored. If None, all.

        Returns
        -------
        array of int
            Indices in ascending order, shape (k,).

        Raises
        ------
        DatasetError
            If there is no such kind.

        Examples
        --------
        >>> import esnet
        >>> data = esnet.Dataset.open("dataset")
        >>> data.indices(kind="rs_dos").tolist()
        [0, 2, 3, 5, 6, 7]
        """
        chosen = np.ones(len(self), dtype=bool)
        if kind is not None:
            if kind not in KINDS:
                raise DatasetError(f"kind={kind!r}: must be one of {', '.join(KINDS)}")
            chosen &= np.array([found == kind for found in self.kinds], dtype=bool)
        if materials is not None:
            wanted = frozenset(materials)
            chosen &= np.array([found in wanted for found in self.materials], dtype=bool)
        return np.flatnonzero(chosen)

    def read(self, indices: ArrayLike) -> NDArray[np.float32]:
        """Read densities from disk.

        Parameters
        ----------
        indices
            k indices of samples in any order, possibly repeated.

        Returns
        -------
        array of float32
            Unscaled densities, shape (k, 2, 1500, 9), in states/(eV atom) or as normalised by `representation`.

        Raises
        ------
        DatasetError
            If an index is out of range or a file was damaged after opening.

        Examples
        --------
        >>> import esnet
        >>> data = esnet.Dataset.open("dataset")
        >>> data.read([0, 0]).shape
        (2, 2, 1500, 9)
        """
        wanted = self._columns.places(indices, self.path)
        dos = np.empty((len(wanted), *DOS_SHAPE), dtype=np.float32)
        for row, place in enumerate(wanted):
            dos[row] = self._shards.densities(int(place))
        return dos

    def blocks(self, indices: ArrayLike, *, size: int = 256) -> Iterator[NDArray[np.float32]]:
        """Read densities in blocks, to limit memory.

        Parameters
        ----------
        indices
            n indices of samples.
        size
            Largest number of samples in a block.

        Yields
        ------
        array of float32
            Densities of shape (at most size, 2, 1500, 9), in the order of the indices.

        Raises
        ------
        DatasetError
            If an index is out of range, ``size`` is below 1, or a file was damaged after opening.

        Examples
        --------
        >>> import esnet
        >>> data = esnet.Dataset.open("dataset")
        >>> [len(block) for block in data.blocks([0, 1, 2], size=2)]
        [2, 1]
        """
        if size < 1:
            raise DatasetError(f"size={size!r}: must be a whole number above 0")
        wanted = self._columns.places(indices, self.path)
        for start in range(0, len(wanted), size):
            yield self.read(wanted[start : start + size])

    def samples(self, indices: ArrayLike) -> Samples:
        """Read samples into memory (108 kB each).

        Parameters
        ----------
        indices
            k indices of samples.

        Returns
        -------
        Samples
            Has ``ids``, ``dos`` (k, 2, 1500, 9), ``compositions`` (k, 111) and ``energies`` (k,) in eV/atom.

        Raises
        ------
        DatasetError
            If an index is out of range or a file was damaged after opening.

        Examples
        --------
        >>> import esnet
        >>> data = esnet.Dataset.open("dataset")
        >>> data.samples([0]).energies.shape
        (1,)
        """
        wanted = self._columns.places(indices, self.path)
        return Samples.checked(
            [self.ids[place] for place in wanted], self.read(wanted), self.compositions[wanted], self.energies[wanted]
        )


def with_energies(dataset: Dataset, energies: NDArray[np.float64], manifest: DatasetManifest) -> Dataset:
    """Return the same samples with other targets in eV/atom, shape (n,), and a manifest that describes them."""
    return Dataset(dataset.path, manifest, dataset._columns._replace(energies=energies))


def _reopen(path: str, checksum: str) -> Dataset:
    dataset = Dataset.open(path, verify=False)
    if dataset.checksum != checksum:
        raise DatasetError(f"{path} now contains another data set: checksum {dataset.checksum}, it was {checksum}")
    return dataset
