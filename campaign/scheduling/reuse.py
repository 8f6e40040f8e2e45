"""Reuse calculations of other campaigns in the same database instead of submitting them.

Calculations are equal if crystal, cell, settings, engine and, for a DOS, representation are the same. Only successful
ones with outputs and features, whose settings no person has changed (`campaign retry --set`), are reused.
"""

import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from campaign.attempts.outputs import output_uuids
from campaign.attempts.overrides import incar_overrides
from campaign.candidates.same_cell import same_cell
from campaign.store.campaigns import Campaign
from campaign.store.collections import Document, in_chunks, now
from campaign.store.documents import ReusedFrom
from campaign.store.features import read_features
from campaign.store.integrity import outputs_present
from campaign.store.reuse.sources import (
    calculation_keys,
    equal_campaigns,
    finished_calculations,
    latest_potcars,
    read_to_calculate,
    ready_documents,
    successful_entries,
)
from campaign.store.reuse.taken_over import TakenOver, write_taken_over
from campaign.store.states import STAGES, Stage
from workflows.dos import FEATURES_VERSION, DosFeatures
from workflows.gpaw_vasp.version import gpaw_version, version_string

logger = logging.getLogger(__name__)

#: Per transaction: their features have 10 MB.
_CHUNK = 100
#: Fields of a stage that are specific to the document that computed it, and are not copied.
_OWN = frozenset({"state", "fw_id", "record_fw_id", "attempt", "first_attempt", "from_state", "submitted"}) | {
    *("queue", "restarted_from", "features", "recorded", "reused_from")
}
_LATEST = 20


def take_over_all(campaign: Campaign) -> int:
    """Reuse every existing calculation that may start; return their number.

    Checks all candidates, including those that a budget would keep waiting: reused calculations cost nothing.
    """
    taken = 0
    for stage in STAGES.values():
        for references in (True, False):
            if campaign.spec.reuse and equal_campaigns(campaign, stage):
                ready = ready_documents(campaign, stage, references=references)
                for ids in in_chunks(ready, _CHUNK):
                    taken += take_over(campaign, stage, ids, references=references)
    if taken:
        logger.info("campaign %s: calculations reused from other campaigns: %d", campaign.name, taken)
    return taken


def take_over(campaign: Campaign, stage: Stage, ids: Sequence[str], *, references: bool) -> int:
    """Reuse existing calculations for some candidates (or references); return their number."""
    if not campaign.spec.reuse or not (campaigns := equal_campaigns(campaign, stage)):
        return 0
    taken = 0
    for chunk in in_chunks(ids, _CHUNK):
        found = list(_found(campaign, stage, chunk, campaigns, references=references))
        if found:
            taken += write_taken_over(campaign, stage, found, references=references)
    return taken


def _found(
    campaign: Campaign, stage: Stage, ids: Sequence[str], campaigns: Sequence[str], *, references: bool
) -> Iterator[TakenOver]:
    keys = calculation_keys(campaign, ids, references=references)
    by_key = finished_calculations(campaign, stage, campaigns=campaigns, keys=keys)
    if not by_key:
        return
    wanted = [
        document
        for document in read_to_calculate(campaign, ids, keys=by_key, references=references)
        if not incar_overrides(document, stage)
    ]
    sources = _usable(campaign, stage, [source for each in by_key.values() for source in each], campaigns)
    features = _usable_features(campaign, stage, list(sources)) if stage.name != "relax" else {}
    for document in wanted:
        for source in sorted(by_key.get(document["calculation_key"], []), key=lambda each: _preference(each, stage)):
            if (origin := sources.get(source["_id"])) is None or not _same_crystal(document, source, stage):
                continue
            stored = None
            if stage.name != "relax":
                if source["_id"] not in features:
                    continue
                stored = features[source["_id"]] | {
                    "_id": f"{document['_id']}:{stage.name}",
                    "campaign": campaign.name,
                    "document": document["_id"],
                    "composition": document["composition"],
                }
            facts = {name: value for name, value in source[stage.fields].items() if name not in _OWN}
            yield TakenOver(document_id=document["_id"], facts=facts, origin=origin, features=stored)
            break


