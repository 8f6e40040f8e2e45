"""Keeps the queues filled: as many jobs as there are fireworks for them, within each queue's limit.

Each job is submitted by FireWorks' own `launch_rocket_to_queue` in reservation mode, which takes one ready firework
for it: there are never more jobs than fireworks. With several calculations in one job (`jobs_per_allocation`) a job
reserves the first of them, and takes the others when it runs. Nothing is remembered between calls.
"""

import ast
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
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
from launchers.cluster.site import CATEGORIES, URGENT, QueueSettings, SiteSettings
from launchers.workers.project_worker import CampaignWorker

#: So many rejected submissions in a row end a call: the next ones would be rejected too.
_MOST_REJECTED = 3
#: A reservation gets its job id within seconds; one without a job for this long was left by a killed process.
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
    """Submit jobs for ready fireworks, queue by queue.

    Of the categories that share a queue, train and screen come first, since others wait for them; relax and dos share
    the rest by `weight`, so that neither waits until the other has no work left.

    Safe to call from two places simultaneously: it takes a lock in the database, which expires.

    Raises
    ------
    ClusterError
        If a launch file is absent or cannot be read; nothing was submitted.
    PyMongoError
        If the database goes away. What was submitted until then stays submitted, and is known by its reservations.
    """
    sharing: dict[str, list[_Category]] = {}
    for name in CATEGORIES:
        queue = site.queues[name]
        done = Filled(name, queue.queue, queue.max_jobs)
        category = _Category(queue, load_fworker(folder, name), load_adapter(folder, name), done)
        sharing.setdefault(queue.queue, []).append(category)
    for queue_name, categories in sharing.items():
        with locked(launchpad.db, f"cluster/{site.name}/{queue_name}") as (lock, is_free):
            if is_free:
                _fill(launchpad, site, categories, lock)
            for category in categories:
                if not is_free:
                    category.done.problem = f"another process fills this queue just now ({lock.holder()})"
        yield from (category.done for category in categories)


def jobs_needed(ready: int, waiting: int, per_job: int) -> int:
    """How many more jobs, of ``per_job`` fireworks each, there is work for.

    Each job that waits in the queue has reserved a firework, and will take ``per_job - 1`` of the ready ones.
    """
    return max(0, -(-(ready - waiting * (per_job - 1)) // per_job))


def whose_turn(jobs: Mapping[str, float], weights: Mapping[str, float]) -> str:
    """Category that gets the next job of a queue.

    Parameters
    ----------
    jobs
        Jobs, waiting and running, of each category that has work for another one.
    weights
        Relative share of jobs of the categories; urgent ones (`URGENT`) come before them.
    """
    first = [name for name in CATEGORIES if name in jobs and name in URGENT]
    return (
        first[0]
        if first
        else min((name for name in CATEGORIES if name in jobs), key=lambda name: jobs[name] / weights[name])
    )


@dataclass
class _Category:
    """Fireworks of one category, and the known state of their jobs."""

    queue: QueueSettings
    fworker: FWorker
    adapter: QueueAdapterBase
    done: Filled
    reserved: int = 0
    running: float = 0.0
    wanted: int = 0
    tries_left: int = _MOST_REJECTED

    def look(self, launchpad: LaunchPad) -> None:
        """Count ready and queued fireworks, and ask the scheduler if there is work."""
        self.done.freed = _free_unsubmitted(launchpad, self.fworker)
        counts = [
            launchpad.fireworks.count_documents({**self.fworker.query, "state": state})
            for state in ("READY", "RESERVED", "RUNNING")
        ]
        self.done.ready, self.reserved, running = counts
        self.running = running / self.queue.side_by_side  # jobs
        if not self.done.ready:
            return
        with collected_messages(f"qadapter.{self.adapter.q_name}") as said:
            self.done.in_queue = self.adapter.get_njobs_in_queue()
        if self.done.in_queue is None:
            self.done.problem = f"the scheduler does not answer, so nothing is submitted: {scheduler_words(said)}"
            return
        self.wanted = jobs_needed(self.done.ready, self.reserved, self.queue.jobs_per_allocation)

    @property
    def jobs(self) -> float:
        """Jobs that wait or run."""
        return self.reserved + self.running + len(self.done.submitted)


def _fill(launchpad: LaunchPad, site: SiteSettings, categories: Sequence[_Category], lock: Lock) -> None:
    """Submit jobs of the categories of one queue in turn, until there is no more work, or no more room."""
    for category in categories:
        category.look(launchpad)
    # reserved fireworks are queued, even if the scheduler does not count them (yet)
    reserved = sum(category.reserved for category in categories)
    in_queue = max([reserved, *(category.done.in_queue or 0 for category in categories)])
    weights = {category.done.category: category.queue.weight for category in categories}
    while True:
        submitted = sum(len(category.done.submitted) for category in categories)
        may = {
            category.done.category: category
            for category in categories
            if category.wanted and category.queue.max_jobs > in_queue + submitted
        }
        if not may:
            break
        turn = may[whose_turn({name: category.jobs for name, category in may.items()}, weights)]
        turn.wanted = turn.wanted - 1 if _submit(launchpad, site, turn, lock) else 0
    before = 0
    for category in categories:
        if category.done.in_queue is not None:
            category.done.in_queue += before
        before += len(category.done.submitted)


def _submit(launchpad: LaunchPad, site: SiteSettings, category: _Category, lock: Lock) -> bool:
    """Submit one job of a category; False if no other of it is to be tried."""
    done, adapter = category.done, category.adapter
    directory = site.launch_directory / done.category / f"block_{datetime.now(UTC):%Y-%m-%d}"
    directory.mkdir(parents=True, exist_ok=True)
    while category.tries_left and lock.renew():
        others = _without(category.fworker, done.rejected)
        candidate = launchpad._get_a_fw_to_run(others.query, checkout=False)  # as run_exists looks
        if candidate is None:
            return False
        with collected_messages(f"qadapter.{adapter.q_name}", "queue.launcher") as said:
            job = launch_rocket_to_queue(
                launchpad, others, adapter, str(directory), reserve=True, strm_lvl="CRITICAL", create_launcher_dir=True
            )
        if job:
            done.submitted.append(str(job))
            return True
        if job is None:  # another took the last one
            return False
        category.tries_left -= 1
        done.rejected.append(candidate.fw_id)
        done.problem = f"submission rejected: {scheduler_words(said)}"
    return False


def _without(fworker: FWorker, fw_ids: list[int]) -> FWorker:
    """The same FireWorker, but not for these: one firework that is always rejected must not keep the others waiting."""
    if not fw_ids:
        return fworker
    return CampaignWorker(fworker.name, fworker.category, {**fworker._query, "fw_id": {"$nin": fw_ids}}, fworker.env)


def _free_unsubmitted(launchpad: LaunchPad, fworker: FWorker) -> list[int]:
    """Make fireworks ready that a killed process reserved and submitted no job for.

    If there is nevertheless a job, it takes its firework by its id or, if another was faster, finds nothing to do.
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
            # FireWorks 2.1 changes folders with a deprecated function of monty
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
