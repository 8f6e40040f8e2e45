"""The ledger: one document for each start of a calculation or a step, with its cost.

It includes failed attempts: the CPU-hours of a campaign are the sum over its attempts. The usage of a running attempt
is recorded every 15 s, so that for a killed one (``lost``, ``stopped``) only the last seconds are missing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaign.attempts.causes import failure_cause
from campaign.attempts.cpu_time import ended_cpu_seconds, running_cpu_seconds
from campaign.attempts.engine_cost import EngineCost, engine_cost
from campaign.attempts.failures import error_message, failure_kind
from campaign.attempts.last_words import close_unclosed, forget_last_words, leave_last_words
from campaign.attempts.memory_kills import note_memory_kills
from campaign.store.attempts import (
    Outcome,
    insert_attempt_if_missing,
    last_attempt,
    next_attempt_id,
    open_attempts,
    update_running_attempt,
)
from campaign.store.collections import SCHEMA_VERSION, CampaignStore, in_utc, now
from launchers.database.patience import DEFAULT_WAIT_S, patiently
from launchers.scheduler.this_job import this_job
from launchers.workers.process_identity import IDENTITY, this_process

if TYPE_CHECKING:
    from esnet.scoring.pool import Usage

logger = logging.getLogger(__name__)

_BEAT_S = 15.0


class Attempt:
    """An attempt under way.

    Attributes
    ----------
    cpu_s
        May be set to the calculation's own figure (all nodes, all ranks): the larger figure counts.
    elsewhere_cpu_s
        CPU-seconds of processes that are not children of this one (Ray's actors), added to the total.
    gpu_s
        GPU-seconds: number of reserved GPUs times seconds.
    engine
        Counter of the engine's CPU-seconds if it is not a child of this process (srun): the larger figure counts.
    inputs
        The inputs requested of a calculation's engine and those it read, once known (`workflows.inputs.used_inputs`).
    """

    def __init__(self) -> None:
        self.inputs: dict[str, Any] | None = None
        self.cpu_s: float | None = None
        self.engine: EngineCost | None = None
        self.elsewhere_cpu_s = 0.0
        self.gpu_s = 0.0
        self._before = ended_cpu_seconds()

    def add_usage(self, usage: Usage) -> None:
        """Add the usage of other processes than this one's children, and of GPUs."""
        self.elsewhere_cpu_s += usage.cpu_s
        self.gpu_s += usage.gpu_s

    def used_cpu_s(self, *, ended: bool) -> float:
        """Return the CPU-seconds so far."""
        here = ended_cpu_seconds() - self._before + (0.0 if ended else running_cpu_seconds())
        engine = 0.0
        if self.engine is not None:
            engine = self.engine.at_end() if ended else self.engine.so_far()
        return max(here, self.cpu_s or 0.0, engine) + self.elsewhere_cpu_s


@contextmanager
def attempt(
    store: CampaignStore,
    *,
    campaign: str,
    stage: str,
    fw_id: int,
    document: str | None = None,
    beat_s: float = _BEAT_S,
    database_wait_s: float = DEFAULT_WAIT_S,
    has_engine: bool = False,
) -> Iterator[Attempt]:
    """Keep the ledger entry of an attempt during a ``with`` block.

    Parameters
    ----------
    campaign
        Name of the campaign.
    stage
        ``dos``, ``relax``, ``rs_dos``, ``train``, ``screen`` ...
    fw_id
        Firework that runs; its n-th attempt has the id ``<fw_id>.<n>``.
    document
        Candidate or reference that is calculated; None for a step.
    beat_s
        Seconds between two updates of its usage.
    database_wait_s
        How long the entry waits for an unavailable database.
    has_engine
        Whether an engine computes in this directory, whose usage is taken from its OUTCARs and the scheduler.

    Raises
    ------
    BaseException
        Any exception of the body, once the failure is recorded in the ledger or the launch directory.
    """
    directory = Path.cwd()
    what = {"campaign": campaign, "document": document, "stage": stage, "fw_id": fw_id, "started": now()}
    entry_id = patiently(partial(_open, store, what, directory), wait_s=database_wait_s)
    usage = Attempt()
    if has_engine:
        usage.engine = engine_cost(store, {**what, **this_job(), "_id": entry_id, "directory": str(directory)})
    note_memory_kills()
    try:
        with _beating(store, entry_id, usage, beat_s):
            yield usage
    except BaseException as error:
        # a user who interrupts a process will not wait for the database
        wait_s = database_wait_s if isinstance(error, Exception) else 0.0
        _close(store, entry_id, directory, _ending(error, directory), usage, wait_s=wait_s)
        raise
    _close(store, entry_id, directory, {"outcome": "completed", "error": None}, usage, wait_s=database_wait_s)


def _open(store: CampaignStore, what: Mapping[str, Any], directory: Path) -> str:
    """Open an entry and return its id; a repeated call, after a lost answer, finds the same entry."""
    process = this_process()
    # a firework whose worker was killed runs again in another process: the old entry must be closed
    for earlier in open_attempts(store, what["fw_id"]):
        if in_utc(earlier["started"]) == what["started"] and all(earlier.get(key) == process[key] for key in IDENTITY):
            return str(earlier["_id"])
        close_unclosed(store, earlier, outcome="lost", facts={"cause": "killed"})
    entry_id = next_attempt_id(store, what["fw_id"])
    insert_attempt_if_missing(
        store,
        {
            "_id": entry_id,
            **what,
            **process,
            **this_job(),
            "directory": str(directory),
            "outcome": "running",
            "schema_version": SCHEMA_VERSION,
        },
    )
    return entry_id


def _ending(error: BaseException, directory: Path) -> dict[str, Any]:
    """Return the ledger's fields for a failed attempt; nothing in here may hide the failure itself."""
    try:
        if isinstance(error, Exception) and not directory.is_dir():
            # however the calculation or custodian interpreted it
            outcome, cause = "machine", "launch_folder_gone"
        else:
            cause = failure_cause(error, directory)
            outcome = failure_kind(error, cause=cause)
    except Exception as trouble:  # noqa: BLE001 memory or a disk: the search for the cause may fail for the same reason
        outcome = failure_kind(error)
        cause = "out_of_memory" if isinstance(trouble, MemoryError) else type(error).__name__
    message = error_message(error)
    # file names may contain bytes that are not UTF-8, which MongoDB refuses
    return {"outcome": outcome, "cause": cause, "error": message[-2000:].encode("utf-8", "replace").decode()}


def _close(
    store: CampaignStore, entry_id: str, directory: Path, ending: dict[str, Any], usage: Attempt, *, wait_s: float
) -> None:
    """Close an entry; if that fails, write its content into the launch directory."""
    cost = {"cpu_s": _used_at_end(usage), "gpu_s": usage.gpu_s}
    facts = {**ending, **cost, "ended": now()}
    if usage.inputs is not None:
        facts["inputs"] = usage.inputs

    def leave_words(away: bool = True) -> None:
        if away:
            leave_last_words(directory, entry_id, {**facts, "ended": facts["ended"].isoformat()})
        else:
            forget_last_words(directory, entry_id)

    try:
        patiently(partial(update_running_attempt, store, entry_id, facts), wait_s=wait_s, on_outage=leave_words)
    except Exception as error:  # noqa: BLE001 no error may hide how the attempt ended
        logger.warning("attempt %s could not be closed in the ledger: %s", entry_id, error)
        leave_words()


def _used_at_end(usage: Attempt) -> float:
    """Return the usage of an attempt; a failure to read the engine's figure must not hide how the attempt ended."""
    try:
        return usage.used_cpu_s(ended=True)
    except Exception as error:  # noqa: BLE001 a database that is away, memory, a disk
        logger.warning("the engine's CPU time is counted from its processes on this machine only: %s", error)
        usage.engine = None
        return usage.used_cpu_s(ended=True)


@contextmanager
def _beating(store: CampaignStore, entry_id: str, entry: Attempt, beat_s: float) -> Iterator[None]:
    """Record an attempt's usage periodically, in a separate thread."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(beat_s):
            try:
                used = {"cpu_s": entry.used_cpu_s(ended=False), "gpu_s": entry.gpu_s, "seen": now()}
                used |= {} if entry.inputs is None else {"inputs": entry.inputs}
                update_running_attempt(store, entry_id, used)
            except Exception as error:  # noqa: BLE001 the calculation continues without a note; its end will be recorded
                logger.warning("the ledger cannot be written at the moment: %s", error)

    thread = threading.Thread(target=beat, name=f"ledger-{entry_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        # an update in progress must not be written after the entry is closed; the filter on "running" ensures that
        thread.join(timeout=1.0)


def close_open_attempt(
    store: CampaignStore,
    firework: Mapping[str, Any],
    *,
    campaign: str,
    outcome: Outcome,
    launch: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Close the entry of a firework whose process is gone, creating it if the process was killed before that.

    Parameters
    ----------
    firework
        FireWorks' document with ``fw_id``, ``launches`` and ``spec``.
    outcome
        ``lost`` or ``stopped``; ``completed`` if its results are nevertheless there.
    launch
        The launch that ended; an entry that it closed itself is kept.
    facts
        Known facts about its end: ``cause`` (`campaign.attempts.causes`), ``job_id``, ``error`` ...
    """
    fw_id = firework["fw_id"]
    entry = last_attempt(store, fw_id)
    if entry is not None and entry["outcome"] == "running":
        close_unclosed(store, entry, outcome=outcome, facts=facts)
        return
    if outcome == "completed" or _is_of_launch(entry, launch):
        return  # it ended normally and recorded this
    spec = firework.get("spec") or {}
    lost = {
        "_id": next_attempt_id(store, fw_id),
        "campaign": campaign,
        "document": spec.get("document"),
        # the category of a step is its stage
        "stage": spec.get("stage") or (spec.get("_category") if "step" in spec else None),
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


def _is_of_launch(entry: Mapping[str, Any] | None, launch: Mapping[str, Any] | None) -> bool:
    """Whether a launch created this entry, i.e. failed and ended before FireWorks was notified."""
    if entry is None or launch is None or entry["started"] is None or not launch.get("time_start"):
        return False
    began = in_utc(datetime.fromisoformat(launch["time_start"]))
    return in_utc(entry["started"]) >= began - timedelta(milliseconds=1)
