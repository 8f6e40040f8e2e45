"""Deletion of a campaign, one kind of document at a time.

Every function may be interrupted and repeated: documents needed to find others are deleted last.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pymongo.collection import Collection

from campaign.store.campaigns import UnknownCampaignError, campaign_names
from campaign.store.collections import OUR_CAMPAIGNS, SCHEMA_VERSION, CampaignStore, Document, exists, in_chunks, now
from campaign.store.documents import DeletionDocument, stage_fields
from campaign.store.states import STAGES, CampaignState, StageName
from launchers.database.job_store import DATA_COLLECTION, OUTPUTS_COLLECTION

_CHUNK = 1000
_BUNDLES = "bundles"
#: Bucket in which FireWorks stores launch results that are too large for one document.
_LARGE_ACTIONS = "fw_gridfs"


class Tries(NamedTuple):
    """Tries of a calculation whose outputs may be in the JobStore, numbered from 0."""

    document: str
    stage: StageName
    latest: int


def read_for_deletion(store: CampaignStore, name: str) -> Document:
    """Read a campaign's document without validation, so that a damaged campaign can be deleted too.

    Remains of a campaign without a document get one, so that they can be deleted.

    Raises
    ------
    UnknownCampaignError
        If there is no such campaign; lists the existing ones.
    """
    found = store.campaigns.find_one({"_id": name, **OUR_CAMPAIGNS})
    if found is None and any(exists(collection, {"campaign": name}) for collection in _of_campaign(store).values()):
        # kept by an earlier deletion, or written by an import next to it
        remains = {"_id": name, "schema_version": SCHEMA_VERSION, "n_screened": 0, "state": CampaignState.STARTING}
        store.campaigns.insert_one(remains)
        return remains
    if found is None:
        known = ", ".join(campaign_names(store)) or "none"
        raise UnknownCampaignError(f"there is no campaign {name!r} to delete: this database has {known}")
    return found


def mark_deleting(store: CampaignStore, name: str, *, outputs: bool, features: bool, files: bool) -> DeletionDocument:
    """Mark a campaign as being deleted; return the scope of the deletion, as decided by its first call."""
    chosen = {"outputs": outputs, "features": features, "files": files}
    begun = {"deletion": {"was": "$state", "began": now(), **chosen}, "state": CampaignState.DELETING}
    store.campaigns.update_one({"_id": name, "state": {"$ne": CampaignState.DELETING}}, [{"$set": begun}])
    found: DeletionDocument = (store.campaigns.find_one({"_id": name}, ["deletion"]) or {}).get("deletion") or {}
    return found


def unmark_deleting(store: CampaignStore, name: str) -> None:
    """Restore the state of a campaign of which nothing has been deleted yet."""
    restore: list[dict[str, Any]] = [{"$set": {"state": "$deletion.was"}}, {"$unset": "deletion"}]
    store.campaigns.update_one({"_id": name, "state": CampaignState.DELETING}, restore)


def launch_places(store: CampaignStore, name: str) -> Iterator[str]:
    """Yield the launch directories of a campaign, some of them repeatedly."""
    fireworks, launches = (store.database[collection] for collection in ("fireworks", "launches"))
    ids = (found["fw_id"] for found in fireworks.find(_fireworks_of(name), ["fw_id"]))
    for chunk in in_chunks(ids, _CHUNK):
        for launch in launches.find({"fw_id": {"$in": chunk}}, ["launch_dir"]):
            yield str(launch["launch_dir"])
    # attempts whose fireworks were deleted with lpad
    for entry in store.attempts.find({"campaign": name, "directory": {"$type": "string"}}, ["directory"]):
        yield str(entry["directory"])


def _fireworks_of(name: str) -> dict[str, Any]:
    """Return the MongoDB filter of a campaign's fireworks, including the one that `lpad add` made from its file."""
    return {"$or": [{"spec.campaign_name": name}, {"name": name, "spec.campaign": {"$exists": True}}]}


def delete_fireworks(store: CampaignStore, name: str) -> int:
    """Delete a campaign's launches, fireworks and workflows; return the number of fireworks."""
    fireworks, launches, workflows = (store.database[each] for each in ("fireworks", "launches", "workflows"))
    deleted = 0
    found = [firework["fw_id"] for firework in fireworks.find(_fireworks_of(name), ["fw_id"])]
    for chunk in in_chunks(found, _CHUNK):
        of_these = {"fw_id": {"$in": chunk}}
        large = [launch["launch_id"] for launch in launches.find(of_these, ["launch_id"])]
        _delete_files(store, _LARGE_ACTIONS, {"metadata.launch_id": {"$in": large}})
        launches.delete_many(of_these)
        workflows.delete_many({"nodes": {"$in": chunk}})
        deleted += fireworks.delete_many(of_these).deleted_count
    workflows.delete_many({"metadata.campaign": name})
    return deleted


def tries_of(store: CampaignStore, name: str) -> Iterator[Tries]:
    """Yield every calculation of a campaign that has been tried."""
    fields = [f"{stage.fields}.attempt" for stage in STAGES.values()]
    for document in store.find_structures({"campaign": name}, fields):
        for stage in STAGES.values():
            if (latest := stage_fields(document, stage).get("attempt")) is not None:
                yield Tries(document["_id"], stage.name, int(latest))


