"""Trained models in MongoDB: a bundle is stored once, by checksum, and fetched by the processes that use it."""

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridfs import GridFSBucket
from gridfs.errors import GridFSError

from campaign.scorers.esnet import corrections_of_model
from campaign.store.collections import SCHEMA_VERSION, CampaignStore, now
from campaign.store.documents import ModelSummary, ScorerBundle
from esnet.bundle.files import BundleError, bundle_file_names
from esnet.bundle.info import BundleInfo
from esnet.bundle.record import SINGLE_POINT
from esnet.files.errors import UserError
from esnet.graph.info import MANIFEST as GRAPH_MANIFEST
from esnet.graph.info import WEIGHTS, GraphBundleInfo, is_graph_bundle
from esnet.representation.features import Representation


class ModelLostError(UserError, LookupError):
    """A model that a campaign needs is not in the database; the message says how to restore it."""


class ModelEngineError(UserError, ValueError):
    """Model and campaign are of different engines."""


#: Errors from reading a GridFS file that lacks a chunk, or a damaged archive.
_DAMAGED = (GridFSError, tarfile.TarError, EOFError, ValueError)


def _bucket(store: CampaignStore) -> GridFSBucket:
    return GridFSBucket(store.database, bucket_name="bundles")


def register_bundle(
    store: CampaignStore, path: Path, *, expected: Representation | None = None, engine: str | None = None
) -> str:
    """Store a bundle; storing it again does nothing.

    Parameters
    ----------
    path
        Bundle directory, see `esnet.bundle.bundle`.
    expected
        Representation of the campaign's features.
    engine
        Engine that computes the campaign's DOS. If None, the model's engine is not checked.

    Returns
    -------
    str
        The bundle's checksum.

    Raises
    ------
    esnet.bundle.bundle.BundleError
        If the bundle is damaged or incomplete.
    esnet.representation.errors.RepresentationError
        If a setting of the representation differs; names it.
    ModelEngineError
        If the model was trained on the DOS of another engine.
    """
    info = BundleInfo.read(path, representation=expected, residual=SINGLE_POINT)
    if engine is not None:
        check_model_engine(info, engine)
    _store_once(store, path, info.checksum)
    return info.checksum


def register_graph_bundle(store: CampaignStore, path: Path) -> ScorerBundle:
    """Store the graph model of a scorer; storing it again does nothing.

    Returns
    -------
    ScorerBundle
        Its description for the campaign's document.

    Raises
    ------
    esnet.graph.info.GraphBundleError
        If its folder is damaged or incomplete.
    """
    info = GraphBundleInfo.read(path)
    _store_once(store, path, info.checksum)
    return {
        "path": str(path),
        "checksum": info.checksum,
        "network": info.kind.title,
        "corrections": info.corrections,
        "time": now(),
    }


def _checksum_of(folder: Path) -> str:
    """Return the checksum of the ESNet or graph model in a folder, after verifying all its files."""
    if is_graph_bundle(folder):
        return GraphBundleInfo.read(folder).checksum
    return BundleInfo.read(folder, residual=SINGLE_POINT).checksum


def _store_once(store: CampaignStore, path: Path, checksum: str) -> None:
    known = store.models.find_one({"_id": checksum}, ["file"])
    if known is None or not _is_whole(store, known["file"]):
        _upload(store, path, checksum)


def _upload(store: CampaignStore, path: Path, checksum: str) -> None:
    if is_graph_bundle(path):
        files, said = [GRAPH_MANIFEST, WEIGHTS], {"graph": GraphBundleInfo.read(path).to_dict()}
    else:
        info = BundleInfo.read(path, residual=SINGLE_POINT)
        files = bundle_file_names(path)
        said = {"representation": info.representation.to_dict(), "record": info.record.to_dict()}
    packed = io.BytesIO()
    # only files in the manifest; links (as in caches of downloaded models) are stored as the files they point to. Not
    # compressed: weights hardly shrink, and a Screen would have to wait for them to be unpacked
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        for file in files:
            archive.add(path / file, arcname=file)
    packed.seek(0)
    file_id = _bucket(store).upload_from_stream(f"{checksum}.tar", packed)
    document = {"_id": checksum, "schema_version": SCHEMA_VERSION, "file": file_id, **said, "created": now()}
    store.insert_missing(store.models, [document])
    store.models.update_one({"_id": checksum}, {"$set": {"file": file_id}})


