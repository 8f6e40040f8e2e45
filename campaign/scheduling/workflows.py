"""Workflows of a campaign, in the form of FireWorks' documents.

`LaunchPad.add_wf` writes a workflow and its fireworks in two steps and one at a time, and building a workflow with
FireWorks' classes takes half a millisecond. Here the documents are made directly, and written by the thousand in the
same transaction that moves the candidates, so that a crash leaves both or neither. A test compares them with those made
by FireWorks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from campaign.budget.decision_document import is_persons
from campaign.store.fireworks import WorkflowDocuments
from campaign.store.states import RECORD_CATEGORY, REFERENCE, Stage

_RECORD_PRIORITY = 90
_STEP_PRIORITY = 80
#: All results and predictions wait for the references.
_REFERENCE_BONUS = 5
#: Relaxations that persons have promoted precede those of the policy, of which the first has 1.
_PERSONS_BONUS = 1.5
#: FireWorks' own limit (`QUEUE_JOBNAME_MAXLEN`), due to PBS.
_LONGEST_JOB_NAME = 20
STEP_TASKS = {
    **{"prefilter": "Prefilter", "train": "Train", "retrain": "Retrain", "recalibrate": "Recalibrate"},
    **{"screen": "Screen", "report": "Finish"},
}
"""Class in `campaign.firetasks` for each kind of step."""


def stage_workflow(
    document: Mapping[str, Any], stage: Stage, *, fw_ids: count[int], worker: str | None = None
) -> WorkflowDocuments:
    """Return the workflow of one stage of one candidate: the calculation, and the firework that records it.

    The computing process also records, and completes the second firework (`campaign.recovery.recording`). If it is
    killed before that, the second one runs, even if the first has fizzled, so that failures are recorded without a
    daemon.

    Parameters
    ----------
    document
        Candidate or reference with ``_id``, ``campaign``, ``formula``, ``role``, the stage's fields, and for a
        candidate ``prototype`` and ``parent.name``, since two candidates may have one formula, and ``decision`` with
        ``rank`` and ``kind``: relaxations start in the policy's order.
    fw_ids
        Reserved ids; two are used.
    worker
        Name of the only FireWorker that takes it. If None, any.
    """
    first, second = next(fw_ids), next(fw_ids)
    which = (document.get("parent") or {}).get("name") or document.get("prototype")
    name = " ".join([document["formula"], *([which] if which else []), stage.title])
    of_what = {"document": document["_id"], "stage": stage.name}
    common = {"campaign_name": document["campaign"], "_category": stage.category, **of_what, **_for_worker(worker)}
    calculation: dict[str, Any] = {"_priority": stage.priority + _bonus(document, stage), **common}
    # in reservation mode these are added to the queue adapter's own settings: name, more time or memory
    queue = (document.get(stage.fields) or {}).get("queue") or {}
    calculation["_queueadapter"] = {"job_name": job_name(document["campaign"], stage.name), **queue}
    record = {"_priority": _RECORD_PRIORITY, "_allow_fizzled_parents": True, **common, "_category": RECORD_CATEGORY}
    record["_queueadapter"] = {"job_name": job_name(document["campaign"], RECORD_CATEGORY)}
    return WorkflowDocuments(
        _workflow_document(name, {first: [second], second: []}, {"campaign": document["campaign"], **of_what}),
        [
            _firework_document(first, name, "READY", "RunCalculation", of_what, calculation),
            _firework_document(second, f"{name}: record", "WAITING", "RecordCalculation", of_what, record),
        ],
    )


def _bonus(document: Mapping[str, Any], stage: Stage) -> float:
    """Return what is added to the priority of a stage, so that relaxations start in the policy's order."""
    if document["role"] == REFERENCE:
        return _REFERENCE_BONUS
    if stage.name != "relax":
        return 0
    decision = document.get("decision") or {}
    if is_persons(decision):
        return _PERSONS_BONUS
    rank = decision.get("rank")
    return 1 / rank if rank else 0


def step_workflow(
    campaign: str, step_id: str, *, kind: str, category: str, fw_ids: count[int], worker: str | None = None
) -> WorkflowDocuments:
    """Return the workflow of one step of a campaign (a kind of `STEP_TASKS`), with one firework."""
    fw_id, name, step = next(fw_ids), f"{campaign} {kind}", {"step": step_id}
    spec = {"campaign_name": campaign, "_category": category, "_priority": _STEP_PRIORITY, **step}
    spec |= _for_worker(worker) | {"_queueadapter": {"job_name": job_name(campaign, kind)}}
    return WorkflowDocuments(
        _workflow_document(name, {fw_id: []}, {"campaign": campaign, **step}),
        [_firework_document(fw_id, name, "READY", STEP_TASKS[kind], step, spec)],
    )


def job_name(campaign: str, kind: str) -> str:
    """Return the name of queue jobs, from campaign and kind of work, e.g. ``alloys-dos``.

    The campaign's name is shortened to FireWorks' limit; PBS requires a letter first.
    """
    kind = kind.replace("_", "-")
    name = campaign if campaign[0].isalpha() else f"c{campaign}"
    return f"{name[: _LONGEST_JOB_NAME - len(kind) - 1]}-{kind}"


def _for_worker(name: str | None) -> dict[str, str]:
    return {} if name is None else {"_fworker": name}


def _workflow_document(name: str, links: Mapping[int, list[int]], metadata: dict[str, Any]) -> dict[str, Any]:
    created = datetime.now(UTC)
    parents = {child: [parent] for parent, children in links.items() for child in children}
    return {
        "nodes": list(links),
        "links": {str(parent): children for parent, children in links.items()},
        "parent_links": {str(child): found for child, found in parents.items()},
        "fw_states": {str(fw_id): "WAITING" if fw_id in parents else "READY" for fw_id in links},
        "state": "READY",
        "name": name,
        "metadata": metadata,
        "created_on": created,
        "updated_on": created,
    }


def _firework_document(
    fw_id: int, name: str, state: str, task: str, parameters: Mapping[str, Any], spec: Mapping[str, Any]
) -> dict[str, Any]:
    created = datetime.now(UTC).isoformat()
    tasks = [{"_fw_name": f"{{{{campaign.firetasks.{task}}}}}", **parameters}]
    return {
        "fw_id": fw_id,
        "name": name,
        "state": state,
        "spec": {**spec, "_add_launchpad_and_fw_id": True, "_tasks": tasks},
        "launches": [],
        "archived_launches": [],
        "created_on": created,
        "updated_on": created,
    }
