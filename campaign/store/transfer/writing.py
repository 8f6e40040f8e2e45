"""Writing of an import: the campaign's document first, marked as being imported, then all parts, then its state.

Each document is inserted once by its ``_id``, so an interrupted import is completed by the next one. A campaign being
imported cannot be opened (`campaign.store.campaigns`), and none of its fireworks exist.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bson import decode, encode
from bson.raw_bson import RawBSONDocument
from fireworks import LaunchPad
from pymongo.errors import BulkWriteError, DuplicateKeyError

from campaign.spec.stored_spec import read_stored_spec
from campaign.store.campaigns import campaign_exists
from campaign.store.collections import CampaignStore, Document, exists, now
from campaign.store.fireworks import next_fw_ids
from campaign.store.states import CampaignState
from campaign.store.transfer.archive import Archive
from campaign.store.transfer.manifest import COLLECTIONS, OF_CAMPAIGN, ArchiveError, part_name
from campaign.store.transfer.numbers import raise_numbers, raised_id
from campaign.store.transfer.reading import CODEC
from esnet.files.errors import UserError
from launchers.database.job_store import DATA_COLLECTION, OUTPUTS_COLLECTION

_PORTION, _PORTION_BYTES = 500, 8 * 1024**2
_DUPLICATE = 11000
_NUMBERED = frozenset({"candidates", "references", "steps", "attempts"})
_BUCKETS = ("bundles", DATA_COLLECTION)


class ImportRefusedError(UserError, ValueError):
    """Another campaign of that name exists; the message says what would be right."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """State, in a database, of the campaign in a file.

    Attributes
    ----------
    what
        ``absent``; ``begun`` by an interrupted import of this file; ``imported`` from this file before.
    shift
        Shift of its firework ids; None if absent.
    """

    what: Literal["absent", "begun", "imported"]
    shift: int | None = None


def standing_of(store: CampaignStore, archive: Archive) -> Standing:
    """Return the state in the database of the campaign in a file.

    Raises
    ------
    ImportRefusedError
        If another campaign of that name exists, or remains of one.
    """
    name = archive.manifest.campaign
    if not campaign_exists(store, name):
        if left := [kind for kind in OF_CAMPAIGN if exists(store.database[kind], {"campaign": name})]:
            raise ImportRefusedError(
                f"the database has no campaign {name!r}, but remains of one in {', '.join(left)}, which the file must "
                "not be mixed with; right: another database (`name` in my_launchpad.yaml), or `campaign delete` first"
            )
        return Standing(what="absent")
    document = store.campaigns.find_one({"_id": name}, ["state", "imported"]) or {}
    imported = document.get("imported") or {}
    if imported.get("sha256") == archive.sha256:
        begun = document["state"] == CampaignState.IMPORTING
        return Standing(what="begun" if begun else "imported", shift=imported["shift"])
    if document["state"] == CampaignState.IMPORTING:
        raise ImportRefusedError(
            f"an import of campaign {name!r} from another file ({imported.get('file')}, SHA-256 "
            f"{imported.get('sha256')}) was interrupted: complete that one, or remove it with `campaign delete {name}`"
        )
    raise ImportRefusedError(
        f"a campaign {name!r} already exists, which does not come from this file; right: another database (`name` in "
        f"my_launchpad.yaml), or `campaign delete {name}` first. The ids of its candidates contain its name, so it "
        "cannot be renamed"
    )


def check_documents(archive: Archive) -> None:
    """Refuse a file with documents of any other campaign than the one it names, before anything is written.

    Raises
    ------
    ArchiveError
        Names the part.
    StoredSpecError
        If the campaign's settings are invalid here, e.g. because a plugin is missing.
    """
    name = archive.manifest.campaign
    for collection in OF_CAMPAIGN:
        for document in archive.documents(collection):
            if document.get("campaign") != name or "_id" not in document:
                raise ArchiveError(
                    f"{archive.path}: {part_name(collection)}: {document.get('_id')!r} is of the campaign "
                    f"{document.get('campaign')!r}, right: {name!r}"
                )
    own = campaign_in(archive)
    for changed in (None, own.get("settings")):
        if read_stored_spec(name, own.get("spec"), changed).name != name:
            raise ArchiveError(f"{archive.path}: {part_name('campaigns')}: the settings are of another campaign")


def campaign_in(archive: Archive) -> Document:
    """Return the campaign's document from a file."""
    manifest = archive.manifest
    if manifest.parts["campaigns"].documents != 1:
        raise ArchiveError(f"{archive.path}: {part_name('campaigns')} is not one document")
    found = [decode(document.raw, codec_options=CODEC) for document in archive.documents("campaigns")]
    fields = {"_id": manifest.campaign, "state": manifest.state, "schema_version": manifest.schema_version}
    if len(found) != 1 or any(found[0].get(key) != value for key, value in fields.items()):
        raise ArchiveError(f"{archive.path}: {part_name('campaigns')} is not the document of {manifest.campaign!r}")
    return found[0]


