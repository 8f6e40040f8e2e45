"""Manifest of a trained graph model's folder, read without torch.

* ``manifest.json``: format version, kind, settings, elements, scaling of the energies, calibration, origin of the
  samples, SHA-256 and size of each file, and ``checksum``, the identity of the model, over all of these.
* ``weights.npz``: the weights by name, as NumPy arrays (never pickled).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from esnet.bundle.files import BundleError, check_files
from esnet.bundle.uncertainty import Calibration
from esnet.dataset.corrections import stated_corrections
from esnet.files.atomic import sha256_of_json
from esnet.graph.kinds import KINDS, GraphKind
from esnet.representation.scaling import TargetScaling

FORMAT = "esnet-graph-bundle"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.npz"


class GraphBundleError(BundleError):
    """A trained graph model cannot be used; the message names the folder and the problem."""


@dataclass(frozen=True, kw_only=True)
class GraphBundleInfo:
    """Content of the manifest of a trained graph model.

    Attributes
    ----------
    path
        Folder of the model.
    checksum
        SHA-256 that identifies the model.
    kind
        Kind of network.
    n_parameters
        Number of parameters of the network.
    elements
        Symbols of the elements in the training samples; the model predicts no others.
    target_scaling
        Mean and standard deviation of the energies of the training part, eV/atom.
    calibration
        Calibration of the standard deviations; None with too few validation samples.
    dropout_seed
        Seed of the passes of CGCNN-HD.
    training
        Settings, parts, epochs, errors and versions, in JSON types.
    data_source
        Origin of the samples, as stated by their data set.
    """

    path: Path
    checksum: str
    kind: GraphKind
    n_parameters: int
    elements: tuple[str, ...]
    target_scaling: TargetScaling
    calibration: Calibration | None
    dropout_seed: int
    training: Mapping[str, Any]
    data_source: Mapping[str, Any]

    @property
    def corrections(self) -> str | None:
        """Corrections in its energies, ``none`` or ``mp2020``; None if not stated by its data set."""
        return stated_corrections(self.data_source)

    def unknown_elements(self, symbols: Iterable[str]) -> list[str]:
        """Return the given elements that are absent from the training samples."""
        return sorted(set(symbols) - set(self.elements))

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read and check a folder; the weights are only verified by their checksum.

        Raises
        ------
        GraphBundleError
            If a file is missing, altered, or of another format version.
        """
        folder = Path(path)
        content = read_manifest(folder)
        check_files(folder, content["files"])
        try:
            calibration = content["calibration"]
            return cls(
                path=folder,
                checksum=content["checksum"],
                kind=KINDS[content["kind"]],
                n_parameters=content["n_parameters"],
                elements=tuple(content["elements"]),
                target_scaling=TargetScaling(**content["target_scaling"]),
                calibration=None if calibration is None else Calibration.from_dict(calibration),
                dropout_seed=content["dropout_seed"],
                training=content["training"],
                data_source=content["data_source"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise GraphBundleError(f"{folder / MANIFEST} cannot be used: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the manifest, except for the fields added by `with_identity`."""
        return {
            "kind": self.kind.name,
            "n_parameters": self.n_parameters,
            "elements": list(self.elements),
            "target_scaling": {"mean": self.target_scaling.mean, "deviation": self.target_scaling.deviation},
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "dropout_seed": self.dropout_seed,
            "training": dict(self.training),
            "data_source": dict(self.data_source),
        }


def is_graph_bundle(folder: Path) -> bool:
    """Return whether a folder appears to contain a trained graph model."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check a manifest, but not the files that it lists.

    Raises
    ------
    GraphBundleError
        If it is missing, altered, of another format version, or lists files that do not belong to such a model.
    """
    file = folder / MANIFEST
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise GraphBundleError(
            f"{folder} is not the folder of a trained graph model: {MANIFEST} cannot be read ({error.strerror})"
        ) from error
    except ValueError as error:
        raise GraphBundleError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise GraphBundleError(
            f"{file} is not that of a trained graph model (no format: {FORMAT}); `esnet benchmark --save-models` "
            "writes one"
        )
    if content.get("format_version") != FORMAT_VERSION:
        raise GraphBundleError(
            f"{file} has format version {content.get('format_version')!r}; this program reads {FORMAT_VERSION}: use "
            "the program's version that wrote it, or train again"
        )
    if content.get("checksum") != _checksum(content):
        raise GraphBundleError(f"{file} was altered: its checksum does not match its content")
    files = content.get("files")
    entry = files.get(WEIGHTS) if isinstance(files, dict) and len(files) == 1 else None
    if not isinstance(entry, dict) or "sha256" not in entry:
        raise GraphBundleError(f"{file} lists other files than {WEIGHTS}")
    return content


def with_identity(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with its format version and checksum added."""
    said = {"format": FORMAT, "format_version": FORMAT_VERSION, **content}
    return said | {"checksum": _checksum(said)}


def _checksum(content: Mapping[str, Any]) -> str:
    return sha256_of_json({key: value for key, value in content.items() if key != "checksum"})
