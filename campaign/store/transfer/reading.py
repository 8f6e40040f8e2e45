"""Reading for an export: a campaign's documents in one snapshot, then the data that they refer to.

In MongoDB's snapshot (``start_session(snapshot=True)``) campaign, candidates, references, steps and ledger are
consistent, however long reading takes and whoever writes meanwhile. Features and outputs are written before the
document that refers to them and never changed, so they are read afterwards, outside the snapshot, which the server
keeps for five minutes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import decode, encode
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from campaign.store.campaigns import Campaign
from campaign.store.collections import SCHEMA_VERSION, CampaignStore, Document, in_chunks, now
from campaign.store.states import STAGES, CampaignState
from campaign.store.transfer.archive import ArchiveWriter
from campaign.store.transfer.manifest import Manifest
from campaign.store.transfer.numbers import close_entry, fireworks_of, put_to_rest
from esnet.files.errors import UserError
from launchers.database.job_store import DATA_COLLECTION, OUTPUTS_COLLECTION

#: Uuids of a calculation's jobs, by document id, stage and number of the try.
JobUuids = Callable[[str, str, int], list[str]]
#: Dates beyond Python's range are kept undecoded.
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_CHUNK = 500
_SNAPSHOT_TOO_OLD, _SNAPSHOT_UNAVAILABLE = 239, 246


class ExportError(UserError, RuntimeError):
    """A campaign cannot be exported now; the message says why and what would be right."""


@dataclass
class Exported:
    """Facts noted while a campaign was read.

    Attributes
    ----------
    interrupted
        Number of queued or running calculations; in the file they are not started.
    running
        Number of running attempts.
    missing
        Checksums of models missing from the database.
    """

    interrupted: int = 0
    running: int = 0
    missing: list[str] = field(default_factory=list)
    fw_ids: tuple[int, int] | None = None

    def note_fireworks(self, numbers: Iterable[int]) -> None:
        """Update the smallest and the largest firework id."""
        for number in numbers:
            least, most = self.fw_ids or (number, number)
            self.fw_ids = min(least, number), max(most, number)


def write_parts(campaign: Campaign, archive: ArchiveWriter, job_uuids: JobUuids, *, program: str) -> Exported:
    """Write all documents of a campaign into an archive and close it, in constant memory.

    Parameters
    ----------
    job_uuids
        Returns the uuids of a calculation's outputs in the JobStore.
    program
        Version of this program.

    Raises
    ------
    ExportError
        If the campaign is still being started, or its documents take longer to read than the server keeps a snapshot.
    """
    store, name, time = campaign.store, campaign.name, now()
    seen = Exported()
    try:
        with store.database.client.start_session(snapshot=True) as session:
            document = _write_campaign(store, name, archive, session)
            _write_structures(store, name, archive, session, seen, time)
            _write_steps_and_ledger(store, name, archive, session, seen, time)
    except OperationFailure as error:
        if error.code == _SNAPSHOT_UNAVAILABLE:
            raise ExportError(
                f"campaign {name!r}: the database created an index in the meantime; repeat the command"
            ) from error
        if error.code != _SNAPSHOT_TOO_OLD:
            raise
        raise ExportError(
            f"campaign {name!r}: its documents took longer to read than the server keeps a snapshot (setParameter "
            "minSnapshotHistoryWindowInSeconds, 300 s): raise that, or export when the database is less busy"
        ) from error
    _write_shared(store, document, archive, seen)
    for kind in ("left_out", "events"):
        _write_raw(archive, kind, _raw(store, kind, {"campaign": name}))
    _write_raw(archive, "features", store.features.with_options(codec_options=_RAW).find({"campaign": name}))
    _write_outputs(store, name, archive, job_uuids)
    archive.close(
        Manifest(
            campaign=name,
            state=document["state"],
            schema_version=SCHEMA_VERSION,
            program=program,
            written=datetime.now(UTC).isoformat(timespec="seconds"),
            fw_ids=seen.fw_ids,
            interrupted=seen.interrupted,
            parts=archive.parts,
        )
    )
    return seen


def _write_campaign(store: CampaignStore, name: str, archive: ArchiveWriter, session: ClientSession) -> Document:
    found = _decoded(store, "campaigns", {"_id": name}, session)
    document = next(found, None)
    if document is None or document["state"] not in (CampaignState.RUNNING, CampaignState.FINISHED):
        raise ExportError(
            f"campaign {name!r} is {'gone' if document is None else document['state']}: not all of its documents "
            "exist; complete its start with `campaign submit FILE`, then export it"
        )
    with archive.part("campaigns") as write:
        write(encode(document))
    return document


def _write_structures(
    store: CampaignStore, name: str, archive: ArchiveWriter, session: ClientSession, seen: Exported, time: datetime
) -> None:
    for collection in ("candidates", "references"):
        with archive.part(collection) as write:
            for document in _decoded(store, collection, {"campaign": name}, session):
                seen.interrupted += put_to_rest(document, time=time)
                seen.note_fireworks(fireworks_of(document))
                write(encode(document))


def _write_steps_and_ledger(
    store: CampaignStore, name: str, archive: ArchiveWriter, session: ClientSession, seen: Exported, time: datetime
) -> None:
    for collection in ("steps", "attempts"):
        with archive.part(collection) as write:
            for document in _decoded(store, collection, {"campaign": name}, session):
                if collection == "attempts":
                    seen.running += document.get("outcome") == "running"
                    close_entry(document, time=time)
                seen.note_fireworks(fireworks_of(document))
                write(encode(document))


def _write_shared(store: CampaignStore, document: Document, archive: ArchiveWriter, seen: Exported) -> None:
    """Write the reference sets and models that a campaign made or uses."""
    named = [checksum for key in ("reference_set", "imported_references") if (checksum := document.get(key))]
    named += document.get("previous_reference_sets") or []
    sets = store.reference_sets.with_options(codec_options=_RAW)
    found = sets.find({"$or": [{"campaign": document["_id"]}, {"_id": {"$in": named}}]})
    _write_raw(archive, "reference_sets", found)
    every = [model for model in (document.get("model"), *(document.get("models") or [])) if model]
    every += document.get("scorer_bundles") or []
    checksums = sorted({model[key] for model in every for key in ("checksum", "initial") if model.get(key)})
    models = list(store.models.with_options(codec_options=_RAW).find({"_id": {"$in": checksums}}))
    seen.missing = sorted(set(checksums) - {str(model["_id"]) for model in models})
    _write_raw(archive, "models", models)
    files = [model["file"] for model in models if "file" in model]
    _write_raw(archive, "bundles.files", _raw(store, "bundles.files", {"_id": {"$in": files}}))
    _write_raw(archive, "bundles.chunks", _raw(store, "bundles.chunks", {"files_id": {"$in": files}}))


def _write_outputs(store: CampaignStore, name: str, archive: ArchiveWriter, job_uuids: JobUuids) -> None:
    """Write the outputs of all tries of the campaign's calculations, with their large objects in GridFS."""
    files = f"{DATA_COLLECTION}.files"
    with archive.part(OUTPUTS_COLLECTION) as write:
        for uuids in _uuids(store, name, job_uuids):
            for output in _raw(store, OUTPUTS_COLLECTION, {"uuid": {"$in": uuids}}):
                write(bytes(output.raw))
    with archive.part(files) as write:
        for uuids in _uuids(store, name, job_uuids):
            for file in _raw(store, files, {"metadata.job_uuid": {"$in": uuids}}):
                write(bytes(file.raw))
    with archive.part(f"{DATA_COLLECTION}.chunks") as write:
        for uuids in _uuids(store, name, job_uuids):
            for named in store.database[files].find({"metadata.job_uuid": {"$in": uuids}}, ["_id"]):
                for chunk in _raw(store, f"{DATA_COLLECTION}.chunks", {"files_id": named["_id"]}):
                    write(bytes(chunk.raw))


