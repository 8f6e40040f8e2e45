"""Cache of Materials Project downloads, safe against interruption and checked for damage.

The folder contains ``materials.json`` (the materials of the query), ``journal.jsonl`` (one line for each finished
material) and one ``.npy`` file of features for each material with a DOS. A line is written after its file and flushed
to disk; an incomplete last line is ignored.
"""

import fcntl
import hashlib
import io
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from esnet.files.atomic import write_whole
from esnet.representation.dos import DOS_SHAPE
from esnet.representation.features import Representation
from esnet.sources.materials_project_client import Material, MaterialsProjectError, MaterialsQuery

VERSION = 2
"""Version 1 had one formation energy per material, which could come from the mixed r2SCAN scheme."""
DOS, NO_DOS, UNUSABLE = "dos", "no DOS", "unusable DOS"


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """Journal entry of a finished material.

    Attributes
    ----------
    material_id
        Id of the material.
    status
        ``dos``, ``no DOS``, or ``unusable DOS``.
    reason
        Why the DOS is unusable.
    task_id
        Id of the calculation.
    composition
        Composition of the structure whose DOS was computed.
    efermi, spacing
        Fermi level and energy spacing, eV; as in `esnet.dataset.sample.Sample`.
    structure
        Crystal whose DOS was computed, see `esnet.dataset.crystals.Crystal.to_dict`; None if it was fetched by an
        earlier version.
    sha256
        SHA-256 of the file of features.
    """

    material_id: str
    status: str
    reason: str = ""
    task_id: str = ""
    composition: Mapping[str, float] | None = None
    efermi: float | None = None
    spacing: float | None = None
    structure: Mapping[str, Any] | None = None
    sha256: str = ""


class DownloadCache:
    """Context manager for a cache folder, which it locks against other processes.

    Parameters
    ----------
    folder
        Folder of the cache; created if absent.
    query, representation
        Query and features that the cache is for.

    Raises
    ------
    MaterialsProjectError
        If another process is using the folder, or it is damaged or belongs to another query or representation.
    """

    def __init__(self, folder: Path, *, query: MaterialsQuery, representation: Representation) -> None:
        self.folder = folder
        self._header = {
            "format": "esnet Materials Project download",
            "version": VERSION,
            "query": query.to_dict(),
            # the composition vector is computed when the data set is written
            "normalisation": representation.normalisation,
            "energy_reference": representation.energy_reference,
        }
        self.database_version = ""
        self.materials: list[Material] | None = None
        self.fetched: dict[str, Fetched] = {}
        self._journal: Any = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            self._journal = opened.enter_context((self.folder / "journal.jsonl").open("a+b"))
            self._lock()
            self._read_materials()
            self._read_journal()
            opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def store_materials(self, materials: list[Material], *, database_version: str) -> None:
        """Store the materials of the query, so that a resumed download need not ask for them again."""
        content = {
            "header": self._header,
            "database_version": database_version,
            "materials": [asdict(material) for material in materials],
        }
        text = json.dumps(content)
        envelope = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "content": text})
        write_whole(self.folder / "materials.json", envelope)
        self.materials, self.database_version = materials, database_version

    def store(self, entry: Fetched, features: NDArray[np.float32] | None = None) -> None:
        """Store the outcome of a material, and the features of its DOS if there is one."""
        said = asdict(entry)
        if features is not None:
            buffer = io.BytesIO()
            np.save(buffer, np.ascontiguousarray(features, dtype="<f4"), allow_pickle=False)
            file = self._file(entry.material_id)
            file.parent.mkdir(exist_ok=True)
            write_whole(file, buffer.getvalue())
            said["sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
        self._journal.write(json.dumps(said).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self.fetched[entry.material_id] = Fetched(**said)

    def features(self, material_id: str) -> NDArray[np.float32] | None:
        """Return the features of a material's DOS, or None if the file is missing or was altered."""
        try:
            content = self._file(material_id).read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(content).hexdigest() != self.fetched[material_id].sha256:
            return None
        features = np.load(io.BytesIO(content), allow_pickle=False)
        return features if features.shape == DOS_SHAPE else None

    def forget(self, material_id: str) -> None:
        """Forget a material, so that it is fetched again."""
        del self.fetched[material_id]

    def _file(self, material_id: str) -> Path:
        # at most a thousand folders with a few dozen files each
        number = int(hashlib.sha256(material_id.encode()).hexdigest(), 16) % 1000
        return self.folder / f"features-{number:03d}" / f"{material_id}.npy"

    def _lock(self) -> None:
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MaterialsProjectError(f"{self.folder}: another process is fetching into this folder") from error

    def _read_materials(self) -> None:
        path = self.folder / "materials.json"
        if not path.exists():
            return
        try:
            envelope = json.loads(path.read_bytes())
            text, checksum = envelope["content"], envelope["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise MaterialsProjectError(f"{path}: is damaged; remove the folder to begin again") from error
        if hashlib.sha256(text.encode()).hexdigest() != checksum:
            raise MaterialsProjectError(f"{path}: does not match its checksum; remove the folder to begin again")
        content = json.loads(text)
        for name, wanted in self._header.items():
            if content["header"].get(name) != wanted:
                raise MaterialsProjectError(
                    f"{self.folder}: was fetched with {name} {content['header'].get(name)}, requested is {wanted}; "
                    "name another folder, or remove it"
                )
        self.materials = [Material(**material) for material in content["materials"]]
        self.database_version = content["database_version"]

    def _read_journal(self) -> None:
        self._journal.seek(0)
        text = self._journal.read()
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):  # truncated when the process was killed
            self._journal.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                entry = Fetched(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise MaterialsProjectError(
                    f"{self.folder / 'journal.jsonl'}, line {number}: is damaged; remove the folder to begin again"
                ) from error
            self.fetched[entry.material_id] = entry
