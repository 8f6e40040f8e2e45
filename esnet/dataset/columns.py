"""The small columns of a data set, with one row per sample: writing and reading the file ``samples.h5``.

Compositions are kept as given by the source: elements and amounts of all samples are concatenated in ``element`` and
``amount``, and ``n_elements`` is their number per sample.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.dataset.hdf5 import mistake_in, open_h5
from esnet.dataset.sample import KINDS, DatasetError, Sample
from esnet.files.errors import require
from esnet.representation.composition import ELEMENTS, N_ELEMENTS

_PLACE = {symbol: place for place, symbol in enumerate(ELEMENTS)}
_TEXT = ("id", "material", "chemsys", "prototype", "provenance")
_NUMBERS = {"kind": "u1", "energy": "<f8", "efermi": "<f8", "spacing": "<f8", "n_elements": "u1"}
_ELEMENTS = {"element": "u1", "amount": "<f8"}


class Columns(NamedTuple):
    """The small columns, one entry for each sample."""

    ids: tuple[str, ...]
    materials: tuple[str, ...]
    kinds: tuple[str, ...]
    chemsys: tuple[str, ...]
    prototypes: tuple[str, ...]
    energies: NDArray[np.float64]
    efermi: NDArray[np.float64]
    spacing: NDArray[np.float64]
    digests: tuple[bytes, ...]
    amounts: NDArray[np.float64]

    def places(self, indices: ArrayLike, folder: Path) -> NDArray[np.intp]:
        """Return indices of samples as an array; raise DatasetError, naming the data set, if one is out of range."""
        wanted = np.asarray(indices)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise DatasetError(f"indices are {wanted.dtype} of shape {wanted.shape}, must be whole numbers on one axis")
        wanted = wanted.astype(np.intp)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self.ids)):
            raise DatasetError(
                f"indices run from {wanted.min()} to {wanted.max()}; {folder} has 0 to {len(self.ids) - 1}"
            )
        return wanted


def create_columns(columns: Any) -> None:
    """Create empty columns in an HDF5 file."""
    h5py = require("h5py", extra="esnet")
    text = h5py.string_dtype("utf-8")
    numbers = {name: np.dtype(code) for name, code in (_NUMBERS | _ELEMENTS).items()}
    for name, dtype in {**dict.fromkeys(_TEXT, text), **numbers}.items():
        columns.create_dataset(name, shape=(0,), maxshape=(None,), chunks=(4096,), dtype=dtype, compression="gzip")
    columns.create_dataset(
        "digest", shape=(0, 32), maxshape=(None, 32), chunks=(4096, 32), dtype="u1", compression="gzip"
    )


def append_rows(file: Any, rows: Sequence[tuple[Sample, bytes]]) -> None:
    """Append samples with the digests of their densities; the densities are not stored here."""
    samples = [sample for sample, _ in rows]
    for column in ("id", "material", "chemsys", "prototype"):
        _append(file, column, [getattr(sample, column) for sample in samples])
    _append(file, "provenance", [json.dumps(sample.provenance, sort_keys=True) for sample in samples])
    _append(file, "kind", [KINDS.index(sample.kind) for sample in samples])
    _append(file, "energy", [sample.energy for sample in samples])
    for column in ("efermi", "spacing"):
        values = [getattr(sample, column) for sample in samples]
        _append(file, column, [math.nan if value is None else value for value in values])
    _append(file, "n_elements", [len(sample.composition) for sample in samples])
    _append(file, "element", [_PLACE[symbol] for sample in samples for symbol in sample.composition])
    _append(file, "amount", [amount for sample in samples for amount in sample.composition.values()])
    _append(file, "digest", np.array([list(digest) for _, digest in rows], dtype=np.uint8))


def _append(file: Any, column: str, values: Any) -> None:
    dataset = file[column]
    start = len(dataset)
    dataset.resize(start + len(values), axis=0)
    dataset[start:] = values


def _check(file: Path, content: Any, name: str, dtype: str | None, n_rows: int) -> None:
    """Raise DatasetError if a column has the wrong type or length; checked before the column is read."""
    if wrong := mistake_in(content[name], dtype, (32,) if name == "digest" else (), n_rows, n_rows):
        raise DatasetError(f"{file}: its column {name}: {wrong}")


def read_columns(file: Path, n_samples: int) -> Columns:
    """Read the columns; DatasetError if one is missing or does not have ``n_samples`` rows."""
    with open_h5(file) as content:
        try:
            for name, dtype in {**dict.fromkeys(_TEXT), **_NUMBERS, "digest": "u1"}.items():
                _check(file, content, name, dtype, n_samples)
            text = {name: content[name].asstr()[()] for name in ("id", "material", "chemsys", "prototype")}
            numbers = {name: content[name][()] for name in (*_NUMBERS, "digest")}
            n_elements = int(numbers["n_elements"].sum(dtype=np.int64))
            for name, dtype in _ELEMENTS.items():
                _check(file, content, name, dtype, n_elements)
                numbers[name] = content[name][()]
        except (AttributeError, KeyError, OSError, TypeError, UnicodeDecodeError) as error:
            raise DatasetError(f"{file} lacks a column or cannot be read: {error}") from error
    for name, limit in (("kind", len(KINDS)), ("element", N_ELEMENTS)):
        if len(numbers[name]) and numbers[name].max() >= limit:
            raise DatasetError(f"{file}: {name} has {numbers[name].max()}, must be at most {limit - 1}")
    amounts = np.zeros((n_samples, N_ELEMENTS))
    amounts[np.repeat(np.arange(n_samples), numbers["n_elements"]), numbers["element"]] = numbers["amount"]
    for name in ("energy", "efermi", "spacing"):
        numbers[name].flags.writeable = False
    digests = numbers["digest"].tobytes()
    return Columns(
        ids=tuple(text["id"]),
        materials=tuple(text["material"]),
        kinds=tuple(KINDS[code] for code in numbers["kind"]),
        chemsys=tuple(text["chemsys"]),
        prototypes=tuple(text["prototype"]),
        energies=numbers["energy"],
        efermi=numbers["efermi"],
        spacing=numbers["spacing"],
        digests=tuple(digests[start : start + 32] for start in range(0, len(digests), 32)),
        amounts=amounts,
    )
