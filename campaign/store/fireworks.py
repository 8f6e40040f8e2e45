"""Documents of FireWorks in the same database: fireworks, launches, workflows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from fireworks import FWAction, FWorker, LaunchPad
from fireworks.core.firework import Launch
from pymongo.client_session import ClientSession
from pymongo.database import Database

from campaign.config.wording import format_count
from campaign.store.collections import CampaignStore, Document, exists, in_chunks, in_utc
from campaign.store.states import RECORD_CATEGORY
from esnet.files.errors import UserError
from launchers.workers.process_identity import IDENTITY

#: Fields of a launch that identify its process.
LAUNCH_FIELDS = ["launch_id", "fw_id", "state", "fworker", "host", "launch_dir", "time_start", "state_history"]
#: Final states of a recording firework.
_OVER = ("COMPLETED", "FIZZLED", "ARCHIVED")
_CHUNK = 5000


class LaunchPadNotReadyError(UserError, RuntimeError):
    """FireWorks' own documents are missing from the database."""


@dataclass(frozen=True)
class WorkflowDocuments:
    """A workflow as stored by LaunchPad: its document and those of its fireworks."""

    workflow: Document
    fireworks: list[Document]

    @property
    def fw_ids(self) -> list[int]:
        """Ids of its fireworks, smallest first."""
        return sorted(firework["fw_id"] for firework in self.fireworks)


def initialise_launchpad(launchpad: LaunchPad) -> bool:
    """Set up an empty database for FireWorks; return False, and leave it unchanged, if it is in use."""
    if launchpad.fw_id_assigner.find_one({}) is not None:
        return False
    launchpad.fw_id_assigner.update_one(
        {"_id": -1}, {"$setOnInsert": {"next_fw_id": 1, "next_launch_id": 1}}, upsert=True
    )
    launchpad.tuneup(bkground=False)
    return True


def next_fw_ids(launchpad: LaunchPad, quantity: int) -> count[int]:
    """Reserve firework ids and return an iterator over them; gaps are harmless.

    Raises
    ------
    LaunchPadNotReadyError
        If the database was never set up for FireWorks.
    """
    counter = launchpad.fw_id_assigner.find_one_and_update({}, {"$inc": {"next_fw_id": quantity}})
    if counter is None:
        raise LaunchPadNotReadyError(
            "this database contains no LaunchPad yet: "
            "run `campaign db start` (embedded database) or `lpad reset` (your own)"
        )
    return count(counter["next_fw_id"])


def insert_workflows(launchpad: LaunchPad, workflows: Sequence[WorkflowDocuments], *, session: ClientSession) -> None:
    """Write workflows and their fireworks in the session's transaction."""
    if not workflows:
        return
    launchpad.workflows.insert_many([documents.workflow for documents in workflows], session=session)
    fireworks = [firework for documents in workflows for firework in documents.fireworks]
    launchpad.fireworks.insert_many(fireworks, session=session)


@dataclass(frozen=True, kw_only=True)
class ForeignWork:
    """Work of other users of the same FireWorks database.

    Attributes
    ----------
    fireworks
        Number of fireworks that belong to no campaign.
    workers
        Names of the workers that have launched some of them.
    """

    fireworks: int
    workers: list[str]

    def __str__(self) -> str:
        by = f", launched by {', '.join(self.workers[:5])}" if self.workers else ""
        return f"{format_count(self.fireworks, 'firework')} of no campaign{by}"


def foreign_work(launchpad: LaunchPad) -> ForeignWork | None:
    """Return the work of others in the same FireWorks database; None if there is none."""
    # None matches documents without the field, using an index
    query = {"spec.campaign_name": None, "spec.campaign": {"$exists": False}}
    number = launchpad.fireworks.count_documents(query)
    if not number:
        return None
    latest = [found["fw_id"] for found in launchpad.fireworks.find(query, ["fw_id"]).sort("fw_id", -1).limit(1000)]
    names = launchpad.launches.distinct("fworker.name", {"fw_id": {"$in": latest}})
    return ForeignWork(fireworks=number, workers=sorted(str(name) for name in names))


def read_firework(launchpad: LaunchPad, fw_id: int, fields: Sequence[str]) -> Document | None:
    """Read fields of one firework; None if there is none of that id."""
    found: Document | None = launchpad.fireworks.find_one({"fw_id": fw_id}, fields)
    return found


def fireworks_in_state(launchpad: LaunchPad, campaign: str, state: str, fields: Sequence[str]) -> list[Document]:
    """Read fields of a campaign's fireworks in one FireWorks state."""
    return list(launchpad.fireworks.find({"spec.campaign_name": campaign, "state": state}, fields))


