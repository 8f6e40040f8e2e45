"""The ledger of attempts, and the calculations of candidates and references that they belong to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore, Document, exists, in_utc, now
from campaign.store.states import Stage
from launchers.database.job_store import OUTPUTS_COLLECTION

#: Documents per MongoDB reply.
_BATCH = 5000
Outcome = Literal["running", "completed", "science", "machine", "lost", "stopped", "reused"]
"""How an attempt ended; ``running`` before that, ``reused`` for a reused calculation."""


def attempt_number(entry_id: str) -> int:
    """Return the number n of a firework's attempt from its id ``<fw_id>.<n>``."""
    return int(entry_id.rsplit(".", 1)[1])


def next_attempt_id(store: CampaignStore, fw_id: int) -> str:
    """Return the id of a firework's next ledger entry, ``<fw_id>.<n>``."""
    latest = last_attempt(store, fw_id)
    return f"{fw_id}.{1 if latest is None else attempt_number(latest['_id']) + 1}"


def open_attempts(store: CampaignStore, fw_id: int) -> list[Document]:
    """Read the open ledger entries of a firework."""
    return list(store.attempts.find({"fw_id": fw_id, "outcome": "running"}))


def last_attempt(store: CampaignStore, fw_id: int) -> Document | None:
    """Read the latest ledger entry of a firework; None if there is none."""
    entries = list(store.attempts.find({"fw_id": fw_id}))
    return max(entries, key=lambda entry: attempt_number(entry["_id"]), default=None)


def interrupted_attempts(
    store: CampaignStore, document_id: str, stage: Stage, *, causes: Iterable[str]
) -> list[Document]:
    """Read the directories and causes of interrupted attempts at a calculation.

    Parameters
    ----------
    causes
        Causes of lost attempts and machine failures to include; attempts stopped by the user are always included.
    """
    interrupted = {
        "document": document_id,
        "stage": stage.name,
        "$or": [{"outcome": {"$in": ["lost", "machine"]}, "cause": {"$in": list(causes)}}, {"outcome": "stopped"}],
    }
    return list(store.attempts.find(interrupted, ["directory", "cause", "host", "fw_id", "started"]))


def has_completed_attempt(store: CampaignStore, document_id: str, stage: Stage) -> bool:
    """Whether the ledger has a successful attempt at a calculation."""
    query = {"document": document_id, "stage": stage.name, "outcome": "completed"}
    return store.attempts.find_one(query, ["_id"]) is not None


def attempt_directories(store: CampaignStore, document_id: str, stage: Stage) -> list[str]:
    """Return the launch directories of unsuccessful attempts at a calculation, latest first."""
    tried = {"document": document_id, "stage": stage.name, "outcome": {"$nin": ["completed", "science"]}}
    entries = store.attempts.find({**tried, "directory": {"$type": "string"}}, ["directory"]).sort("started", -1)
    return [entry["directory"] for entry in entries]


def attempts_at(campaign: Campaign, document_id: str, *, limit: int) -> list[Document]:
    """Read the latest ledger entries of a candidate or a reference, in no particular order."""
    query = {"campaign": campaign.name, "document": document_id}
    return list(campaign.store.attempts.find(query).sort("started", -1).limit(limit))


