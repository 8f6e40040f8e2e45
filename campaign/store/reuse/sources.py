"""Finished calculations of other campaigns in the database, and the data that decide whether they can be reused."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.candidates import collection_of_candidates, collection_of_references
from campaign.store.collections import BY_ID, OUR_CAMPAIGNS, Document, sums_by
from campaign.store.documents import CandidateDocument
from campaign.store.states import STAGES, CampaignState, CandidateState, Stage

_BATCH = 1000
#: MongoDB filters of documents that have finished each stage, with a result.
_FINISHED: dict[str, dict[str, Any]] = {
    "dos": {
        "is_dos.energy": {"$type": "number"},
        "$or": [
            {
                "state": {
                    "$in": [
                        *(CandidateState.DOS_DONE, CandidateState.PROMOTED, CandidateState.REJECTED),
                        *(CandidateState.RELAX_RUNNING, CandidateState.RELAXED, CandidateState.RELAX_FAILED),
                    ]
                }
            },
            {"state": CandidateState.HELD, "prediction": {"$ne": None}},  # otherwise it is held before its IS-DOS
        ],
    },
    "relax": {"state": CandidateState.RELAXED, "relaxation.energy": {"$type": "number"}},
    "rs_dos": {"rs_dos.state": STAGES["rs_dos"].done, "rs_dos.energy": {"$type": "number"}},
}


def equal_campaigns(campaign: Campaign, stage: Stage) -> list[str]:
    """Return the names of other campaigns with the same engine and settings and, for a DOS, the same representation."""
    same = {"settings_hash": campaign.document["settings_hash"], "engine": campaign.document["engine"]}
    passing = {"state": {"$nin": [CampaignState.DELETING, CampaignState.IMPORTING]}}
    query = {"$and": [OUR_CAMPAIGNS, same, {"_id": {"$ne": campaign.name}}, passing]}
    if stage.name != "relax":
        representation = campaign.spec.model.representation
        for name in ("normalisation", "energy_reference"):
            query["$and"].append({f"spec.model.representation.{name}": getattr(representation, name)})
    return [found["_id"] for found in campaign.store.campaigns.find(query, ["_id"])]


def ready_documents(campaign: Campaign, stage: Stage, *, references: bool) -> Iterator[str]:
    """Yield the ids of candidates (or references) whose calculation of a stage may start."""
    query = {"campaign": campaign.name, **stage.ready}
    structures = campaign.store.references if references else campaign.store.candidates
    for found in structures.find(query, ["_id"], batch_size=_BATCH):
        yield found["_id"]


def calculation_keys(campaign: Campaign, ids: Sequence[str], *, references: bool) -> list[str]:
    """Return the sorted, distinct keys of candidates (or references)."""
    structures = campaign.store.references if references else campaign.store.candidates
    query = {"_id": {"$in": list(ids)}, "calculation_key": {"$type": "string"}}
    found = structures.find(query, ["calculation_key"], hint=BY_ID)
    return sorted({document["calculation_key"] for document in found})


def read_to_calculate(
    campaign: Campaign, ids: Sequence[str], *, keys: Collection[str], references: bool
) -> list[CandidateDocument]:
    """Read the fields that decide whether calculations are equal, of documents with one of these keys."""
    structures = (collection_of_references if references else collection_of_candidates)(campaign.store)
    fields = ["calculation_key", "structure", "composition", "relaxation.structure", "overrides"]
    query = {"_id": {"$in": list(ids)}, "calculation_key": {"$in": list(keys)}}
    return list(structures.find(query, fields, hint=BY_ID))


def finished_calculations(
    campaign: Campaign, stage: Stage, *, campaigns: Sequence[str], keys: Sequence[str]
) -> dict[str, list[Document]]:
    """Return the candidates and references of other campaigns that have finished a stage, by ``calculation_key``."""
    query = {"calculation_key": {"$in": list(keys)}, "campaign": {"$in": list(campaigns)}, **_FINISHED[stage.name]}
    fields = {"calculation_key", "campaign", "structure", "overrides", "relaxation.structure", stage.fields}
    if stage.fields == "relaxation":
        fields.remove("relaxation.structure")  # part of the whole relaxation
    found: dict[str, list[Document]] = {}
    for document in campaign.store.find_structures(query, sorted(fields)):
        found.setdefault(document["calculation_key"], []).append(document)
    return found


def successful_entries(
    campaign: Campaign, stage: Stage, *, campaigns: Sequence[str], documents: Sequence[str]
) -> dict[str, Document]:
    """Return the latest ledger entry of each successful calculation of a stage, by candidate or reference."""
    query: dict[str, Any] = {"stage": stage.name, "outcome": "completed", "campaign": {"$in": list(campaigns)}}
    query["document"] = {"$in": list(documents)}
    found = campaign.store.attempts.find(query, ["document", "cpu_s", "ended"]).sort("ended", 1)
    return {entry["document"]: entry for entry in found}


def latest_potcars(campaign: Campaign, *, number: int) -> Iterator[Mapping[str, Any]]:
    """Yield the POTCARs (``titel``, ``hash``) of the latest completed or reused calculations."""
    for stage in STAGES.values():
        for outcome in ("completed", "reused"):
            query = {"campaign": campaign.name, "stage": stage.name, "outcome": outcome}
            latest = campaign.store.attempts.find(query, ["document"]).sort("ended", -1).limit(number)
            ids = [entry["document"] for entry in latest]
            for document in campaign.store.find_structures({"_id": {"$in": ids}}, [f"{stage.fields}.potcars"]):
                yield from (document.get(stage.fields) or {}).get("potcars") or []


def reused_sums(campaign: Campaign) -> dict[str, Document]:
    """Return, for each stage with reused calculations, their number ``n`` and the CPU-seconds ``saved``."""
    query = {"campaign": campaign.name, "stage": {"$in": list(STAGES)}, "outcome": "reused"}
    return sums_by(campaign.store.attempts, query, "stage", n=1, saved="$reused_from.cpu_s")


def reused_campaigns(campaign: Campaign) -> list[str]:
    """Return the names of the campaigns whose calculations a campaign has reused, in alphabetical order."""
    query = {"campaign": campaign.name, "stage": {"$in": list(STAGES)}, "outcome": "reused"}
    return sorted(campaign.store.attempts.distinct("reused_from.campaign", query))