def _uuids(store: CampaignStore, name: str, job_uuids: JobUuids) -> Iterator[list[str]]:
    """Yield the uuids of all jobs of a campaign in chunks."""
    fields = [f"{stage.fields}.{key}" for stage in STAGES.values() for key in ("attempt", "reused_from")]
    for documents in in_chunks(store.find_structures({"campaign": name}, fields), _CHUNK):
        yield [uuid for document in documents for tried in tries_of(document) for uuid in job_uuids(*tried)]


def tries_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield every try of every calculation of a document: document id, stage and number.

    A reused calculation is that of the document it was computed for.
    """
    for stage in STAGES.values():
        facts = document.get(stage.fields) or {}
        if facts.get("attempt") is not None:
            yield from ((document["_id"], stage.name, number) for number in range(facts["attempt"] + 1))
        if origin := facts.get("reused_from"):
            yield origin["document"], stage.name, origin["attempt"]


def _decoded(
    store: CampaignStore, collection: str, query: Mapping[str, Any], session: ClientSession
) -> Iterator[Document]:
    found = store.database[collection].with_options(codec_options=_RAW).find(query, session=session)
    for raw in found:
        yield decode(raw.raw, codec_options=CODEC)


def _raw(store: CampaignStore, collection: str, query: Mapping[str, Any]) -> Iterator[RawBSONDocument]:
    yield from store.database[collection].with_options(codec_options=_RAW).find(query)


def _write_raw(archive: ArchiveWriter, collection: str, documents: Iterable[RawBSONDocument]) -> None:
    with archive.part(collection) as write:
        for document in documents:
            write(bytes(document.raw))
