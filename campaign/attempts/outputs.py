"""The JobStore's jobs with the outputs of a calculation."""

from collections.abc import Mapping, Sequence
from typing import Any

from campaign.store.attempts import uuids_with_outputs
from campaign.store.collections import CampaignStore
from campaign.store.documents import stage_fields
from campaign.store.states import Stage
from workflows.identity import job_uuid

#: Jobs of each stage's flow, by the last part of their key (`workflows.dos`, `workflows.relaxation`).
JOBS = {"dos": ("static", "features"), "rs_dos": ("static", "features"), "relax": ("relaxation",)}


def flow_key(document_id: str, stage: Stage, attempt_number: int) -> str:
    """Return the key that names the jobs of one try of a stage; the same try always has the same uuids."""
    return f"{document_id}:{stage.name}:{attempt_number}"


def uuids_of_try(document_id: str, stage: Stage, number: int) -> dict[str, str]:
    """Return the uuid of each job of one try of a stage, by the job's name."""
    key = flow_key(document_id, stage, number)
    return {job: job_uuid(f"{key}:{job}") for job in JOBS[stage.name]}


def output_uuids(document_id: str, stage: Stage, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the uuid of each job of a calculation, by name; for a reused calculation, those of its origin.

    Parameters
    ----------
    facts
        The stage's fields of the document: ``attempt``, and ``reused_from`` if reused.
    """
    origin = facts.get("reused_from")
    if origin:
        return uuids_of_try(origin["document"], stage, origin["attempt"])
    return uuids_of_try(document_id, stage, int(facts.get("attempt") or 0))


def first_tries(store: CampaignStore, documents: Sequence[Mapping[str, Any]], stage: Stage) -> dict[str, int]:
    """Return the number of the first try of calculations never started, by document id; absent if 0.

    A deleted campaign may have left outputs (reused by another one, or kept on request). A later campaign with the same
    name and settings has the same ids, and must not mistake those results for its own.
    """
    new = [document["_id"] for document in documents if "attempt" not in stage_fields(document, stage)]
    found: dict[str, int] = {}
    number = 0
    while new:
        uuids = {uuid: each for each in new for uuid in uuids_of_try(each, stage, number).values()}
        there = {uuids[uuid] for uuid in uuids_with_outputs(store, list(uuids))}
        number += 1
        new = sorted(there)
        found |= dict.fromkeys(new, number)
    return found