def fireworks_marked_running(launchpad: LaunchPad, campaign: str, fields: Sequence[str]) -> list[Document]:
    """Read fields of a campaign's fireworks that FireWorks shows as RUNNING, including the one that starts it."""
    # the firework made by `lpad add` from the campaign's file has no campaign_name
    of_campaign = {"$or": [{"spec.campaign_name": campaign}, {"name": campaign, "spec.campaign": {"$exists": True}}]}
    return list(launchpad.fireworks.find({"state": "RUNNING", **of_campaign}, fields))


def jobs_of_others(launchpad: LaunchPad, campaign: str, job_ids: Sequence[str]) -> dict[str, str]:
    """Return those of the batch jobs that run anything other than this campaign, each with one name."""
    running = {
        "state": "RUNNING",
        "spec.campaign_name": {"$ne": campaign},
        "spec.worker.job_id": {"$in": list(job_ids)},
    }
    found = launchpad.fireworks.find(running, ["name", "spec.campaign_name", "spec.worker.job_id"])
    return {each["spec"]["worker"]["job_id"]: each["spec"].get("campaign_name") or each["name"] for each in found}


def has_live_fireworks(launchpad: LaunchPad, campaign: str) -> bool:
    """Whether a firework of a campaign is running or reserved."""
    live = {"spec.campaign_name": campaign, "state": {"$in": ["RUNNING", "RESERVED"]}}
    return exists(launchpad.fireworks, live)


def waiting_fireworks(launchpad: LaunchPad, campaign: str) -> list[int]:
    """Return the ids of a campaign's fireworks that wait for another one."""
    waiting: list[int] = launchpad.fireworks.distinct("fw_id", {"spec.campaign_name": campaign, "state": "WAITING"})
    return waiting


def ready_recorders(launchpad: LaunchPad, campaign: str) -> list[Document]:
    """Read ``spec.document`` and ``spec.stage`` of a campaign's recording fireworks that are ready."""
    ready = {"spec.campaign_name": campaign, "state": "READY", "spec._category": RECORD_CATEGORY}
    return list(launchpad.fireworks.find(ready, ["fw_id", "spec.document", "spec.stage"]))


def count_fireworks(launchpad: LaunchPad, campaign: str, state: str, category: str) -> int:
    """Count the fireworks of a campaign and category in one FireWorks state."""
    return int(
        launchpad.fireworks.count_documents(
            {"spec.campaign_name": campaign, "state": state, "spec._category": category}
        )
    )


def bring_forward(launchpad: LaunchPad, campaign: str, category: str, *, priority: int, to: int) -> bool:
    """Raise the priority of one ready firework of a category; return False if there is none or one is already
    raised.
    """
    ready = {"spec.campaign_name": campaign, "state": "READY", "spec._category": category}
    if exists(launchpad.fireworks, {**ready, "spec._priority": to}):
        return False
    # selecting in the update itself would read a hundred documents before it takes the first
    chosen = launchpad.fireworks.find_one({**ready, "spec._priority": priority}, ["fw_id"])
    if chosen is None:
        return False
    one = {"fw_id": chosen["fw_id"], "state": "READY"}
    return bool(launchpad.fireworks.update_one(one, {"$set": {"spec._priority": to}}).modified_count)


def ended_fireworks(launchpad: LaunchPad, fw_ids: Sequence[int]) -> list[int]:
    """Return the fireworks that have completed or fizzled."""
    ended = {"fw_id": {"$in": list(fw_ids)}, "state": {"$in": ["COMPLETED", "FIZZLED"]}}
    return [firework["fw_id"] for firework in launchpad.fireworks.find(ended, ["fw_id"])]


def behind_defused(launchpad: LaunchPad, recorders: Sequence[int]) -> list[Document]:
    """Read ``spec.document`` and ``spec.stage`` of the defused calculations that these recording fireworks wait for."""
    # the id of a workflow's calculation precedes that of the firework that records it (stage_workflow)
    defused = {"fw_id": {"$in": [fw_id - 1 for fw_id in recorders]}, "state": "DEFUSED"}
    return list(launchpad.fireworks.find(defused, ["fw_id", "spec.document", "spec.stage"]))


def defuse_waiting(launchpad: LaunchPad, fw_id: int) -> bool:
    """Defuse a waiting firework; return False if it no longer waits."""
    waiting = {"fw_id": fw_id, "state": "WAITING"}
    return bool(launchpad.fireworks.update_one(waiting, {"$set": {"state": "DEFUSED"}}).modified_count)