def _preference(source: Document, stage: Stage) -> tuple[bool, float]:
    """Sort key of sources: calculations computed by the source campaign itself first, latest first."""
    facts = source[stage.fields]
    recorded = facts.get("recorded")
    return "reused_from" in facts, -recorded.timestamp() if recorded is not None else 0.0


def _same_crystal(document: Mapping[str, Any], source: Mapping[str, Any], stage: Stage) -> bool:
    if stage.name == "rs_dos":  # that of the relaxed crystal
        document, source = document["relaxation"], source["relaxation"]
    return same_cell(document["structure"], source["structure"])


def _usable(
    campaign: Campaign, stage: Stage, sources: Sequence[Document], campaigns: Sequence[str]
) -> dict[str, ReusedFrom]:
    """Return the origin of each source that may be reused, by the id of the source."""
    potcars: dict[str, str] = {}
    if sources:
        for potcar in latest_potcars(campaign, number=_LATEST):
            potcars[potcar["titel"]] = potcar["hash"]
    entries = successful_entries(campaign, stage, campaigns=campaigns, documents=[source["_id"] for source in sources])
    uuids = {source["_id"]: output_uuids(source["_id"], stage, source[stage.fields]).values() for source in sources}
    there = set(outputs_present(campaign.store, [uuid for each in uuids.values() for uuid in each]))
    usable: dict[str, ReusedFrom] = {}
    for source in sources:
        facts = source[stage.fields]
        if incar_overrides(source, stage) or not there.issuperset(uuids[source["_id"]]):
            continue
        if not _same_engine(facts, campaign) or not _same_potcars(facts.get("potcars") or [], potcars):
            continue
        if (origin := _origin(source, facts, entries.get(source["_id"]))) is not None:
            usable[source["_id"]] = origin
    return usable


def _origin(source: Document, facts: Mapping[str, Any], entry: Document | None) -> ReusedFrom | None:
    """Return where a calculation was computed; None without a successful attempt in the ledger."""
    earlier: ReusedFrom | None = facts.get("reused_from")
    if earlier is not None:
        return {**earlier, "time": now()}
    if entry is None:
        return None
    return {
        "campaign": source["campaign"],
        "document": source["_id"],
        "attempt": int(facts.get("attempt") or 0),
        "entry": entry["_id"],
        "cpu_s": float(entry.get("cpu_s") or 0.0),
        "time": now(),
    }


def _same_engine(facts: Mapping[str, Any], campaign: Campaign) -> bool:
    """Whether the engine had the version installed here, if known (GPAW's)."""
    if campaign.spec.dft.engine != "gpaw" or gpaw_version() == "absent":
        return True
    return facts.get("vasp_version") == version_string()


def _same_potcars(potcars: Sequence[Mapping[str, Any]], known: dict[str, str]) -> bool:
    """Whether no POTCAR has the title of one used by the campaign but other content; if so, add them to `known`."""
    if any(known.get(potcar["titel"], potcar["hash"]) != potcar["hash"] for potcar in potcars):
        return False
    known.update({potcar["titel"]: potcar["hash"] for potcar in potcars})
    return True


def _usable_features(campaign: Campaign, stage: Stage, ids: Sequence[str]) -> dict[str, Document]:
    """Return readable features of these sources, in the form this version would make, by source."""
    found = {}
    for document in read_features(campaign.store, [f"{name}:{stage.name}" for name in ids]):
        try:
            features = DosFeatures.from_document(document)
            features.decode()
        except (ValueError, TypeError, LookupError, AttributeError, zlib.error):
            continue  # damaged: it is computed here
        if features.version == FEATURES_VERSION:
            found[document["document"]] = document
    return found
