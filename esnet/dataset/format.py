"""Format of a data set on disk: a directory, its files, and the manifest with their checksums.

* ``manifest.json``: format version, representation, filters and the samples they dropped, sources, SHA-256 and size of
  each file.
* ``samples.h5``: one row per sample with id, material, energy, composition and so on; opens fast.
* ``structures.h5``: initial and relaxed crystal of each sample that has them (see `esnet.dataset.structures`); absent
  if no sample has any.
* ``dos-00000.h5`` and following: the densities of up to 1,024 samples each, ``dos`` (n, 2, 1500, 9) float32, one
  deflated chunk per sample.

HDF5 was chosen over Zarr, Arrow and TFRecord because Keras already depends on it (h5py) and every language can read it.
One sample is one chunk, which can be located without reading the others and inflated outside HDF5's lock (see
`esnet.dataset.shards`). Deflate's Adler-32 reveals a chunk that was damaged after opening. Measured on 2026-11-23 on
DOS of the project's own GPAW runs (108 kB each): deflate level 1 compresses to 17 % and inflates in 0.14 ms; with the
shuffle filter to 15 % and in 0.28 ms.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from esnet.dataset.crystals import WHICH
from esnet.dataset.sample import DatasetError
from esnet.files.atomic import sha256_of, sha256_of_json
from esnet.representation.dos import ENERGY_MAX, ENERGY_MIN, N_GRID, ORBITALS, SPINS
from esnet.representation.features import Representation

FORMAT = "esnet-dataset"
FORMAT_VERSION = 2
_READABLE = (1, FORMAT_VERSION)
"""Format 1 has no crystals."""

MANIFEST = "manifest.json"
COLUMNS = "samples.h5"
STRUCTURES = "structures.h5"
SHARD_SIZE = 1024
"""Samples per file of densities; only the last file may have fewer."""

GRID = {
    "energy_min": ENERGY_MIN,
    "energy_max": ENERGY_MAX,
    "n_energies": N_GRID,
    "spins": list(SPINS),
    "orbitals": list(ORBITALS),
}


def shard_name(number: int) -> str:
    """Return the name of a file of densities."""
    return f"dos-{number:05d}.h5"


@dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """Description of a data set.

    Attributes
    ----------
    checksum
        SHA-256 of representation and samples (except their provenance) in order. It identifies the content and does
        not depend on when or where the samples are written.
    n_samples
        Number of samples kept.
    counts
        Number of kept samples by kind (``is_dos``, ``rs_dos``).
    structures
        Number of kept samples with each crystal (``initial``, ``relaxed``).
    n_given
        Number of samples from the source.
    n_dropped
        Number of samples left out by each filter, by its name.
    dropped_ids
        Ids of the samples left out (at most the first 100), by the filter's name.
    filters, representation
        As dictionaries.
    source
        Origin of the samples.
    warnings
        Warnings of the writer about suspicious data.
    versions
        Versions of Python and of the packages that wrote it.
    created
        Time of writing, UTC, ISO 8601.
    files
        ``sha256`` and ``bytes`` of each file.
    """

    checksum: str
    n_samples: int
    counts: dict[str, int]
    structures: dict[str, int]
    n_given: int
    n_dropped: dict[str, int]
    dropped_ids: dict[str, list[str]]
    filters: dict[str, Any]
    representation: dict[str, str]
    source: dict[str, Any]
    warnings: list[str]
    versions: dict[str, str]
    created: str
    files: dict[str, dict[str, Any]]

    def write(self, folder: Path) -> None:
        """Write the manifest, with a checksum of itself."""
        said = {"format": FORMAT, "format_version": FORMAT_VERSION, "grid": GRID} | asdict(self)
        text = json.dumps(said | {"manifest_sha256": sha256_of_json(said)}, indent=1, allow_nan=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read and check the manifest, without the other files.

        Raises
        ------
        DatasetError
            If it is missing, altered, or was written by a newer version or for another grid.
        """
        file = folder / MANIFEST
        said = _read_json(folder, file)
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise DatasetError(f"{file} is not the manifest of an ESNet data set (no format: {FORMAT})")
        if said.get("format_version") not in _READABLE:
            raise DatasetError(
                f"{file} has format version {said.get('format_version')!r}; this program reads "
                f"{' and '.join(map(str, _READABLE))}: use the program's version that wrote it, or write the data set "
                "again"
            )
        seal = said.pop("manifest_sha256", None)
        if seal != sha256_of_json(said):
            raise DatasetError(f"{file} was altered: its checksum does not match its content")
        if said["grid"] != GRID:
            raise DatasetError(f"{file}: its grid is {said['grid']}, this version reads {GRID}")
        if said["format_version"] == 1:
            said["structures"] = dict.fromkeys(WHICH, 0)
        names = {field.name for field in fields(cls)}
        found = {key: value for key, value in said.items() if key not in ("format", "format_version", "grid")}
        if set(found) != names:
            missing, unknown = sorted(names - set(found)), sorted(set(found) - names)
            raise DatasetError(f"{file} lacks the keys {missing} and has unknown keys {unknown}")
        return cls(**found)

    def check_files(self, folder: Path, *, verify: bool) -> None:
        """Compare the files in the folder of the data set with the manifest.

        Parameters
        ----------
        verify
            Whether the SHA-256 of every file is computed (about 1.5 GB/s); their names and sizes are always compared.

        Raises
        ------
        DatasetError
            If a file is missing, unexpected, truncated or altered; the message names it.
        """
        surplus = sorted(file.name for file in folder.iterdir() if file.suffix == ".h5" and file.name not in self.files)
        if surplus:
            raise DatasetError(f"{folder} has files that its manifest does not list: {', '.join(surplus[:10])}")
        for name, expected in self.files.items():
            file = folder / name
            if not file.is_file():
                raise DatasetError(f"{file} is missing from the data set")
            size = file.stat().st_size
            if size != expected["bytes"]:
                raise DatasetError(f"{file} was truncated or altered: {size} bytes, in {MANIFEST} {expected['bytes']}")
        if not verify:
            return
        for name, expected in self.files.items():
            found = sha256_of(folder / name)
            if found != expected["sha256"]:
                raise DatasetError(
                    f"{folder / name} was altered: SHA-256 {found}, in {MANIFEST} it is {expected['sha256']}"
                )

    @property
    def stored_representation(self) -> Representation:
        """Representation of the features."""
        return Representation.from_dict(self.representation)


def _read_json(folder: Path, file: Path) -> Any:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a directory: a data set is one that contains {MANIFEST}")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{folder} is not a data set: it has no {MANIFEST}") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file} cannot be read as JSON: {error}") from error
