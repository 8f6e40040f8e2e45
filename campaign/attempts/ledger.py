"""The ledger: one document for every time that a calculation or a step was started, with what it cost.

Failed attempts are in it too: the CPU-hours of a campaign are the sum over its attempts. What an attempt has used so
far is written down every quarter of a minute, so that of one that was killed (``lost``, ``stopped``) the last figure
is known; it may have used some seconds more.
"""

import logging
import os
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo.errors import PyMongoError

from campaign.attempts.causes import failure_cause
from campaign.attempts.failures import failure_kind
from campaign.attempts.process_identity import ended_cpu_seconds, running_cpu_seconds, this_process
from campaign.store.attempts import (
    Outcome,
    close_attempt,
    insert_attempt,
    insert_attempt_if_missing,
    last_attempt,
    next_attempt_id,
    open_attempts,
    update_running_attempt,
)
from campaign.store.collections import SCHEMA_VERSION, CampaignStore, now
from launchers.scheduler.this_job import this_job

logger = logging.getLogger(__name__)

_BEAT_S = 15.0


class Attempt:
    """An attempt under way.

    Attributes
    ----------
    cpu_s
        May be set to what the calculation itself counted (all nodes, all ranks): the larger figure counts.
    elsewhere_cpu_s
        CPU-seconds of processes that are not this one's children (Ray's actors): they are added.
    gpu_s
        GPU-seconds: number of GPUs that were held, times the seconds.
    """

    def __init__(self) -> None:
        self.cpu_s: float | None = None
        self.elsewhere_cpu_s = 0.0
        self.gpu_s = 0.0
        self._before = ended_cpu_seconds()

    def used_cpu_s(self, *, ended: bool) -> float:
        """CPU-seconds so far."""
        here = ended_cpu_seconds() - self._before + (0.0 if ended else running_cpu_seconds())
        return max(here, self.cpu_s or 0.0) + self.elsewhere_cpu_s


@contextmanager
def attempt(
    store: CampaignStore, *, campaign: str, stage: str, fw_id: int, document: str | None = None, beat_s: float = _BEAT_S
) -> Iterator[Attempt]:
    """Keep the ledger entry of one attempt.

    Parameters
    ----------
    campaign
        Its name.
    stage
        ``dos``, ``relax``, ``rs_dos``, ``train``, ``screen`` ...
    fw_id
        Firework that runs; its n-th attempt has the id ``<fw_id>.<n>``.
    document
        Candidate or reference that is calculated; None for a step.
    beat_s
        Seconds between two notes of what it has used so far.

    Raises
    ------
    BaseException
        Whatever the body raised, once the failure stands in the ledger.
    """
    # a firework whose worker was killed runs again in another process: the old entry must not stay open
    for earlier in open_attempts(store, fw_id):
        close_attempt(store, earlier["_id"], outcome="lost", facts={"cause": "killed"})
    entry_id = next_attempt_id(store, fw_id)
    insert_attempt(
        store,
        {
            "_id": entry_id,
            "campaign": campaign,
            "document": document,
            "stage": stage,
            "fw_id": fw_id,
            **this_process(),
            **this_job(),
            "directory": os.getcwd(),
            "started": now(),
            "outcome": "running",
            "schema_version": SCHEMA_VERSION,
        },
    )
    entry = Attempt()
    with _beating(store, entry_id, entry, beat_s):
        try:
            yield entry
        except BaseException as error:
            message = "".join(traceback.format_exception_only(error)).strip()
            close_attempt(
                store,
                entry_id,
                outcome=failure_kind(error),
                error=message[-2000:],
                facts={"cause": failure_cause(error)},
                cpu_s=entry.used_cpu_s(ended=True),
                gpu_s=entry.gpu_s,
            )
            raise
    close_attempt(store, entry_id, outcome="completed", cpu_s=entry.used_cpu_s(ended=True), gpu_s=entry.gpu_s)


@contextmanager
def _beating(store: CampaignStore, entry_id: str, entry: Attempt, beat_s: float) -> Iterator[None]:
    """Note now and then what an attempt has used, in a thread of its own."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(beat_s):
            try:
                used = {"cpu_s": entry.used_cpu_s(ended=False), "gpu_s": entry.gpu_s, "seen": now()}
                update_running_attempt(store, entry_id, used)
            except PyMongoError as error:  # the calculation goes on without the database; its end will be recorded
                logger.warning("the ledger cannot be written for now: %s", error)

    thread = threading.Thread(target=beat, name=f"ledger-{entry_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        # a note under way must not come after the entry is closed; the filter on "running" sees to that
        thread.join(timeout=1.0)


def close_open_attempt(
    store: CampaignStore,
    firework: Mapping[str, Any],
    *,
    campaign: str,
    outcome: Outcome,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Close the entry of a firework whose process is gone; make one if it was killed before it had any.

    Parameters
    ----------
    firework
        FireWorks' document with ``fw_id``, ``launches`` and ``spec``.
    outcome
        ``lost`` or ``stopped``; ``completed`` where its results are there all the same.
    facts
        What is known of its end: ``cause`` (`campaign.attempts.causes`), ``job_id``, ``error`` ...
    """
    fw_id = firework["fw_id"]
    entry = last_attempt(store, fw_id)
    if entry is not None and close_attempt(store, entry["_id"], outcome=outcome, facts=facts):
        return
    if outcome == "completed":
        return  # it had ended, and said so
    spec = firework.get("spec") or {}
    lost = {
        "_id": next_attempt_id(store, fw_id),
        "campaign": campaign,
        "document": spec.get("document"),
        "stage": spec.get("stage"),
        "fw_id": fw_id,
        "started": None,
        "ended": now(),
        "outcome": outcome,
        "cpu_s": None,
        "error": None,
        **(facts or {}),
        "schema_version": SCHEMA_VERSION,
    }
    insert_attempt_if_missing(store, lost)
