"""The files of a bundle, written completely or not at all, and verified before use.

* ``model.keras``: the network; in an ensemble ``member-01.keras``, ``member-02.keras`` and so on.
* ``representation.json``: representation of the features, channel scaler, scaling of the energies.
* ``training.json``: the record of each member's training run.
* ``assessment.json`` and ``.npz``: calibration of the uncertainties, training data (both files or neither).
* ``README.md``: model card (may be absent).
* ``manifest.json``: format version, SHA-256 and size of each file, and two checksums: ``checksum``, the identity of the
  model, covers everything except the model card, ``manifest_checksum`` covers everything.

A model card quotes an evaluation that names the model by its checksum, so this checksum cannot cover the card.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from esnet.files.atomic import file_entry, sha256_of, sha256_of_json, whole_folder, write_whole
from esnet.files.errors import UserError

FORMAT = "esnet-bundle"
FORMAT_VERSION = 2

MANIFEST = "manifest.json"
MODEL = "model.keras"
REPRESENTATION = "representation.json"
TRAINING = "training.json"
ASSESSMENT = "assessment.json"
ASSESSMENT_ARRAYS = "assessment.npz"
CARD = "README.md"


class BundleError(UserError, ValueError):
    """The bundle cannot be used; the message names the directory, the file and the problem."""


class BundleExistsError(UserError, FileExistsError):
    """The path of a new bundle already exists; bundles are never overwritten."""


def default_work(bundle: Path) -> Path:
    """Return the working folder of a training, next to its bundle."""
    return bundle.with_name(f"{bundle.name}.work")


def refuse_existing(folder: Path) -> None:
    """Raise BundleExistsError, with the remedy, if the path exists."""
    if folder.exists() or folder.is_symlink():
        raise BundleExistsError(f"{folder} exists: a bundle is never overwritten; name another directory")


def member_names(n_members: int) -> list[str]:
    """Return the names of the networks' files."""
    return [MODEL] if n_members == 1 else [f"member-{number:02d}.keras" for number in range(1, n_members + 1)]


@contextmanager
def new_bundle(path: Path | str, *, n_members: int = 1) -> Iterator[Path]:
    """Yield a directory to fill, which becomes the bundle if the context ends without an exception.

    Parameters
    ----------
    path
        Directory to create; files are written to a temporary directory next to it.
    n_members
        Number of networks that the context writes, under the names from `member_names`.

    Raises
    ------
    BundleExistsError
        If ``path`` exists before or after the context.
    """
    with whole_folder(Path(path), refuse_existing=refuse_existing) as temporary:
        yield temporary
        write_json(temporary / MANIFEST, _new_manifest(temporary, member_names(n_members)))


def add_model_card(path: Path | str, text: str) -> None:
    """Add or replace a bundle's model card; the model's checksum is unchanged.

    Raises
    ------
    BundleError
        If the bundle is damaged.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    check_files(folder, manifest["files"])
    # an interrupted call leaves a complete bundle, with the old card, the new one or none
    without = {name: entry for name, entry in manifest["files"].items() if name != CARD}
    if CARD in manifest["files"]:
        write_whole(folder / MANIFEST, _as_json(_with_checksums(manifest | {"files": without})))
    write_whole(folder / CARD, text if text.endswith("\n") else text + "\n")
    files = without | {CARD: file_entry(folder / CARD)}
    write_whole(folder / MANIFEST, _as_json(_with_checksums(manifest | {"files": files})))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check a manifest, but not the files that it lists.

    Raises
    ------
    BundleError
        If it is missing, altered, of another format version, or lists files that do not belong to a bundle.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a directory: a bundle is one that contains {MANIFEST}")
    file = folder / MANIFEST
    manifest = read_json(file)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{file} is not the manifest of an ESNet bundle (no format: {FORMAT})")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            f"{file} has format version {manifest.get('format_version')!r}; this program reads "
            f"{FORMAT_VERSION}: use the program's version that wrote it, or train again"
        )
    if manifest.get("manifest_checksum") != _manifest_checksum(manifest):
        raise BundleError(f"{file} was altered: its checksum does not match its content")
    _check_lists(file, manifest)
    if manifest.get("checksum") != _model_checksum(manifest):
        raise BundleError(f"{file} was altered: the model's checksum is not that of its files")
    return manifest


def bundle_file_names(folder: Path) -> list[str]:
    """Return the names of all files in the directory that belong to the bundle."""
    return [MANIFEST, *sorted(read_manifest(folder)["files"])]


def check_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise BundleError naming the first missing or altered file."""
    for name, expected in files.items():
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing from the bundle")
        found = sha256_of(folder / name)
        if found != expected["sha256"]:
            raise BundleError(f"{folder / name} was altered: SHA-256 {found}, in {MANIFEST} it is {expected['sha256']}")


def read_json(file: Path) -> Any:
    """Read a JSON file of a bundle; raise BundleError, naming it, if it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(f"{file} is missing from the bundle") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{file} cannot be read as JSON: {error}") from error


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file; ValueError if a number is not finite."""
    file.write_text(_as_json(content), encoding="utf-8")


def _new_manifest(folder: Path, members: list[str]) -> dict[str, Any]:
    return _with_checksums(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "members": members,
            "files": {file.name: file_entry(file) for file in sorted(folder.iterdir())},
        }
    )


def _with_checksums(manifest: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: value for key, value in manifest.items() if key not in ("checksum", "manifest_checksum")}
    said["checksum"] = _model_checksum(said)
    return said | {"manifest_checksum": _manifest_checksum(said)}


def _model_checksum(manifest: Mapping[str, Any]) -> str:
    said = {key: value for key, value in manifest.items() if key not in ("checksum", "manifest_checksum")}
    files = {name: entry for name, entry in manifest["files"].items() if name != CARD}
    return sha256_of_json(said | {"files": files})


def _manifest_checksum(manifest: Mapping[str, Any]) -> str:
    return sha256_of_json({key: value for key, value in manifest.items() if key != "manifest_checksum"})


def _check_lists(file: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse names of files that do not belong to a bundle, so that no other file is ever opened."""
    members, files = manifest.get("members"), manifest.get("files")
    if not isinstance(members, list) or not isinstance(files, dict) or not members:
        raise BundleError(f"{file} has no members or no files")
    if members != member_names(len(members)):
        raise BundleError(f"{file} has the members {members}: must be {MODEL}, or member-01.keras and so on")
    if not all(isinstance(entry, dict) and isinstance(entry.get("sha256"), str) for entry in files.values()):
        raise BundleError(f"{file} lists a file without its SHA-256")
    needed = {*members, REPRESENTATION, TRAINING}
    optional = {ASSESSMENT, ASSESSMENT_ARRAYS}
    surplus = set(files) - needed - optional - {CARD}
    if needed - set(files) or surplus or len(optional & set(files)) == 1:
        raise BundleError(f"{file} lists the files {', '.join(sorted(files))}: must be {', '.join(sorted(needed))}")


def _as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
