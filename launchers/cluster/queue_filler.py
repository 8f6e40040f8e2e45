"""Keep the queues filled with as many jobs as there are fireworks for, within each queue's limit.

Each job is submitted by FireWorks' own `launch_rocket_to_queue` in reservation mode, which reserves one ready firework
for it, so there are never more jobs than fireworks. With several calculations in one job (`jobs_per_allocation`) a job
reserves the first of them and takes the others when it runs. No state is kept between calls.
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

#: Consecutive rejected submissions that end a call, since the next ones would be rejected too.
_MOST_REJECTED = 3
#: A reservation gets its job id within seconds; one without a job for this long was left by a killed process.
_UNSUBMITTED = timedelta(minutes=10)


@dataclass
class Filled:
    """Result for one category.

    Attributes
    ----------
    category, queue
        Category of the fireworks, and queue of their jobs.
    ready
        Number of ready fireworks.
    in_queue
        Jobs of this user in the queue before; None if unknown.
    max_jobs
        Largest number of jobs.
    submitted
        Ids of the submitted jobs.
    rejected
        Number of fireworks whose job was rejected (they are ready again).
    freed
        Number of fireworks reserved without a job, which are ready again.
    problem
        The problem, if any.
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
        """Return a one-line summary."""
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

    Among categories that share a queue, train and screen come first, since others wait for them; relax and dos share
    the rest by `weight`, so that neither waits until the other is done.

    Safe to call from two places at the same time: it takes an expiring lock in the database.

    Raises
    ------
    ClusterError
        If a launch file is missing or cannot be read; nothing is submitted then.
    PyMongoError
        If the connection to the database is lost. Jobs submitted until then are known by their reservations.
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
    """Return the number of further jobs, of ``per_job`` fireworks each, that there is work for.

    Each job waiting in the queue has reserved a firework and will take ``per_job - 1`` of the ready ones.
    """
    return max(0, -(-(ready - waiting * (per_job - 1)) // per_job))


def whose_turn(jobs: Mapping[str, float], weights: Mapping[str, float]) -> str:
    """Return the category that gets the next job of a queue.

    Parameters
    ----------
    jobs
        Number of waiting and running jobs of each category with work for another one.
    weights
        Relative share of jobs of each category; urgent ones (`URGENT`) come first.
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
        """Count ready and queued fireworks, and query the scheduler if there is work."""
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
        """Number of waiting or running jobs."""
        return self.reserved + self.running + len(self.done.submitted)


def _fill(launchpad: LaunchPad, site: SiteSettings, categories: Sequence[_Category], lock: Lock) -> None:
    """Submit jobs for the categories of one queue in turn until no work or room is left."""
    for category in categories:
        category.look(launchpad)
    # reserved fireworks are queued even if the scheduler does not count them (yet)
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
    """Submit one job of a category; return False if no other should be tried."""
    done, adapter = category.done, category.adapter
    directory = site.launch_directory / done.category / f"block_{datetime.now(UTC):%Y-%m-%d}"
    directory.mkdir(parents=True, exist_ok=True)
    while category.tries_left and lock.renew():
        others = _without(category.fworker, done.rejected)
        candidate = launchpad._get_a_fw_to_run(others.query, checkout=False)  # like run_exists
        if candidate is None:
            return False
        with collected_messages(f"qadapter.{adapter.q_name}", "queue.launcher") as said:
            job = launch_rocket_to_queue(
                launchpad, others, adapter, str(directory), reserve=True, strm_lvl="CRITICAL", create_launcher_dir=True
            )
        if job:
            done.submitted.append(str(job))
            return True
        if job is None:  # another process took the last one
            return False
        category.tries_left -= 1
        done.rejected.append(candidate.fw_id)
        done.problem = f"submission rejected: {scheduler_words(said)}"
    return False


def _without(fworker: FWorker, fw_ids: list[int]) -> FWorker:
    """Return the FireWorker without these fireworks: one that is always rejected must not block the others."""
    if not fw_ids:
        return fworker
    return CampaignWorker(fworker.name, fworker.category, {**fworker._query, "fw_id": {"$nin": fw_ids}}, fworker.env)


def _free_unsubmitted(launchpad: LaunchPad, fworker: FWorker) -> list[int]:
    """Make fireworks ready that a killed process reserved without submitting a job; return their ids.

    If there is a job nevertheless, it takes its firework by id or, if another one came first, finds nothing to do.
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
            continue  # started just now
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
    """Collect FireWorks' log messages about a submission, since it returns no reason."""
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
    """Return the scheduler's own words from FireWorks' log messages, which embed them."""
    marker = "The error response reads:"
    lines = [line.strip("*| ") for text in texts for line in text.splitlines()]
    reasons = [line.split(marker, 1)[1].strip() for line in lines if marker in line]
    # with a traceback (a missing command, or output that is not understood), the exception comes last
    words = reasons or [line for line in lines if re.match(r"[\w.]+(Error|Exception|Expired):", line)]
    words = words or [line for line in lines if line and not re.fullmatch(r"-+\|?[v^]*\|?-+", line)]
    return " ".join(_unquoted(words[0]).split())[:300] if words else "it gave no reason"


def _unquoted(text: str) -> str:
    """Undo FireWorks' logging of sbatch's output as a bytes literal."""
    if not re.match(r"b['\"]", text):
        return text
    try:
        content: bytes = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return content.decode(errors="replace")
