"""Keeps the queues filled: as many jobs as there are fireworks for them, and no more than a queue may hold.

Each job is submitted by FireWorks' own `launch_rocket_to_queue` in reservation mode, which takes one ready firework
for it: there are never more jobs than fireworks. With several calculations in one job (`jobs_per_allocation`) a job
reserves the first of them, and takes the others when it runs. Nothing is remembered between calls.
"""

import ast
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fireworks import FWorker, LaunchPad
from fireworks.queue.queue_adapter import QueueAdapterBase
from fireworks.queue.queue_launcher import launch_rocket_to_queue
from pymongo.errors import DuplicateKeyError

from launchers.cluster.launch_files import load_adapter, load_fworker
from launchers.cluster.lock import Lock, locked
from launchers.cluster.site import CATEGORIES, SiteSettings
from launchers.workers.project_worker import CampaignWorker

#: So many rejected submissions in a row end a call: the next ones would be rejected too.
_MOST_REJECTED = 3
#: A reservation is told its job within seconds; one without a job for so long was left by a process that was killed.
_UNSUBMITTED = timedelta(minutes=10)


@dataclass
class Filled:
    """What was done for one category.

    Attributes
    ----------
    category, queue
        Which fireworks, and where their jobs go.
    ready
        Fireworks that were ready.
    in_queue
        Jobs of this user in the queue before; None: the scheduler did not say.
    max_jobs
        How many there may be.
    submitted
        Ids of the jobs that were submitted.
    rejected
        Fireworks whose job was rejected (they are ready again).
    freed
        Fireworks that had been reserved without a job, and are ready again.
    problem
        What went wrong.
    """

    category: str
    queue: str
    max_jobs: int
    ready: int = 0
    in_queue: int | None = None
    submitted: list[str] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    freed: list[int] = field(default_factory=list)
    problem: str | None = None

    def line(self) -> str:
        """Say it in one line."""
        if not self.ready and self.problem is None:
            text = f"{self.category}: nothing ready"
        else:
            queue = "unknown" if self.in_queue is None else f"{self.in_queue} of at most {self.max_jobs}"
            jobs = f" ({', '.join(self.submitted)})" if self.submitted else ""
            text = f"{self.category}: {self.ready} ready; jobs in {self.queue}: {queue}"
            text += f"; submitted {len(self.submitted)}{jobs}"
        if self.freed:
            text += f"; reserved without a job, ready again: {', '.join(map(str, self.freed))}"
        if self.rejected:
            text += f"; rejected, ready again: {', '.join(map(str, self.rejected))}"
        return text if self.problem is None else f"{text}; {self.problem}"


def fill_queues(launchpad: LaunchPad, site: SiteSettings, folder: Path) -> Iterator[Filled]:
    """Submit jobs for what is ready, category by category; what others wait for comes first.

    Safe from two places at once: a lock in the database, which ends by itself.

    Raises
    ------
    ClusterError
        If a launch file is absent or cannot be read; nothing was submitted.
    PyMongoError
        If the database goes away. What was submitted until then stays submitted, and is known by its reservations.
    """
    files = {category: (load_fworker(folder, category), load_adapter(folder, category)) for category in CATEGORIES}
    for category, (fworker, adapter) in files.items():
        queue = site.queues[category]
        done = Filled(category, queue.queue, queue.max_jobs)
        with locked(launchpad.db, f"cluster/{site.name}/{queue.queue}") as (lock, is_free):
            if is_free:
                _fill(launchpad, site, category, fworker, adapter, done, lock)
            else:
                done.problem = f"another process fills this queue just now ({lock.holder()})"
        yield done


