"""Write a data set from a stream of samples, completely or not at all."""

import hashlib
import json
import logging
import math
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from esnet.dataset.columns import append_rows, create_columns
from esnet.dataset.format import COLUMNS, SHARD_SIZE, STRUCTURES, DatasetManifest, shard_name
from esnet.dataset.hdf5 import NewH5
from esnet.dataset.sample import KINDS, DatasetError, Filters, Sample
from esnet.dataset.shards import append_sample, create_shard
from esnet.dataset.structures import StructureWriter
from esnet.files.atomic import file_entry, whole_folder
from esnet.files.errors import UserError
from esnet.files.versions import installed_versions
from esnet.representation.features import Representation

logger = logging.getLogger(__name__)

MAX_DROPPED_IDS = 100
"""Largest number of ids kept in the manifest for each filter; the counts are always complete."""

FAR_ENERGY = 5.0
"""eV/atom, see `suspicious_energies`."""
_FAR_SHARE = 0.02

_NO_DOS = np.zeros(0, dtype=np.float32)


class DatasetExistsError(UserError, FileExistsError):
    """The path of a new data set already exists."""


class DatasetWriter:
    """Context manager that writes samples as they are added.

    The data set appears at its path when the context ends without an error. (A killed process leaves a folder
    ``.NAME-...`` next to it, which can be deleted.) Memory use is the deflated densities of one file (about 20 MB),
    about 1 kB per sample, and the deflated crystals.

    Parameters
    ----------
    path
        Directory to create.
    representation
        Representation of the features of all samples.
    filters
        Samples to leave out.
    source
        Origin of the samples in JSON types. Information that becomes known later can be added to the attribute
        ``source`` until the context ends.

    Raises
    ------
    DatasetExistsError
        If ``path`` exists: a data set is never overwritten.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        representation: Representation,
        filters: Filters = Filters(),  # noqa: B008 (frozen)
        source: Mapping[str, Any],
    ) -> None:
        self.path = Path(path)
        refuse_existing(self.path)
        self.representation = representation
        self.filters = filters
        self.source: dict[str, Any] = json.loads(json.dumps(dict(source), allow_nan=False))
        self._making = ExitStack()
        self._folder: Path | None = None
        self._shard: NewH5 | None = None
        self._columns = NewH5()
        create_columns(self._columns.content)
        self._structures = StructureWriter()
        self._rows: list[tuple[Sample, bytes]] = []
        self._ids: set[str] = set()
        self._files: dict[str, dict[str, Any]] = {}
        self._n_samples = self._n_given = self._n_far = 0
        self._counts: Counter[str] = Counter()
        self._dropped: dict[str, list[str]] = {}
        self._n_dropped = dict.fromkeys(("f_block", "max_dos", "max_abs_formation_energy"), 0)
        self._content = hashlib.sha256(json.dumps(representation.to_dict(), sort_keys=True).encode())

    def __enter__(self) -> Self:
        self._folder = self._making.enter_context(whole_folder(self.path, refuse_existing=refuse_existing))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self._making:
                    self._finish()
            else:
                self._making.__exit__(kind, error, trace)
        finally:
            self._folder = None

    @property
    def n_samples(self) -> int:
        """Number of samples kept so far."""
        return self._n_samples

    @property
    def n_dropped(self) -> dict[str, int]:
        """Number of samples left out so far, by the filter's name."""
        return dict(self._n_dropped)

    def add(self, sample: Sample) -> bool:
        """Add one sample; return False if a filter left it out.

        Raises
        ------
        DatasetError
            If a field is invalid (not finite, wrong shape, not an element, ...) or the id is repeated; the writer is
            then unchanged.
        """
        if self._folder is None:
            raise DatasetError(f"{self.path}: samples are added inside `with DatasetWriter(...)`")
        checked = sample.checked()
        self._check_fermi_level(checked)
        if checked.id in self._ids:
            raise DatasetError(f"sample {checked.id!r} is given twice: ids must be unique in a data set")
        self._ids.add(checked.id)
        self._n_given += 1
        self._n_far += abs(checked.energy) > FAR_ENERGY
        dropped_by = self.filters.dropped_by(checked)
        if dropped_by is not None:
            self._n_dropped[dropped_by] += 1
            named = self._dropped.setdefault(dropped_by, [])
            if len(named) < MAX_DROPPED_IDS:
                named.append(checked.id)
            return False
        self._keep(checked)
        return True

    def _check_fermi_level(self, sample: Sample) -> None:
        if self.representation.energy_reference == "fermi" and sample.efermi not in (None, 0.0):
            raise DatasetError(
                f"sample {sample.id!r}: efermi is {sample.efermi} eV, must be 0.0 or None: the energies of this data "
                "set are relative to the Fermi level"
            )

    def _keep(self, sample: Sample) -> None:
        if self._shard is None:
            self._shard = NewH5()
            create_shard(self._shard.content)
        append_sample(self._shard.content, sample.dos)
        digest = sample.digest()
        self._content.update(sample.identity(digest))
        self._structures.add(sample)
        # densities and crystals are already in their files
        row = replace(sample, dos=_NO_DOS, initial_structure=None, relaxed_structure=None)
        self._rows.append((row, digest))
        self._counts[sample.kind] += 1
        self._n_samples += 1
        if self._n_samples % SHARD_SIZE == 0:
            self._end_shard(self._shard)

    def _end_shard(self, shard: NewH5) -> None:
        """Write the current file of densities, and the rows of its samples."""
        self._write(shard, shard_name(len(self._files)))
        self._shard = None
        append_rows(self._columns.content, self._rows)
        self._structures.flush()
        self._rows = []

    def _write(self, content: NewH5, name: str) -> None:
        assert self._folder is not None
        content.write(self._folder / name)
        self._files[name] = file_entry(self._folder / name)

    def _finish(self) -> None:
        assert self._folder is not None
        if self._shard is not None:
            self._end_shard(self._shard)
        warnings = suspicious_energies(self._n_far, self._n_given)
        for warning in warnings:
            logger.warning("%s: %s", self.path, warning)
        if not self._n_samples:
            raise DatasetError("; ".join([f"{self.path}: {self._nothing_kept()}", *warnings]))
        self._write(self._columns, COLUMNS)
        if any(self._structures.counts.values()):
            self._write(self._structures.file, STRUCTURES)
        self._manifest(warnings).write(self._folder)

    def _manifest(self, warnings: list[str]) -> DatasetManifest:
        return DatasetManifest(
            checksum=self._content.hexdigest(),
            n_samples=self._n_samples,
            counts={kind: self._counts[kind] for kind in KINDS},
            structures=dict(self._structures.counts),
            n_given=self._n_given,
            n_dropped=self._n_dropped,
            dropped_ids=self._dropped,
            filters=self.filters.to_dict(),
            representation=self.representation.to_dict(),
            source=self.source,
            warnings=warnings,
            versions=installed_versions("esnet-campaign", "h5py", "numpy"),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            files=self._files,
        )

    def _nothing_kept(self) -> str:
        if not self._n_given:
            return "no sample was given, so there is nothing to write"
        left_out = ", ".join(f"{name}: {count}" for name, count in self._n_dropped.items() if count)
        return f"the filters left out all {self._n_given} samples ({left_out}), so there is nothing to write"


def suspicious_energies(n_far: int, n_given: int) -> list[str]:
    """Return a warning if formation energies look like eV per cell instead of eV/atom.

    ``n_far`` of the ``n_given`` energies are more than 5 eV/atom from 0. For the 62,842 materials of the Materials
    Project that the paper trains on (mean -1.407, sd 1.101 eV/atom), 5 eV/atom is 3.3 standard deviations away, so
    fewer than 1 in 1,000 are further from 0. Energies of whole cells are several times larger: if 1 in 50 is beyond 5,
    and at least two are (or the only one is), the unit is doubtful. Small cells of weakly bound alloys stay below that
    limit, so the absence of a warning proves nothing.
    """
    if not n_far or n_far < max(min(2, n_given), math.ceil(_FAR_SHARE * n_given)):
        return []
    return [
        f"{n_far} of {n_given} formation energies are further than {FAR_ENERGY:g} eV/atom from 0, which is rare for "
        "crystals: they may be in eV per cell or in kJ/mol; eV/atom is expected"
    ]


def refuse_existing(path: Path) -> None:
    """Raise DatasetExistsError, with the remedy, if the path exists."""
    if path.exists() or path.is_symlink():
        raise DatasetExistsError(f"{path} exists: a data set is never overwritten; name another directory")
