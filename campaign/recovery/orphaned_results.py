"""Results in the JobStore that have not been recorded."""

from collections.abc import Iterator, Mapping
from typing import Any

from campaign.steps.calculate import has_outputs
from campaign.steps.record import record_calculation
from campaign.store.attempts import running_calculations
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import read_document
from campaign.store.collections import CampaignStore, in_chunks
from campaign.store.documents import stage_fields
from campaign.store.fireworks import fireworks_to_come
from campaign.store.states import STAGES, Stage
from launchers.database.settings import DatabaseSettings

_CHUNK = 5000


def has_results(store: CampaignStore, firework: Mapping[str, Any]) -> bool:
    """Whether a calculation's firework (``fw_id``, ``spec``) has left all results and is still its document's
    firework.
    """
    if (of_what := _calculation_of(firework)) is None:
        return False
    document_id, stage = of_what
    facts = stage_fields(read_document(store, document_id, [stage.fields]) or {}, stage)
    return facts.get("fw_id") == firework["fw_id"] and has_outputs(store, document_id, stage, facts["attempt"])


def is_recorded(store: CampaignStore, firework: Mapping[str, Any]) -> bool:
    """Whether the outcome of a calculation's firework (``fw_id``, ``spec``) is recorded, including failures."""
    if (of_what := _calculation_of(firework)) is None:
        return False
    document_id, stage = of_what
    document = read_document(store, document_id, ["state", stage.fields])
    if document is None:
        return False
    facts = stage_fields(document, stage)
    state = document["state"] if stage.state_field == "state" else facts.get("state")
    current = int(facts.get("fw_id") or 0)
    if facts.get("reused_from"):
        return True  # a later try was reused from another campaign
    return current > firework["fw_id"] or (current == firework["fw_id"] and state != stage.running)


def _calculation_of(firework: Mapping[str, Any]) -> tuple[str, Stage] | None:
    """Return document and stage computed by a firework; None if it computes none, or is a recording one."""
    spec = firework.get("spec") or {}
    document_id, stage = spec.get("document"), STAGES.get(spec.get("stage") or "")
    if document_id is None or stage is None or spec.get("_allow_fizzled_parents"):
        return None
    return document_id, stage


def record_orphaned_results(campaign: OpenCampaign, *, dry_run: bool = False) -> list[int]:
    """Record calculations whose recording firework is gone or ended without recording; return their fireworks."""
    recorded = []
    for stage, document in _unattended(campaign):
        facts = document[stage.fields]
        if not has_outputs(campaign.store, document["_id"], stage, facts["attempt"]):
            continue
        if not dry_run:
            database = DatabaseSettings.from_launchpad(campaign.launchpad)
            fw_id = facts["record_fw_id"]
            record_calculation(campaign, database, document_id=document["_id"], stage=stage, fw_id=fw_id)
        recorded.append(facts["fw_id"])
    return recorded


def _unattended(campaign: OpenCampaign) -> Iterator[tuple[Stage, dict[str, Any]]]:
    for stage in STAGES.values():
        for running in running_calculations(campaign, stage):
            for part in in_chunks(running, _CHUNK):
                by_recorder = {
                    recorder: document
                    for document in part
                    if (recorder := stage_fields(document, stage).get("record_fw_id")) is not None
                }
                for fw_id in fireworks_to_come(campaign.launchpad, list(by_recorder)):
                    del by_recorder[fw_id]
                yield from ((stage, document) for document in by_recorder.values())
