"""The ledger of attempts, and the calculations on candidates and references that they belong to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore, Document, exists, in_utc, now
from campaign.store.states import Stage
from launchers.database.job_store import OUTPUTS_COLLECTION

#: Documents that MongoDB hands over together.
_BATCH = 5000
Outcome = Literal["running", "completed", "science", "machine", "lost", "stopped", "reused"]
"""How an attempt ended; ``running`` before that, ``reused`` for a reused calculation."""


def attempt_number(entry_id: str) -> int:
    """Number n of the n-th attempt of a firework, from its id ``<fw_id>.<n>``."""
    return int(entry_id.rsplit(".", 1)[1])


def next_attempt_id(store: CampaignStore, fw_id: int) -> str:
    """Id of a firework's next ledger entry, ``<fw_id>.<n>``."""
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
    """Read where and why attempts at a calculation of a candidate or a reference were interrupted.

    Parameters
    ----------
    causes
        Causes of lost attempts and machine failures that are of interest; those that the user stopped are always
        included.
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
    """Launch directories of the attempts at a calculation that were not completed, the latest first."""
    tried = {"document": document_id, "stage": stage.name, "outcome": {"$nin": ["completed", "science"]}}
    entries = store.attempts.find({**tried, "directory": {"$type": "string"}}, ["directory"]).sort("started", -1)
    return [entry["directory"] for entry in entries]


def attempts_at(campaign: Campaign, document_id: str, *, limit: int) -> list[Document]:
    """Read the latest ledger entries of a candidate or a reference, in no particular order."""
    query = {"campaign": campaign.name, "document": document_id}
    return list(campaign.store.attempts.find(query).sort("started", -1).limit(limit))


def other_attempts(campaign: Campaign, document_id: str, shown: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Count, by stage, the ledger entries of a candidate or a reference beside those that are shown."""
    query = {"campaign": campaign.name, "document": document_id, "_id": {"$nin": [entry["_id"] for entry in shown]}}
    return Counter(str(entry.get("stage")) for entry in campaign.store.attempts.find(query, ["stage"]))


def shares_job(store: CampaignStore, entry: Mapping[str, Any]) -> bool:
    """Whether another attempt has run in the same batch job while this one did."""
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
    """Count a firework's machine failures and lost processes; requeued and preempted jobs do not count."""
    lost = {"fw_id": fw_id, "outcome": {"$in": ["machine", "lost"]}, "cause": {"$nin": ["requeued", "preempted"]}}
    return store.attempts.count_documents(lost)


def failures_since_success(campaign: Campaign, stages: Iterable[Stage], *, limit: int) -> list[Document]:
    """Read the machine failures since the engine last did its work in any of these stages, the latest first.

    A calculation that did not converge has shown as well that the engine works. What failed before the campaign was
    last resumed does not count. Each query is answered by an index.
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
    """Whether the engine has done its work in any of these stages, since the campaign was last resumed."""
    worked: dict[str, Any] = {
        "campaign": campaign.name,
        "stage": {"$in": [stage.name for stage in stages]},
        "outcome": {"$in": ["completed", "science"]},
    }
    if (resumed := campaign.document.get("resumed")) is not None:
        worked["ended"] = {"$gt": resumed}
    return exists(campaign.store.attempts, worked)


def insert_attempt_if_missing(store: CampaignStore, entry: Document) -> None:
    """Add an entry to the ledger unless there is one with its id."""
    store.insert_missing(store.attempts, [entry])


def update_running_attempt(store: CampaignStore, entry_id: str, changes: Mapping[str, Any]) -> bool:
    """Set fields of an open ledger entry; False if it was closed before."""
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
    """Close an open entry; False if it was closed before. Costs that are not given stay as they were last noted."""
    update: dict[str, Any] = {"outcome": outcome, "error": error, "ended": now(), **(facts or {})}
    update |= {name: value for name, value in (("cpu_s", cpu_s), ("gpu_s", gpu_s)) if value is not None}
    return update_running_attempt(store, entry_id, update)


def running_calculations(campaign: Campaign, stage: Stage) -> Iterator[Iterable[Document]]:
    """Yield the references, then the candidates, on which a calculation runs, to be read one after the other.

    Of the calculation only ``fw_id``, ``record_fw_id`` and ``attempt`` are read: a relaxation also holds its structure,
    and there may be 1,000,000 of them.
    """
    query = {"campaign": campaign.name, stage.state_field: stage.running}
    fields = [f"{stage.fields}.{key}" for key in ("fw_id", "record_fw_id", "attempt")]
    for collection in (campaign.store.references, campaign.store.candidates):
        yield collection.find(query, fields, batch_size=_BATCH)


def failed_documents(campaign: Campaign, stages: Iterable[Stage]) -> Iterator[tuple[Stage, Document]]:
    """Yield the references, then the candidates, whose calculation has failed for good, stage by stage."""
    for collection in (campaign.store.references, campaign.store.candidates):
        for stage in stages:
            query = {"campaign": campaign.name, stage.state_field: stage.failed}
            fields = ["formula", "prototype", "label", "final_failure", stage.fields]
            for document in collection.find(query, fields).sort("_id"):
                yield stage, document


def request_resources(
    store: CampaignStore, document_id: str, stage: Stage, *, fw_id: int, queue: Mapping[str, str]
) -> None:
    """Let later workflows of a calculation ask the queue for these resources, if `fw_id` is still its firework."""
    requested = {f"{stage.fields}.queue.{key}": value for key, value in queue.items()}
    current = {"_id": document_id, f"{stage.fields}.fw_id": fw_id}
    store.collection_of(document_id).update_one(current, {"$set": requested})


def count_outputs(store: CampaignStore, uuids: Sequence[str]) -> int:
    """Count which of these jobs have an output in the JobStore."""
    return len(uuids_with_outputs(store, uuids))


def uuids_with_outputs(store: CampaignStore, uuids: Sequence[str]) -> list[str]:
    """Those of the jobs' uuids that have an output in the JobStore."""
    found: list[str] = store.database[OUTPUTS_COLLECTION].distinct("uuid", {"uuid": {"$in": list(uuids)}})
    return found


def void_attempt(
    store: CampaignStore, document_id: str, stage: Stage, *, fw_id: int | None, cause: str, error: str
) -> str | None:
    """Turn the successful ledger entry of a calculation into a machine failure, because its result is gone.

    Parameters
    ----------
    fw_id
        Its firework; None: it was reused.

    Returns
    -------
    str or None
        Id of the entry.
    """
    lost = {"outcome": "machine", "cause": cause, "error": error}
    successful: dict[str, Any] = {"fw_id": fw_id, "outcome": "completed"}
    if fw_id is None:
        successful = {"document": document_id, "stage": stage.name, "outcome": "reused"}
    entry = store.attempts.find_one_and_update(successful, {"$set": lost})
    return None if entry is None else str(entry["_id"])
