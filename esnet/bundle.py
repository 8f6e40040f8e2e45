"""A trained model on disk: one directory with the weights, both scalings, the record and their checksums.

model.keras            the network (Keras' own format, loaded in safe mode)
representation.json    how features are made, the channel scaler, the scaling of the energies
training.json          the record of the training run
manifest.json          format version, SHA-256 and size of each file, and one checksum over all
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from esnet.dos import ENERGY_MAX, ENERGY_MIN, N_GRID, ORBITALS, SPINS
from esnet.features import ChannelScaler, Representation, TargetScaling, check_features, network_inputs
from esnet.record import TrainingRecord

FORMAT = "esnet-bundle"
FORMAT_VERSION = 1

MANIFEST = "manifest.json"
MODEL = "model.keras"
REPRESENTATION = "representation.json"
TRAINING = "training.json"
_CONTENT = (MODEL, REPRESENTATION, TRAINING)

_GRID = {
    "energy_min": ENERGY_MIN,
    "energy_max": ENERGY_MAX,
    "n_energies": N_GRID,
    "spins": list(SPINS),
    "orbitals": list(ORBITALS),
}
_BLOCK = 4096


class BundleError(ValueError):
    """A bundle that cannot be used; the message names the directory, the file and what is wrong with it."""


@dataclass(frozen=True)
class BundleInfo:
    """All that a bundle says about its model, read without Keras."""

    path: Path
    checksum: str
    representation: Representation
    scaler: ChannelScaler
    target_scaling: TargetScaling
    record: TrainingRecord

    @classmethod
    def read(cls, path: Path | str, *, representation: Representation | None = None) -> Self:
        """Read and check a bundle, its weights by their checksum alone.

        Raises
        ------
        BundleError
            If a file is missing, altered, or of another format version.
        RepresentationError
            If ``representation`` is given and the model's is another.
        """
        folder = Path(path)
        manifest = _read_manifest(folder)
        _check_files(folder, manifest["files"])
        content = _read_json(folder / REPRESENTATION)
        try:
            if content["grid"] != _GRID:
                raise ValueError(f"its grid is {content['grid']}, this version reads {_GRID}")
            info = cls(
                path=folder,
                checksum=manifest["checksum"],
                representation=Representation.from_dict(content["representation"]),
                scaler=ChannelScaler.from_dict(content["scaler"]),
                target_scaling=TargetScaling(**content["target_scaling"]),
                record=TrainingRecord.from_dict(_read_json(folder / TRAINING)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{folder}: {REPRESENTATION} or {TRAINING} cannot be used: {error}") from error
        if representation is not None:
            info.representation.require(representation)
        return info


class Bundle:
    """A trained model, ready to predict.

    Made by `Bundle.save` or `Bundle.load`.
    """

    def __init__(self, info: BundleInfo, model: Any) -> None:
        self.info = info
        self._model = model

    @property
    def checksum(self) -> str:
        """SHA-256 over the whole bundle: the model's identity."""
        return self.info.checksum

    @property
    def representation(self) -> Representation:
        """How the features that the model reads are made."""
        return self.info.representation

    @property
    def record(self) -> TrainingRecord:
        """The record of the training run."""
        return self.info.record

    @classmethod
    def save(
        cls,
        path: Path | str,
        *,
        model: Any,
        scaler: ChannelScaler,
        target_scaling: TargetScaling,
        representation: Representation,
        record: TrainingRecord,
    ) -> Self:
        """Write a bundle as a whole or not at all.

        Parameters
        ----------
        path
            The directory to make. The files are written beside it under a temporary name, which is then
            changed: an interrupted call leaves no half bundle.
        model, scaler, target_scaling, record
            What `esnet.training.train` returned.
        representation
            How the features were made.

        Returns
        -------
        Bundle
            The one written, read back: predictions come from what is on disk. (The network in memory may differ
            in the last bits, since TensorFlow orders the operations of its graph in another way.)

        Raises
        ------
        FileExistsError
            If ``path`` is there: a bundle is never overwritten.
        """
        folder = Path(path)
        refuse_existing(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            model.save(temporary / MODEL)
            _write_json(
                temporary / REPRESENTATION,
                {
                    "grid": _GRID,
                    "representation": representation.to_dict(),
                    "scaler": scaler.to_dict(),
                    "target_scaling": {"mean": target_scaling.mean, "deviation": target_scaling.deviation},
                },
            )
            _write_json(temporary / TRAINING, record.to_dict())
            _write_json(temporary / MANIFEST, _new_manifest(temporary))
            for name in (*_CONTENT, MANIFEST):
                _to_disk(temporary / name)
            # mkdtemp makes it private; other users of a cluster may read models
            temporary.chmod(0o755)
            refuse_existing(folder)
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return cls.load(folder)

    @classmethod
    def load(cls, path: Path | str, *, representation: Representation | None = None) -> Self:
        """Read a bundle; Keras' safe mode, so nothing in it is executed.

        Raises
        ------
        BundleError
            If a file is missing, altered, of another format version, or cannot be read by this Keras.
        RepresentationError
            If ``representation`` is given and the model's is another.
        """
        info = BundleInfo.read(path, representation=representation)
        import keras

        try:
            model = keras.saving.load_model(info.path / MODEL, compile=False, safe_mode=True)
        except (ValueError, TypeError, OSError) as error:
            raise BundleError(
                f"{info.path / MODEL} cannot be read by Keras {keras.__version__} "
                f"(saved with {info.record.versions.get('keras', 'an unknown version')}): {error}"
            ) from error
        return cls(info, model)

    def predict(self, dos: ArrayLike, compositions: ArrayLike, *, batch_size: int = 256) -> NDArray[np.float64]:
        """Predict formation energies.

        Parameters
        ----------
        dos
            (n, 2, 1500, 9), not scaled, made as `representation` says.
        compositions
            (n, 111).
        batch_size
            Candidates that the network takes at once.

        Returns
        -------
        ndarray
            (n,) formation energies of the relaxed crystals, eV/atom.

        Raises
        ------
        FeatureError
            If a shape is wrong or a value is not finite.
        """
        features, vectors = check_features(dos, compositions)
        energies = np.empty(len(features))
        # the scaled copies of a block are all that is held beside the features
        block = max(batch_size, _BLOCK // batch_size * batch_size)
        for start in range(0, len(features), block):
            part = slice(start, start + block)
            inputs = network_inputs(features[part], vectors[part], scaler=self.info.scaler)
            outputs = self._model.predict(inputs, batch_size=batch_size, verbose=0)
            energies[part] = self.info.target_scaling.restore(outputs[:, 0])
        return energies


def refuse_existing(folder: Path) -> None:
    """Raise FileExistsError, saying what to do, if something is there already."""
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"{folder} exists: a bundle is never overwritten; name another directory")


def _new_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        # a list, so that an ensemble fits in
        "members": [MODEL],
        "files": {
            name: {"sha256": _sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in _CONTENT
        },
    }
    return manifest | {"checksum": _overall(manifest)}


def _overall(manifest: Mapping[str, Any]) -> str:
    """Checksum over all that the manifest says, the files' checksums among it."""
    said = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a directory: a bundle is one that contains {MANIFEST}")
    manifest = _read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{folder / MANIFEST} is not the manifest of an ESNet bundle (no format: {FORMAT})")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            f"{folder / MANIFEST} has format version {manifest.get('format_version')!r}; this program reads "
            f"{FORMAT_VERSION}: use the program's version that wrote it, or train again"
        )
    if manifest.get("checksum") != _overall(manifest):
        raise BundleError(f"{folder / MANIFEST} was altered: its checksum is not that of what it says")
    if manifest.get("members") != [MODEL] or set(manifest.get("files", {})) != set(_CONTENT):
        raise BundleError(f"{folder / MANIFEST} lists other files than {', '.join(_CONTENT)}")
    return manifest


def _check_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    for name, expected in files.items():
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing from the bundle")
        found = _sha256(folder / name)
        if found != expected["sha256"]:
            raise BundleError(f"{folder / name} was altered: SHA-256 {found}, in {MANIFEST} it is {expected['sha256']}")


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(f"{file} is missing from the bundle") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{file} cannot be read as JSON: {error}") from error


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _to_disk(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