def taken_over(store: CampaignStore, name: str) -> Iterator[Tries]:
    """Yield the calculations of a campaign that others reuse, with the try that they use (``latest``)."""
    # `$exists`: lets a sparse index answer
    query = {"reused_from.campaign": name, "campaign": {"$ne": name}}
    yield from _reused(store, query)


def taken_over_from_deleted(store: CampaignStore, name: str) -> Iterator[Tries]:
    """Yield calculations of deleted campaigns that only this campaign still uses."""
    there = campaign_names(store)
    mine = set(_reused(store, {"campaign": name, "reused_from.campaign": {"$type": "string", "$nin": there}}))
    if not mine:
        return
    others = {"campaign": {"$ne": name, "$in": there}, "reused_from.campaign": {"$type": "string", "$nin": there}}
    yield from mine.difference(_reused(store, others))


def _reused(store: CampaignStore, query: Mapping[str, Any]) -> Iterator[Tries]:
    for entry in store.attempts.find(query, ["stage", "reused_from.document", "reused_from.attempt"]):
        origin = entry["reused_from"]
        yield Tries(origin["document"], entry["stage"], int(origin["attempt"]))


def delete_outputs(store: CampaignStore, uuids: Sequence[str]) -> int:
    """Delete the outputs of jobs with their large objects; return the number of outputs."""
    _delete_files(store, DATA_COLLECTION, {"metadata.job_uuid": {"$in": list(uuids)}})
    return store.database[OUTPUTS_COLLECTION].delete_many({"uuid": {"$in": list(uuids)}}).deleted_count


def _delete_files(store: CampaignStore, bucket: str, query: Mapping[str, Any]) -> None:
    """Delete GridFS files, chunks first."""
    files: Collection[Document] = store.database[f"{bucket}.files"]
    ids = [found["_id"] for found in files.find(query, ["_id"])]
    if ids:
        store.database[f"{bucket}.chunks"].delete_many({"files_id": {"$in": ids}})
        files.delete_many({"_id": {"$in": ids}})


def delete_features(store: CampaignStore, name: str) -> int:
    """Delete the stored DOS of a campaign; return their number."""
    return store.features.delete_many({"campaign": name}).deleted_count


def delete_reference_sets(store: CampaignStore, document: Mapping[str, Any]) -> int:
    """Delete reference sets that a campaign stored or used and no other one uses; return their number."""
    name = document["_id"]
    mine = {found["_id"] for found in store.reference_sets.find({"campaign": name}, ["_id"])}
    mine |= {document.get("reference_set"), document.get("imported_references")} - {None}
    mine |= set(document.get("previous_reference_sets") or [])
    others = {"_id": {"$ne": name}}
    used = {
        checksum
        for field in ("reference_set", "imported_references", "previous_reference_sets")
        for checksum in store.campaigns.distinct(field, {**others, field: {"$in": sorted(mine)}})
    }
    return store.reference_sets.delete_many({"_id": {"$in": sorted(mine - used)}}).deleted_count


def delete_models(store: CampaignStore, document: Mapping[str, Any]) -> int:
    """Delete models that only this campaign has had; return their number."""
    models = [document.get("model"), *(document.get("models") or []), *(document.get("scorer_bundles") or [])]
    mine = {model["checksum"] for model in models if model}
    deleted = 0
    for checksum in sorted(mine):
        of_model = {"$or": [{f"{field}.checksum": checksum} for field in ("model", "models", "scorer_bundles")]}
        found = store.models.find_one({"_id": checksum}, ["file"])
        if found is None or exists(store.campaigns, {"_id": {"$ne": document["_id"]}, **of_model}):
            continue
        _delete_files(store, _BUNDLES, {"_id": found.get("file")})
        deleted += store.models.delete_one({"_id": checksum}).deleted_count
    return deleted


def delete_documents(store: CampaignStore, name: str) -> dict[str, int]:
    """Delete a campaign's ledger, steps, history, candidates and references; return the number of each."""
    kinds = {kind: each for kind, each in _of_campaign(store).items() if kind != "features"}
    return {kind: collection.delete_many({"campaign": name}).deleted_count for kind, collection in kinds.items()}


def _of_campaign(store: CampaignStore) -> dict[str, Collection[Any]]:
    """Return the collections whose documents name their campaign."""
    kinds = ("attempts", "steps", "events", "left_out", "features", "candidates", "references")
    return {kind: getattr(store, kind) for kind in kinds}


def delete_campaign_document(store: CampaignStore, name: str) -> None:
    """Delete the document of a campaign once nothing else is left of it."""
    store.campaigns.delete_one({"_id": name, "state": CampaignState.DELETING})


def count_for_deletion(store: CampaignStore, name: str) -> dict[str, int]:
    """Count the documents of a campaign, to be shown before its deletion is confirmed."""
    of_campaign = {"campaign": name}
    return {
        "candidates": store.candidates.count_documents(of_campaign),
        "stored DOS": store.features.count_documents(of_campaign),
        "attempts in the ledger": store.attempts.count_documents(of_campaign),
        "fireworks": store.database["fireworks"].count_documents({"spec.campaign_name": name}),
    }
