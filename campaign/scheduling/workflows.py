"""Fireworks of a campaign: small workflows, written in bulk and inside a transaction.

LaunchPad.add_wf writes a workflow and its fireworks in two steps and one at a time. Here they are written by the
thousand, in the same transaction that moves the candidates, so that a crash leaves both or neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from campaign.store.states import REFERENCE, Stage
from esnet.files.errors import UserError

if TYPE_CHECKING:
    from fireworks import LaunchPad, Workflow
    from pymongo.client_session import ClientSession

    from campaign.scheduling.workflow_template import WorkflowDocuments


def next_fw_ids(launchpad: LaunchPad, quantity: int) -> count[int]:
    """Reserve firework ids; gaps are harmless.

    Raises
    ------
    LaunchPadNotReadyError
        If the database was never set up for FireWorks.
    """
    counter = launchpad.fw_id_assigner.find_one_and_update({}, {"$inc": {"next_fw_id": quantity}})
    if counter is None:
        raise LaunchPadNotReadyError(
            "this database holds no LaunchPad yet: "
            "run `campaign db start` (embedded database) or `lpad reset` (your own)"
        )
    return count(counter["next_fw_id"])


class LaunchPadNotReadyError(UserError, RuntimeError):
    """FireWorks' own documents are missing from the database."""


def initialise_launchpad(launchpad: LaunchPad) -> bool:
    """Set up an empty database for FireWorks; a database in use is left as it is.

    Returns
    -------
    bool
        Whether anything was done.
    """
    if launchpad.fw_id_assigner.find_one({}) is not None:
        return False
    launchpad.fw_id_assigner.update_one(
        {"_id": -1}, {"$setOnInsert": {"next_fw_id": 1, "next_launch_id": 1}}, upsert=True
    )
    launchpad.tuneup(bkground=False)
    return True


def _spec(campaign: str, category: str, priority: int, **more: Any) -> dict[str, Any]:
    return {
        "campaign_name": campaign,
        "_category": category,
        "_priority": priority,
        "_add_launchpad_and_fw_id": True,
        **more,
    }


def stage_workflow(document: Mapping[str, Any], stage: Stage, *, fw_ids: count[int]) -> Workflow:
    """Workflow of one stage of one candidate: the calculation, and the firework that records it.

    The second runs even when the first has fizzled, so that a failure is recorded without any daemon.

    Parameters
    ----------
    document
        Candidate or reference with ``_id``, ``campaign``, ``formula`` and ``role``.
    stage
        What is calculated.
    fw_ids
        Reserved ids; two are taken.
    """
    from fireworks import Firework, Workflow

    from campaign.firetasks import RecordCalculation, RunCalculation

    campaign, document_id = document["campaign"], document["_id"]
    # every result and every prediction waits for the references
    priority = stage.priority + (5 if document["role"] == REFERENCE else 0)
    facts = {"document": document_id, "stage": stage.name}
    name = f"{document['formula']} {stage.title}"
    calculation = Firework(
        [RunCalculation(**facts)],
        spec=_spec(campaign, stage.category, priority, **facts),
        name=name,
        fw_id=next(fw_ids),
    )
    record = Firework(
        [RecordCalculation(**facts)],
        # recording is cheap and others wait for it: before any new calculation
        spec=_spec(campaign, stage.category, 90, _allow_fizzled_parents=True, **facts),
        name=f"{name}: record",
        fw_id=next(fw_ids),
    )
    return _ready(
        Workflow(
            [calculation, record],
            {calculation: [record]},
            name=name,
            metadata={"campaign": campaign, **facts},
        )
    )


def step_workflow(campaign: str, step_id: str, *, kind: str, category: str, fw_ids: count[int]) -> Workflow:
    """Workflow of one step of a campaign: ``train``, ``retrain``, ``screen`` or ``report``; one firework."""
    from fireworks import Firework, Workflow

    from campaign.firetasks import STEP_TASKS

    firework = Firework(
        [STEP_TASKS[kind](step=step_id)],
        spec=_spec(campaign, category, 80, step=step_id),
        name=f"{campaign} {kind}",
        fw_id=next(fw_ids),
    )
    return _ready(Workflow([firework], name=firework.name, metadata={"campaign": campaign, "step": step_id}))


def _ready(workflow: Workflow) -> Workflow:
    for fw_id in workflow.root_fw_ids:
        workflow.id_fw[fw_id].state = "READY"
        workflow.fw_states[fw_id] = "READY"
    return workflow


def insert_workflows(launchpad: LaunchPad, workflows: Sequence[WorkflowDocuments], *, session: ClientSession) -> None:
    """Write workflows and their fireworks in the session's transaction."""
    if not workflows:
        return
    launchpad.workflows.insert_many([documents.workflow for documents in workflows], session=session)
    fireworks = [firework for documents in workflows for firework in documents.fireworks]
    launchpad.fireworks.insert_many(fireworks, session=session)