def fireworks_to_come(launchpad: LaunchPad, fw_ids: Sequence[int]) -> list[int]:
    """Return the fireworks that exist and have not ended."""
    to_come = {"fw_id": {"$in": list(fw_ids)}, "state": {"$nin": list(_OVER)}}
    return [firework["fw_id"] for firework in launchpad.fireworks.find(to_come, ["fw_id"])]


def firework_states(launchpad: LaunchPad, fw_ids: Sequence[int]) -> dict[int, str]:
    """Return the states of existing fireworks by id; for those archived by `campaign archive`, the state before."""
    fields = {"_id": 0, "fw_id": 1, "state": 1, "spec.archived_from": 1}
    found = launchpad.fireworks.find({"fw_id": {"$in": list(fw_ids)}}, fields)
    return {firework["fw_id"]: state_of(firework) for firework in found}


def state_of(firework: Mapping[str, Any]) -> str:
    """Return the state of a firework; if archived by `campaign archive`, the state to be restored."""
    before = (firework.get("spec") or {}).get("archived_from")
    return str(before if firework["state"] == "ARCHIVED" and before else firework["state"])


def fizzled_query(campaign: str) -> dict[str, Any]:
    """Return the MongoDB filter of fizzled fireworks that stop a campaign: steps and recording fireworks."""
    return {
        "spec.campaign_name": campaign,
        "state": "FIZZLED",
        "$or": [{"spec.step": {"$exists": True}}, {"spec._allow_fizzled_parents": True}],
    }


def fizzled_fireworks(store: CampaignStore, campaign: str) -> list[Document]:
    """Read the launches of the fizzled fireworks that stop a campaign: steps and recording fireworks."""
    fields = ["fw_id", "launches", "archived_launches", "updated_on"]
    return list(store.database["fireworks"].find(fizzled_query(campaign), fields))


def updated(firework: Mapping[str, Any]) -> datetime:
    """Return the time when FireWorks last updated a firework (``updated_on``), in UTC."""
    time = firework["updated_on"]
    return in_utc(datetime.fromisoformat(time) if isinstance(time, str) else time)


def fizzled_reason(database: Database[dict[str, Any]], firework: Mapping[str, Any]) -> str:
    """Return the message of the exception that ended a firework's latest launch."""
    launch = database["launches"].find_one({"launch_id": {"$in": firework["launches"][-1:]}}, ["action"])
    return _error_of(launch) or "no reason given"


def launch_error(store: CampaignStore, fw_id: int, *, directory: str | None) -> str | None:
    """Return the message of the exception that ended a firework's launch in a directory, or None."""
    launch = {"fw_id": fw_id, "launch_dir": directory}
    return _error_of(store.database["launches"].find_one(launch, ["action"], sort=[("launch_id", -1)]))


def _error_of(launch: Mapping[str, Any] | None) -> str | None:
    """Return the message of the exception that ended a launch, or None."""
    exception = (((launch or {}).get("action") or {}).get("stored_data") or {}).get("_exception") or {}
    trace = (exception.get("_stacktrace") or "").strip()
    if not trace:
        return None
    # everything after the last frame of the stack trace: the error, which may have several lines
    frames = [place for place, line in enumerate(trace.splitlines()) if line.startswith("    ")]
    return "\n".join(trace.splitlines()[(frames[-1] + 1) if frames else 0 :]).strip()


def latest_launches(launchpad: LaunchPad, fireworks: Iterable[Mapping[str, Any]]) -> dict[int, Document]:
    """Read the latest launch (`LAUNCH_FIELDS`) of each firework, by its id, in few queries."""
    by_launch = {firework["launches"][-1]: firework["fw_id"] for firework in fireworks if firework["launches"]}
    found: dict[int, Document] = {}
    for ids in in_chunks(by_launch, _CHUNK):
        query = {"launch_id": {"$in": ids}}
        found |= {by_launch[launch["launch_id"]]: launch for launch in launchpad.launches.find(query, LAUNCH_FIELDS)}
    return found


def launch_since(launchpad: LaunchPad, fw_id: int, time: str) -> Document | None:
    """Read the worker of a firework's launch that started at a time (ISO 8601) or later; None if there is none."""
    found: Document | None = launchpad.launches.find_one({"fw_id": fw_id, "time_start": {"$gte": time}}, ["fworker"])
    return found


def launch_history(launchpad: LaunchPad, launch_id: int) -> list[Document]:
    """Read the state history of a launch."""
    launch = launchpad.launches.find_one({"launch_id": launch_id}, ["state_history"]) or {}
    return launch.get("state_history") or []