def begin_import(
    store: CampaignStore, launchpad: LaunchPad, archive: Archive, *, worker: Callable[[], str | None]
) -> Standing:
    """Write the campaign's document, marked as being imported, unless it exists.

    Parameters
    ----------
    worker
        Returns the name of the only FireWorker that may take the campaign's fireworks here; None for any.
    """
    found = standing_of(store, archive)
    if found.what != "absent":
        return found
    least, most = archive.manifest.fw_ids or (0, 0)
    shift = next(next_fw_ids(launchpad, most - least + 1)) - least
    document = campaign_in(archive) | {"state": CampaignState.IMPORTING, "worker": worker()}
    document["imported"] = {
        "sha256": archive.sha256,
        "file": archive.path.name,
        "written": archive.manifest.written,
        "shift": shift,
        "begun": now(),
    }
    try:
        store.campaigns.insert_one(document)
    except DuplicateKeyError:  # another process is importing it, from this file or another
        return standing_of(store, archive)
    return Standing(what="begun", shift=shift)


def write_documents(store: CampaignStore, archive: Archive, *, shift: int, on_part: Callable[[str, int], None]) -> None:
    """Insert the new documents of every part.

    Parameters
    ----------
    on_part
        Called with the name of a collection and the number of documents processed.
    """
    for bucket in _BUCKETS:
        _ensure_gridfs_indexes(store, bucket)
    passed_over = _models_here(store, archive)
    for collection in COLLECTIONS[1:]:
        documents = _prepared(archive, collection, shift, passed_over)
        for chunk in _in_portions(documents):
            _insert(store, collection, chunk)
            on_part(collection, len(chunk))


def _in_portions(documents: Iterable[RawBSONDocument]) -> Iterator[list[RawBSONDocument]]:
    """Yield documents in lists of limited length and size; outputs may have megabytes."""
    portion: list[RawBSONDocument] = []
    size = 0
    for document in documents:
        portion.append(document)
        size += len(document.raw)
        if len(portion) == _PORTION or size > _PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _prepared(archive: Archive, collection: str, shift: int, passed_over: set[Any]) -> Iterator[RawBSONDocument]:
    """Yield the documents of a part as they are to be stored here."""
    file_key = {"bundles.files": "_id", "bundles.chunks": "files_id"}.get(collection)
    for document in archive.documents(collection):
        if file_key is not None and document.get(file_key) in passed_over:
            continue
        if collection not in _NUMBERED:
            yield document
            continue
        content = decode(document.raw, codec_options=CODEC)
        raise_numbers(content, shift)
        if collection == "attempts":
            content["_id"] = raised_id(content["_id"], shift)
            # a folder of the original database: nothing here may read, complete or delete its content
            if (folder := content.pop("directory", None)) is not None:
                content["directory_there"] = folder
        yield RawBSONDocument(encode(content))


def _models_here(store: CampaignStore, archive: Archive) -> set[Any]:
    """Return the GridFS ids, in the file, of models that this database already has under another id."""
    passed_over = set()
    for model in archive.documents("models"):
        here = store.models.find_one({"_id": model["_id"]}, ["file"])
        if here is not None and here.get("file") != model.get("file"):
            passed_over.add(model.get("file"))
    return passed_over


def _insert(store: CampaignStore, collection: str, documents: list[RawBSONDocument]) -> None:
    target = store.database[collection]
    if collection == OUTPUTS_COLLECTION:
        # an earlier campaign of that name may have computed the same, with other output ids
        uuids = [document.get("uuid") for document in documents]
        known = target.find({"uuid": {"$in": uuids}}, ["uuid", "index"])
        there = {(found["uuid"], found.get("index")) for found in known}
        documents = [each for each in documents if (each.get("uuid"), each.get("index")) not in there]
        if not documents:
            return
    try:
        target.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        # ignore duplicates: from an interrupted import, or shared by campaigns
        if any(each["code"] != _DUPLICATE for each in error.details["writeErrors"]):
            raise


def _ensure_gridfs_indexes(store: CampaignStore, bucket: str) -> None:
    """Create the indexes that the driver creates with its first upload."""
    for suffix, keys in (("files", ["filename", "uploadDate"]), ("chunks", ["files_id", "n"])):
        collection = store.database[f"{bucket}.{suffix}"]
        index = [(key, 1) for key in keys]
        if index not in [list(entry["key"]) for entry in collection.index_information().values()]:
            collection.create_index(index, unique=suffix == "chunks")


def complete_import(store: CampaignStore, archive: Archive) -> None:
    """Restore the state of an imported campaign, which can then be opened.

    Raises
    ------
    ArchiveError
        If documents of the file are missing from the database.
    """
    name = archive.manifest.campaign
    importing = {"_id": name, "state": CampaignState.IMPORTING}
    if not exists(store.campaigns, importing):
        if not exists(store.campaigns, {"_id": name, "imported.sha256": archive.sha256}):
            raise ImportRefusedError(f"campaign {name!r} was deleted while it was imported")
        return  # another process has completed it
    for collection in OF_CAMPAIGN:
        expected = archive.manifest.parts[collection].documents
        found = store.database[collection].count_documents({"campaign": name})
        if found != expected:
            raise ArchiveError(
                f"campaign {name!r}: {collection} has {found} documents after the import, right: {expected}; "
                "import the file again"
            )
    done = {"state": archive.manifest.state, "imported.completed": now()}
    store.campaigns.update_one(importing, {"$set": done})


def is_from_file(document: Mapping[str, Any], archive: Archive, fw_id: int) -> bool:
    """Whether a firework id comes from the file, so that no such firework ever existed in this database."""
    shift, fw_ids = (document.get("imported") or {}).get("shift"), archive.manifest.fw_ids
    return shift is not None and fw_ids is not None and fw_ids[0] + shift <= fw_id <= fw_ids[1] + shift