def other_attempts(campaign: Campaign, document_id: str, shown: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Count, by stage, the ledger entries of a candidate or a reference other than those shown."""
    query = {"campaign": campaign.name, "document": document_id, "_id": {"$nin": [entry["_id"] for entry in shown]}}
    return Counter(str(entry.get("stage")) for entry in campaign.store.attempts.find(query, ["stage"]))


def shares_job(store: CampaignStore, entry: Mapping[str, Any]) -> bool:
    """Whether another attempt ran in the same batch job at the same time."""
    others = {"job_id": entry["job_id"], "scheduler": entry.get("scheduler"), "_id": {"$ne": entry["_id"]}}
    meanwhile: list[dict[str, Any]] = [{"outcome": "running"}, {"ended": {"$gt": entry["started"]}}]
    if entry.get("ended") is not None:
        others["started"] = {"$lt": entry["ended"]}
    return exists(store.attempts, {**others, "$or": meanwhile})


def count_failed_attempts(store: CampaignStore, fw_id: int) -> int:
    """Count the attempts of a firework that failed or lost their process."""
    failed = {"fw_id": fw_id, "outcome": {"$in": ["science", "machine", "lost"]}}
    return store.attempts.count_documents(failed)


def count_lost_attempts(store: CampaignStore, fw_id: int) -> int:
    """Count a firework's machine failures and lost attempts, except requeued and preempted jobs."""
    lost = {"fw_id": fw_id, "outcome": {"$in": ["machine", "lost"]}, "cause": {"$nin": ["requeued", "preempted"]}}
    return store.attempts.count_documents(lost)


def failures_since_success(campaign: Campaign, stages: Iterable[Stage], *, limit: int) -> list[Document]:
    """Read the machine failures since the engine last worked in any of these stages, latest first.

    A calculation that did not converge also shows that the engine works. Failures from before the campaign was last
    resumed
    do not count. Each query is answered by an index.
    """
    names = [stage.name for stage in stages]
    query: dict[str, Any] = {"campaign": campaign.name}
    since = [campaign.document.get("resumed")]
    for name in names:
        for outcome in ("completed", "science"):
            worked = campaign.store.attempts.find({**query, "stage": name, "outcome": outcome}, ["ended"])
            since += [entry["ended"] for entry in worked.sort("ended", -1).limit(1)]
    known = [in_utc(time) for time in since if time is not None]
    if known:
        query["ended"] = {"$gt": max(known)}
    fields = ["document", "cause", "error", "directory", "host", "ended"]
    found: list[Document] = []
    for name in names:
        failed = {**query, "stage": name, "outcome": "machine"}
        found += campaign.store.attempts.find(failed, fields).sort("ended", -1).limit(limit)
    return sorted(found, key=lambda entry: in_utc(entry["ended"]), reverse=True)[:limit]


def has_ever_worked(campaign: Campaign, stages: Iterable[Stage]) -> bool:
    """Whether the engine has worked in any of these stages since the campaign was last resumed."""
    worked: dict[str, Any] = {
        "campaign": campaign.name,
        "stage": {"$in": [stage.name for stage in stages]},
        "outcome": {"$in": ["completed", "science"]},
    }
    if (resumed := campaign.document.get("resumed")) is not None:
        worked["ended"] = {"$gt": resumed}
    return exists(campaign.store.attempts, worked)


def insert_attempt_if_missing(store: CampaignStore, entry: Document) -> None:
    """Add an entry to the ledger unless its id exists."""
    store.insert_missing(store.attempts, [entry])


def update_running_attempt(store: CampaignStore, entry_id: str, changes: Mapping[str, Any]) -> bool:
    """Set fields of an open ledger entry; return False if it is already closed."""
    open_entry = {"_id": entry_id, "outcome": "running"}
    return bool(store.attempts.update_one(open_entry, {"$set": dict(changes)}).modified_count)


def close_attempt(
    store: CampaignStore,
    entry_id: str,
    *,
    outcome: Outcome,
    cpu_s: float | None = None,
    gpu_s: float | None = None,
    error: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> bool:
    """Close an open entry; return False if it is already closed. Costs that are not given keep their last
    noted value.
    """
    update: dict[str, Any] = {"outcome": outcome, "error": error, "ended": now(), **(facts or {})}
    update |= {name: value for name, value in (("cpu_s", cpu_s), ("gpu_s", gpu_s)) if value is not None}
    return update_running_attempt(store, entry_id, update)


def running_calculations(campaign: Campaign, stage: Stage) -> Iterator[Iterable[Document]]:
    """Yield cursors over the references, then the candidates, with a running calculation.

    Only its ``fw_id``, ``record_fw_id`` and ``attempt`` are read: a relaxation also contains its structure, and there
    may
    be 1,000,000 of them.
    """
    query = {"campaign": campaign.name, stage.state_field: stage.running}
    fields = [f"{stage.fields}.{key}" for key in ("fw_id", "record_fw_id", "attempt")]
    for collection in (campaign.store.references, campaign.store.candidates):
        yield collection.find(query, fields, batch_size=_BATCH)


def failed_documents(campaign: Campaign, stages: Iterable[Stage]) -> Iterator[tuple[Stage, Document]]:
    """Yield the references, then the candidates, whose calculation failed permanently, stage by stage."""
    for collection in (campaign.store.references, campaign.store.candidates):
        for stage in stages:
            query = {"campaign": campaign.name, stage.state_field: stage.failed}
            fields = ["formula", "prototype", "label", "final_failure", stage.fields]
            for document in collection.find(query, fields).sort("_id"):
                yield stage, document


def request_resources(
    store: CampaignStore, document_id: str, stage: Stage, *, fw_id: int, queue: Mapping[str, str]
) -> None:
    """Store resources that later workflows of a calculation request from the queue, if `fw_id` is still its
    firework.
    """
    requested = {f"{stage.fields}.queue.{key}": value for key, value in queue.items()}
    current = {"_id": document_id, f"{stage.fields}.fw_id": fw_id}
    store.collection_of(document_id).update_one(current, {"$set": requested})


def count_outputs(store: CampaignStore, uuids: Sequence[str]) -> int:
    """Count the jobs with an output in the JobStore."""
    return len(uuids_with_outputs(store, uuids))


def uuids_with_outputs(store: CampaignStore, uuids: Sequence[str]) -> list[str]:
    """Return the uuids of the jobs with an output in the JobStore."""
    found: list[str] = store.database[OUTPUTS_COLLECTION].distinct("uuid", {"uuid": {"$in": list(uuids)}})
    return found


def void_attempt(
    store: CampaignStore, document_id: str, stage: Stage, *, fw_id: int | None, cause: str, error: str
) -> str | None:
    """Turn the successful ledger entry of a calculation into a machine failure because its result is lost.

    Parameters
    ----------
    fw_id
        Its firework; None if it was reused.

    Returns
    -------
    str or None
        Id of the entry, or None if there is none.
    """
    lost = {"outcome": "machine", "cause": cause, "error": error}
    successful: dict[str, Any] = {"fw_id": fw_id, "outcome": "completed"}
    if fw_id is None:
        successful = {"document": document_id, "stage": stage.name, "outcome": "reused"}
    entry = store.attempts.find_one_and_update(successful, {"$set": lost})
    return None if entry is None else str(entry["_id"])
