"""Read-only queries of `campaign verify`: whole collections, with a small projection each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore, Document, in_chunks
from campaign.store.states import STAGES
from launchers.database.job_store import DATA_COLLECTION, OUTPUTS_COLLECTION

_CHUNK = 5000
_CALCULATION = ("fw_id", "record_fw_id", "attempt", "first_attempt", "energy", "reused_from")
_STRUCTURE_FIELDS = [
    *("role", "state", "batch", "composition", "history.stage", "history.state", "overrides.stage", "rs_dos.state"),
    *(f"{stage.fields}.{field}" for stage in STAGES.values() for field in _CALCULATION),
    # a field that every structure has, to avoid reading the structure
    *("is_dos.features", "rs_dos.features", "relaxation.energy_per_atom", "relaxation.structure.@class"),
    *("final_failure.stage", "final_failure.kind", "correction_error.reason", "result"),
    *(f"prediction.{field}" for field in ("e_form_per_atom", "e_above_hull", "uncertainty", "novel")),
    *(f"prediction.{field}" for field in ("model", "reference_set", "step")),
    *(f"decision.{field}" for field in ("outcome", "promoted", "audit", "inputs", "policy", "seed", "step")),
    *(f"prefilter.{field}" for field in ("state", "outcome", "audit", "reason", "step", "reference_set")),
    *("prefilter.e_form_per_atom", "prefilter.e_above_hull", "prefilter.uncertainty", "decision.rule"),
    *("decision.model", "decision.reference_set", "decision.kind", "decision.user", "decision.said", "decision.time"),
]


def structures(campaign: Campaign) -> Iterator[Document]:
    """Yield all candidates, then all references, of a campaign: states, energies, predictions, decisions."""
    for collection in campaign.store.structures:
        yield from collection.find({"campaign": campaign.name}, _STRUCTURE_FIELDS, batch_size=_CHUNK)


def attempts(campaign: Campaign) -> Iterator[Document]:
    """Yield every entry of a campaign's ledger."""
    fields = ["document", "stage", "fw_id", "outcome", "cpu_s", "started", "ended"]
    yield from campaign.store.attempts.find({"campaign": campaign.name}, fields, batch_size=_CHUNK)


def steps(campaign: Campaign) -> list[Document]:
    """Read every step of a campaign."""
    fields = ["kind", "state", "fw_id", "batch", "number", "after"]
    return list(campaign.store.steps.find({"campaign": campaign.name}, fields))


def fireworks(campaign: Campaign) -> Iterator[Document]:
    """Yield the purpose and state of every firework of a campaign."""
    fields = {"_id": 0, "fw_id": 1, "state": 1}
    fields |= {f"spec.{field}": 1 for field in ("document", "stage", "step", "archived_from")}
    query = {"spec.campaign_name": campaign.name}
    yield from campaign.store.database["fireworks"].find(query, fields, batch_size=_CHUNK)


def workflows(campaign: Campaign) -> Iterator[Document]:
    """Yield the fireworks and the purpose of every workflow of a campaign."""
    fields = {"_id": 0, "nodes": 1, "metadata": 1}
    query = {"metadata.campaign": campaign.name}
    yield from campaign.store.database["workflows"].find(query, fields, batch_size=_CHUNK)


def running_launches(campaign: Campaign) -> Iterator[Document]:
    """Yield the latest launch of every firework shown as RUNNING: its host and last ping."""
    running = {"spec.campaign_name": campaign.name, "state": "RUNNING"}
    found = campaign.store.database["fireworks"].find(running, {"_id": 0, "launches": {"$slice": -1}, "fw_id": 1})
    ids = [launch for firework in found for launch in firework["launches"]]
    for chunk in in_chunks(ids, _CHUNK):
        fields = ["fw_id", "host", "state", "state_history"]
        yield from campaign.store.database["launches"].find({"launch_id": {"$in": chunk}}, fields)


def features_present(store: CampaignStore, ids: Iterable[str]) -> Iterator[str]:
    """Yield the ids that have features, from an index, since each document has about 100 kB."""
    yield from _present(store.features, "_id", ids)


def count_features(campaign: Campaign) -> int:
    """Count the stored DOS of a campaign, from an index."""
    return campaign.store.features.count_documents({"campaign": campaign.name})


def features_ids(campaign: Campaign) -> Iterator[str]:
    """Yield the ids of all stored DOS of a campaign; reads every document."""
    for found in campaign.store.features.find({"campaign": campaign.name}, ["_id"]):
        yield found["_id"]


def outputs_present(store: CampaignStore, uuids: Iterable[str]) -> Iterator[str]:
    """Yield the uuids of jobs with an output in the JobStore, once per output, from an index."""
    yield from _present(store.database[OUTPUTS_COLLECTION], "uuid", uuids)


def _present(collection: Any, field: str, values: Iterable[str]) -> Iterator[str]:
    for chunk in in_chunks(values, _CHUNK):
        fields = {"_id": 0, field: 1} if field != "_id" else {"_id": 1}
        for found in collection.find({field: {"$in": chunk}}, fields):
            yield found[field]


def incomplete_data_files(store: CampaignStore) -> Iterator[str]:
    """Yield the uuid of each job whose large object in GridFS lacks chunks, once per object."""
    for file in _incomplete_files(store, DATA_COLLECTION):
        yield str((file.get("metadata") or {}).get("job_uuid"))


def incomplete_bundles(store: CampaignStore) -> set[Any]:
    """Return the GridFS ids of model bundles that are missing or lack chunks."""
    there = {file["_id"] for file in store.database["bundles.files"].find({}, ["_id"])}
    gone = {model.get("file") for model in store.models.find({}, ["file"])} - there
    return gone | {file["_id"] for file in _incomplete_files(store, "bundles")}


def model_files(store: CampaignStore, checksums: Sequence[str]) -> dict[str, Any]:
    """Return the GridFS ids of the bundles of stored models, by checksum."""
    found = store.models.find({"_id": {"$in": list(checksums)}}, ["file"])
    return {model["_id"]: model.get("file") for model in found}


def _incomplete_files(store: CampaignStore, bucket: str) -> Iterator[Document]:
    # in the order of the index on (files_id, n), so that no chunk is read
    grouped: list[dict[str, Any]] = [
        {"$sort": {"files_id": 1, "n": 1}},
        {"$group": {"_id": "$files_id", "n": {"$sum": 1}}},
    ]
    chunks = {each["_id"]: each["n"] for each in store.database[f"{bucket}.chunks"].aggregate(grouped)}
    for file in store.database[f"{bucket}.files"].find({}, ["length", "chunkSize", "metadata.job_uuid"]):
        if chunks.get(file["_id"], 0) != -(-file["length"] // file["chunkSize"]):
            yield file


def reference_sets_of(campaign: Campaign) -> list[str]:
    """Return the checksums of the reference sets that a campaign has stored, except the imported one."""
    query = {"campaign": campaign.name, "_id": {"$ne": campaign.document.get("imported_references")}}
    return [found["_id"] for found in campaign.store.reference_sets.find(query, ["_id"])]