def _is_whole(store: CampaignStore, file_id: Any) -> bool:
    """Whether the packed bundle is complete in the database."""
    try:
        with (
            tarfile.open(fileobj=_packed(store, file_id), mode="r:*") as archive,
            tempfile.TemporaryDirectory() as folder,
        ):
            archive.extractall(folder, filter="data")
            _checksum_of(Path(folder))
    except (*_DAMAGED, BundleError):
        return False
    return True


def _packed(store: CampaignStore, file_id: Any) -> io.BytesIO:
    packed = io.BytesIO()
    _bucket(store).download_to_stream(file_id, packed)
    packed.seek(0)
    return packed


def store_lost_bundle(store: CampaignStore, path: Path, checksum: str) -> bool:
    """Store a bundle again whose copy in the database is lost or damaged.

    Returns
    -------
    bool
        False if it is intact, or the folder holds another model.
    """
    known = store.models.find_one({"_id": checksum}, ["file"])
    if known is not None and _is_whole(store, known["file"]):
        return False
    try:
        found = _checksum_of(path)
    except BundleError:
        return False  # moved or changed since: the Screen that needs it reports it
    if found == checksum:
        _upload(store, path, checksum)
    return found == checksum


def model_summary(store: CampaignStore, checksum: str, *, source: str) -> ModelSummary:
    """Return the description of a model for a campaign's document."""
    found: Mapping[str, Any] | None = store.models.find_one({"_id": checksum})
    if found is None:
        raise LookupError(f"the database has no model {checksum}")
    return {
        "checksum": checksum,
        "representation": found["representation"],
        "n_structures": found["record"]["n_materials"],
        "corrections": corrections_of_model(found["record"]["data_source"]),
        "source": source,
    }


def training_versions(store: CampaignStore, checksum: str) -> dict[str, str] | None:
    """Return the versions of the packages that a model was trained with; None if the database has none."""
    record = (store.models.find_one({"_id": checksum}, ["record.versions"]) or {}).get("record") or {}
    versions = record.get("versions")
    return versions if isinstance(versions, dict) else None


def check_model_engine(info: BundleInfo, engine: str) -> None:
    """Refuse a model trained on another engine's DOS, whose absolute energies and projections differ.

    Raises
    ------
    ModelEngineError
        Names both engines. A model that does not state the origin of its samples passes.
    """
    trained_on = info.record.data_source.get("engine")
    if trained_on is not None and trained_on != engine:
        raise ModelEngineError(
            f"spec.campaign.model.bundle: {info.path} was trained on DOS computed by {trained_on}, and dft.engine is "
            f"{engine}; right: a model trained on DOS of {engine}, or null"
        )


def fetch_bundle(store: CampaignStore, checksum: str) -> Path:
    """Return the directory of a stored bundle on this machine, fetching it into the cache if necessary.

    Raises
    ------
    ModelLostError
        If the database has no such model.
    esnet.bundle.bundle.BundleError
        If the stored model is damaged or has another checksum.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "esnet-campaign" / "bundles"
    target = cache / checksum
    if target.is_dir():
        _require_model(target, checksum, f"remove {target}; the model is then fetched again")
        return target
    remedy = (
        "if the campaign file names the bundle, `campaign submit FILE` stores it again; otherwise copy "
        f"{target} from a machine that has scored with it"
    )
    found = store.models.find_one({"_id": checksum}, ["file"])
    if found is None:
        raise ModelLostError(f"the database has no model {checksum}; {remedy}")
    cache.mkdir(parents=True, exist_ok=True)
    unpacked = Path(tempfile.mkdtemp(dir=cache, prefix=f".{checksum[:8]}-"))
    try:
        try:
            packed = _packed(store, found["file"])
        except GridFSError as error:
            raise BundleError(f"model {checksum} is incomplete in the database ({error}); {remedy}") from error
        try:
            with tarfile.open(fileobj=packed, mode="r:*") as archive:  # compressed in databases of earlier versions
                archive.extractall(unpacked, filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise BundleError(f"model {checksum} is damaged in the database; {remedy}") from error
        _require_model(unpacked, checksum, f"the copy in the database is damaged; {remedy}")
        try:
            unpacked.rename(target)
        except OSError:
            # another process came first: either directory holds the same bundle
            if not target.is_dir():
                raise
    finally:
        if unpacked.is_dir():
            shutil.rmtree(unpacked)
    return target


def _require_model(folder: Path, checksum: str, hint: str) -> None:
    """Refuse a directory that does not contain this model completely."""
    try:
        found = _checksum_of(folder)
    except BundleError as error:
        raise BundleError(f"{error}; {hint}") from error
    if found != checksum:
        raise BundleError(f"{folder} holds the model {found}, must be {checksum}; {hint}")
