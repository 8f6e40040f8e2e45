"""The ledger: one document for every time that a calculation or a step was started, with what it cost.

Failed attempts are in it too: the CPU-hours of a campaign are the sum over its attempts. What a process had used when
it was killed nobody can know: such attempts (``lost``, ``stopped``) have no `cpu_s`, but they are there.
"""

from __future__ import annotations

import os
import resource
import socket
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import psutil

from campaign.store import SCHEMA_VERSION, CampaignStore, now

if TYPE_CHECKING:
    from datetime import datetime

Outcome = Literal["running", "completed", "science", "machine", "lost", "stopped"]


class ScienceFailureError(RuntimeError):
    """The calculation ran and its physics failed: no convergence, or custodian gave up. Not tried again."""


def failure_kind(error: BaseException) -> Literal["science", "machine"]:
    """Tell a failure of the calculation from a failure of the machine that ran it.

    custodian's verdicts (no handler left, too many corrections) are about the calculation. A program that ended with
    an error code or without complete outputs and without any error that custodian knows was killed or has crashed;
    that, a full disk or a lost database is the machine's.
    """
    from custodian.custodian import CustodianError, ReturnCodeError, ValidationError

    if isinstance(error, ReturnCodeError | ValidationError):
        return "machine"
    if isinstance(error, ScienceFailureError | CustodianError):
        return "science"
    return "machine"


def this_process() -> dict[str, Any]:
    """Host, process id and start time of this process: together they name it for ever."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "pid_created": psutil.Process().create_time()}


def is_alive(process: dict[str, Any]) -> bool | None:
    """Whether the process of an attempt still runs; None where it cannot be told (another host)."""
    if process["host"] != socket.gethostname():
        return None
    try:
        found = psutil.Process(process["pid"])
        # a reused process id has another start time
        return bool(abs(found.create_time() - process["pid_created"]) < 1.0 and found.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _cpu_seconds() -> float:
    """CPU-seconds so far of this process and of the children it has waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


class Attempt:
    """An attempt under way; `cpu_s` may be set to what the calculation itself counted (all nodes, all ranks)."""

    def __init__(self) -> None:
        self.cpu_s: float | None = None


@contextmanager
def attempt(
    store: CampaignStore,
    *,
    campaign: str,
    stage: str,
    fw_id: int,
    document: str | None = None,
) -> Iterator[Attempt]:
    """Keep the ledger entry of one attempt.

    Parameters
    ----------
    store
        The campaign's collections.
    campaign
        Its name.
    stage
        ``dos``, ``relax``, ``rs_dos``, ``train``, ``screen`` ...
    fw_id
        Firework that runs; its n-th attempt has the id ``<fw_id>.<n>``.
    document
        Candidate or reference that is calculated.

    Raises
    ------
    BaseException
        Whatever the body raised, once the failure stands in the ledger.
    """
    # a firework whose worker was killed runs again in another process: the old entry must not stay open
    for earlier in store.attempts.find({"fw_id": fw_id, "outcome": "running"}):
        close_attempt(store, earlier["_id"], outcome="lost")
    entry_id = f"{fw_id}.{store.attempts.count_documents({'fw_id': fw_id}) + 1}"
    store.attempts.insert_one(
        {
            "_id": entry_id,
            "campaign": campaign,
            "document": document,
            "stage": stage,
            "fw_id": fw_id,
            **this_process(),
            "started": now(),
            "outcome": "running",
            "schema_version": SCHEMA_VERSION,
        }
    )
    before = _cpu_seconds()
    entry = Attempt()
    try:
        yield entry
    except BaseException as error:
        message = "".join(traceback.format_exception_only(error)).strip()
        cpu_s = max(_cpu_seconds() - before, entry.cpu_s or 0.0)
        close_attempt(store, entry_id, outcome=failure_kind(error), cpu_s=cpu_s, error=message[-2000:])
        raise
    cpu_s = _cpu_seconds() - before
    close_attempt(store, entry_id, outcome="completed", cpu_s=max(cpu_s, entry.cpu_s or 0.0))


def close_attempt(
    store: CampaignStore,
    entry_id: str,
    *,
    outcome: Outcome,
    cpu_s: float | None = None,
    error: str | None = None,
    ended: datetime | None = None,
) -> bool:
    """Close an open entry; False if it was closed before."""
    update = {"outcome": outcome, "cpu_s": cpu_s, "error": error, "ended": ended or now()}
    return bool(store.attempts.update_one({"_id": entry_id, "outcome": "running"}, {"$set": update}).modified_count)


def close_open_attempt(store: CampaignStore, firework: Mapping[str, Any], *, campaign: str, outcome: Outcome) -> None:
    """Close the entry of a firework whose process is gone; make one if it was killed before it had any.

    Parameters
    ----------
    store
        The campaign's collections.
    firework
        FireWorks' document with ``fw_id``, ``launches`` and ``spec``.
    campaign
        Its campaign.
    outcome
        ``lost`` or ``stopped``.
    """
    fw_id = firework["fw_id"]
    entry = last_attempt(store, fw_id)
    if entry is not None and close_attempt(store, entry["_id"], outcome=outcome):
        return
    facts = firework.get("spec") or {}
    lost = {
        "_id": f"{fw_id}.{store.attempts.count_documents({'fw_id': fw_id}) + 1}",
        "campaign": campaign,
        "document": facts.get("document"),
        "stage": facts.get("stage"),
        "fw_id": fw_id,
        "started": None,
        "ended": now(),
        "outcome": outcome,
        "cpu_s": None,
        "error": None,
        "schema_version": SCHEMA_VERSION,
    }
    store.insert_missing(store.attempts, [lost])


def last_attempt(store: CampaignStore, fw_id: int) -> dict[str, Any] | None:
    """Return the latest ledger entry of a firework."""
    entries = list(store.attempts.find({"fw_id": fw_id}))
    return max(entries, key=lambda entry: int(entry["_id"].rsplit(".", 1)[1]), default=None)


def cpu_seconds_by_document(store: CampaignStore, campaign: str) -> dict[str, float]:
    """CPU-seconds that each candidate and each reference has cost so far, all attempts."""
    groups = store.attempts.aggregate(
        [
            {"$match": {"campaign": campaign, "document": {"$ne": None}}},
            {"$group": {"_id": "$document", "cpu_s": {"$sum": "$cpu_s"}}},
        ]
    )
    return {group["_id"]: float(group["cpu_s"]) for group in groups}


def cpu_seconds_by_stage(store: CampaignStore, campaign: str) -> dict[str, dict[str, float]]:
    """For each stage the number of attempts and their CPU-seconds, ``{stage: {attempts, cpu_s}}``."""
    groups = store.attempts.aggregate(
        [
            {"$match": {"campaign": campaign}},
            {"$group": {"_id": "$stage", "attempts": {"$sum": 1}, "cpu_s": {"$sum": "$cpu_s"}}},
            {"$sort": {"_id": 1}},
        ]
    )
    return {group["_id"]: {"attempts": group["attempts"], "cpu_s": float(group["cpu_s"])} for group in groups}
