"""The state of a training run on disk: written atomically, read back without executing anything.

A checkpoint is one NumPy archive (``.npz``: no pickle, a CRC-32 for each array) with the arrays of the network and of
the optimiser and a JSON document. A folder keeps the last two, so a damaged checkpoint costs only the epochs since the
previous one.
"""

import json
import logging
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from esnet.files.atomic import whole_file
from esnet.files.errors import UserError

logger = logging.getLogger(__name__)

FORMAT = "esnet-checkpoint"
FORMAT_VERSION = 1
KEPT = 2
"""Number of checkpoints kept in a folder."""

_NAME = re.compile(r"epoch-(\d{5,})\.npz")
_META = "meta"
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)
"""Errors from reading a truncated or altered archive."""


class CheckpointError(UserError, ValueError):
    """The checkpoint belongs to another run; the message names what differs."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """State of a training run after an epoch.

    Attributes
    ----------
    epoch
        Number of epochs done.
    fingerprint
        Inputs of the run (data, split, kinds, settings); a run with other inputs cannot continue from here.
    state
        State of the callbacks, history and times, in JSON types.
    weights, optimizer, best
        Arrays of the network, of the optimiser (its step and learning rate among them) and of the best network so far
        (empty if there is none).
    """

    epoch: int
    fingerprint: Mapping[str, Any]
    state: Mapping[str, Any]
    weights: Sequence[NDArray[Any]]
    optimizer: Sequence[NDArray[Any]]
    best: Sequence[NDArray[Any]]

    def save(self, folder: Path) -> Path:
        """Write ``epoch-NNNNN.npz``, remove all but the last checkpoints, and return the path.

        The file is renamed into place once it is complete and on disk, so a process killed at any moment leaves the
        earlier checkpoints intact.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for half in folder.glob("*epoch-*.npz.part"):
            half.unlink(missing_ok=True)
        target = folder / f"epoch-{self.epoch:05d}.npz"
        meta = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "epoch": self.epoch,
            "fingerprint": self.fingerprint,
            "state": self.state,
        }
        arrays = {_META: np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)}
        for name in ("weights", "optimizer", "best"):
            arrays |= {f"{name}-{place:05d}": array for place, array in enumerate(getattr(self, name))}
        with whole_file(target) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        # by age: after a restart there may be a damaged file of a later epoch, which must not displace this one
        others = sorted(set(_files(folder)) - {target}, key=lambda file: file.stat().st_mtime_ns)
        for old in others[: 1 - KEPT]:
            old.unlink(missing_ok=True)
        return target

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read one file.

        Raises NumPy's and zipfile's errors if it is damaged, CheckpointError if it is of another version.
        """
        with np.load(file, allow_pickle=False) as archive:
            meta = json.loads(archive[_META].tobytes())
            if meta["format"] != FORMAT or meta["format_version"] != FORMAT_VERSION:
                raise CheckpointError(
                    f"{file} has format {meta['format']} {meta['format_version']}, this program reads {FORMAT} "
                    f"{FORMAT_VERSION}: use the version of the program that wrote it, or start over"
                )
            # reading every array verifies every checksum
            arrays = {name: archive[name] for name in sorted(archive.files) if name != _META}
        parts = {
            part: [array for name, array in arrays.items() if name.startswith(f"{part}-")]
            for part in ("weights", "optimizer", "best")
        }
        return cls(epoch=meta["epoch"], fingerprint=meta["fingerprint"], state=meta["state"], **parts)


def latest_checkpoint(folder: Path, *, fingerprint: Mapping[str, Any]) -> Checkpoint | None:
    """Return the last readable checkpoint of a folder (which may be absent), or None.

    The fingerprint identifies the run that is to be resumed.

    Raises
    ------
    CheckpointError
        If the checkpoint belongs to another run (continuing would mix the two) or another version, or is not readable
        by this user.
    """
    for file in reversed(_files(folder)):
        try:
            found = Checkpoint.load(file)
        except CheckpointError:
            raise
        except PermissionError as error:
            raise CheckpointError(f"{file} is not readable ({error.strerror}): correct its permissions") from error
        except _DAMAGED as error:
            logger.warning("%s cannot be read (%s): continuing from the previous one", file, error)
            continue
        differing = differences(found.fingerprint, fingerprint)
        if differing:
            raise CheckpointError(
                f"{file} belongs to another training: {'; '.join(differing)}. Name another folder, or start over"
            )
        return found
    return None


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return ``key: found there, wanted here`` for all differences between two fingerprints."""
    there, here = _flat(found), _flat(wanted)
    return [
        f"{key} is {_short(there.get(key))} there, {_short(here.get(key))} here"
        for key in sorted(there.keys() | here.keys())
        if there.get(key) != here.get(key)
    ]


def _flat(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    # via JSON, so that a tuple equals the list read back
    flat: dict[str, Any] = {}
    for key, value in json.loads(json.dumps(fingerprint)).items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in _flat(value).items()}
        else:
            flat[key] = value
    return flat


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _files(folder: Path) -> list[Path]:
    named = [(int(found[1]), file) for file in folder.glob("epoch-*.npz") if (found := _NAME.fullmatch(file.name))]
    return [file for _, file in sorted(named)]