def is_as_seen(launchpad: LaunchPad, fw_id: int, *, state: str, launches: Sequence[int]) -> bool:
    """Whether a firework and its latest launch are still in this state, with these launches."""
    if not exists(launchpad.fireworks, {"fw_id": fw_id, "state": state, "launches": list(launches)}):
        return False
    # a process killed at its very end may have ended its launch without updating the firework
    return not launches or exists(launchpad.launches, {"launch_id": launches[-1], "state": state})


def claim_launch(
    launchpad: LaunchPad, fw_id: int, *, launch: int, process: Mapping[str, Any], job: Mapping[str, Any]
) -> bool:
    """Record the process that runs a firework (``spec.worker``); return False if another one has claimed this launch.

    Parameters
    ----------
    fw_id, launch
        The firework and its latest launch.
    process
        Identity of the process (`launchers.workers.process_identity.this_process`).
    job
        Fields of the batch job that it runs in.
    """
    same_process = {f"spec.worker.{key}": process[key] for key in IDENTITY}
    mine = {"fw_id": fw_id, "$or": [{"spec.worker.launch": {"$ne": launch}}, same_process]}
    worker = {**process, **job, "launch": launch}
    return bool(launchpad.fireworks.update_one(mine, {"$set": {"spec.worker": worker}}).matched_count)


def request_queue(launchpad: LaunchPad, fw_id: int, queue: Mapping[str, str]) -> None:
    """Set the resources that a firework's next job requests from the queue (``_queueadapter``)."""
    requested = {f"spec._queueadapter.{name}": value for name, value in queue.items()}
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": requested})


def reserve_launch(
    launchpad: LaunchPad, fw_id: int, launch_id: int, *, history: Sequence[Document], directory: str | None = None
) -> bool:
    """Set a running launch back to RESERVED with this history and folder; return False if it no longer runs."""
    waiting = {"state": "RESERVED", "state_history": list(history), "time_end": None, "runtime_secs": None}
    if directory is not None:
        waiting["launch_dir"] = directory
    changed = launchpad.launches.update_one(
        {"launch_id": launch_id, "state": "RUNNING"}, {"$set": waiting, "$unset": {"time_start": ""}}
    )
    # the next job to run it has the same launch, and records its own process
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$unset": {"spec.worker": ""}})
    return bool(changed.modified_count)


def update_launch(launchpad: LaunchPad, launch_id: int, *, state: str, changes: Mapping[str, Any]) -> bool:
    """Set fields of a launch in this state; return False if it is in another one."""
    updated = launchpad.launches.update_one({"launch_id": launch_id, "state": state}, {"$set": dict(changes)})
    return bool(updated.modified_count)


def add_completed_launch(launchpad: LaunchPad, fw_id: int, *, directory: str, note: str) -> bool:
    """Give a firework that no process has started a completed launch; return False if one has.

    FireWorks shows it as COMPLETED when it next refreshes the workflow.
    """
    untaken = {"fw_id": fw_id, "state": {"$in": ["WAITING", "READY"]}, "launches": []}
    if not exists(launchpad.fireworks, untaken):
        return False
    launch = Launch("RUNNING", directory, FWorker(), launch_id=launchpad.get_new_launch_id(), fw_id=fw_id)
    launch.state, launch.action = "COMPLETED", FWAction(stored_data={"message": note})
    launchpad.launches.insert_one(launch.to_db_dict())
    given = launchpad.fireworks.update_one(untaken, {"$set": {"launches": [launch.launch_id]}})
    return bool(given.modified_count)


def locked_workflows(launchpad: LaunchPad, campaign: str) -> list[Document]:
    """Read ``nodes`` and ``updated_on`` of a campaign's locked workflows."""
    query = {"metadata.campaign": campaign, "locked": {"$exists": True}}
    return list(launchpad.workflows.find(query, ["nodes", "updated_on"]))


def is_still_locked(launchpad: LaunchPad, workflow: Mapping[str, Any]) -> bool:
    """Whether a workflow (`locked_workflows`) is still locked and unchanged since it was read."""
    return exists(launchpad.workflows, _still_locked(workflow))


def unlock_workflow(launchpad: LaunchPad, workflow: Mapping[str, Any]) -> bool:
    """Remove the lock of a workflow (`locked_workflows`); return False if it has changed since it was read."""
    unlocked = launchpad.workflows.find_one_and_update(_still_locked(workflow), {"$unset": {"locked": True}})
    return unlocked is not None


def _still_locked(workflow: Mapping[str, Any]) -> dict[str, Any]:
    return {"_id": workflow["_id"], "locked": {"$exists": True}, "updated_on": workflow["updated_on"]}


def refresh_workflow(launchpad: LaunchPad, fw_id: int) -> None:
    """Let FireWorks refresh a firework's workflow under its lock, like `lpad admin refresh`."""
    launchpad._refresh_wf(fw_id)