def jobs_needed(ready: int, waiting: int, per_job: int) -> int:
    """How many more jobs, of ``per_job`` fireworks each, there is work for.

    Each job that waits in the queue has reserved a firework, and will take ``per_job - 1`` of the ready ones.
    """
    return max(0, -(-(ready - waiting * (per_job - 1)) // per_job))


def _fill(
    launchpad: LaunchPad,
    site: SiteSettings,
    category: str,
    fworker: FWorker,
    adapter: QueueAdapterBase,
    done: Filled,
    lock: Lock,
) -> None:
    done.freed = _free_unsubmitted(launchpad, fworker)
    done.ready = launchpad.fireworks.count_documents({**fworker.query, "state": "READY"})
    if not done.ready:
        return
    with collected_messages(f"qadapter.{adapter.q_name}") as said:
        done.in_queue = adapter.get_njobs_in_queue()
    if done.in_queue is None:
        done.problem = f"the scheduler does not answer, so nothing is submitted: {scheduler_words(said)}"
        return
    reserved = launchpad.fireworks.count_documents({**fworker.query, "state": "RESERVED"})
    # what is reserved is queued, even if the scheduler should not count it (yet)
    room = site.queues[category].max_jobs - max(done.in_queue, reserved)
    directory = site.launch_directory / category / f"block_{datetime.now(UTC):%Y-%m-%d}"
    directory.mkdir(parents=True, exist_ok=True)
    tries_left = _MOST_REJECTED
    for _ in range(min(room, jobs_needed(done.ready, reserved, site.queues[category].jobs_per_allocation))):
        while tries_left and lock.renew():
            others = _without(fworker, done.rejected)
            candidate = launchpad._get_a_fw_to_run(others.query, checkout=False)  # as run_exists looks
            if candidate is None:
                return
            with collected_messages(f"qadapter.{adapter.q_name}", "queue.launcher") as said:
                job = launch_rocket_to_queue(
                    launchpad,
                    others,
                    adapter,
                    str(directory),
                    reserve=True,
                    strm_lvl="CRITICAL",
                    create_launcher_dir=True,
                )
            if job:
                done.submitted.append(str(job))
                break
            if job is None:  # somebody else took the last one
                return
            tries_left -= 1
            done.rejected.append(candidate.fw_id)
            done.problem = f"submission rejected: {scheduler_words(said)}"


def _without(fworker: FWorker, fw_ids: list[int]) -> FWorker:
    """The same FireWorker, but not for these: one firework that is always rejected must not keep the others waiting."""
    if not fw_ids:
        return fworker
    return CampaignWorker(fworker.name, fworker.category, {**fworker._query, "fw_id": {"$nin": fw_ids}}, fworker.env)


def _free_unsubmitted(launchpad: LaunchPad, fworker: FWorker) -> list[int]:
    """Make fireworks ready that a killed process reserved and submitted no job for.

    Should there be a job all the same, it takes its firework by its id or, if another was faster, finds nothing to do.
    """
    freed: list[int] = []
    query = {**fworker.query, "state": "RESERVED", "launches.0": {"$exists": True}}
    query["updated_on"] = {"$lt": datetime.now(UTC) - _UNSUBMITTED}
    for firework in list(launchpad.fireworks.find(query, ["fw_id", "launches"])):
        without_job = {
            "launch_id": firework["launches"][-1],
            "state": "RESERVED",
            "state_history.reservation_id": {"$exists": False},
        }
        if launchpad.launches.find_one(without_job, ["_id"]) is None:
            continue
        try:
            launchpad.cancel_reservation(firework["launches"][-1])
        except DuplicateKeyError:
            continue  # it began just now
        freed.append(firework["fw_id"])
    return freed


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def collected_messages(*loggers: str) -> Iterator[list[str]]:
    """Collect what FireWorks logs about a submission: it returns no reason."""
    collector = _Collector()
    for name in loggers:
        logging.getLogger(name).addHandler(collector)
    try:
        with warnings.catch_warnings():
            # FireWorks 2.1 changes folders with a function that monty gives up
            warnings.filterwarnings("ignore", message="cd is deprecated", category=FutureWarning)
            yield collector.texts
    finally:
        for name in loggers:
            logging.getLogger(name).removeHandler(collector)


def scheduler_words(texts: list[str]) -> str:
    """The scheduler's own words among what FireWorks has logged, which puts them between lines of its own."""
    marker = "The error response reads:"
    lines = [line.strip("*| ") for text in texts for line in text.splitlines()]
    reasons = [line.split(marker, 1)[1].strip() for line in lines if marker in line]
    # with a traceback, where the command is absent or its answer is not understood, the exception comes last
    words = reasons or [line for line in lines if re.match(r"[\w.]+(Error|Exception|Expired):", line)]
    words = words or [line for line in lines if line and not re.fullmatch(r"-+\|?[v^]*\|?-+", line)]
    return " ".join(_unquoted(words[0]).split())[:300] if words else "it gave no reason"


def _unquoted(text: str) -> str:
    """FireWorks logs what sbatch wrote as the representation of bytes."""
    if not re.match(r"b['\"]", text):
        return text
    try:
        content: bytes = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return content.decode(errors="replace")
