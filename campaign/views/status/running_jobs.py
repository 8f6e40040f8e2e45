"""Running, queued and ready fireworks of a campaign by category, FireWorks' name for a queue."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.collections import Document
from campaign.store.counts import ready_fireworks_by_category
from campaign.store.listings import launches_by_id, running_fireworks
from launchers.workers.worker import process_of


@dataclass(frozen=True, kw_only=True)
class RunningJob:
    """A firework that runs or waits in a scheduler's queue.

    Attributes
    ----------
    state
        ``RUNNING``, or ``RESERVED``: waiting in a scheduler's queue.
    category
        ``dos``, ``relax``, ``train`` or ``screen``.
    worker
        Name of the FireWorker; its host for a worker of `campaign run`.
    job_id
        The scheduler's job id, if qlaunch reserved it.
    since
        Time it started (or was reserved), UTC, ISO 8601; None if unknown to FireWorks.
    """

    fw_id: int
    name: str
    state: str
    category: str
    worker: str | None
    job_id: str | None
    since: str | None


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Fireworks of one category.

    Attributes
    ----------
    running, reserved, ready
        Number of fireworks that run, wait in a scheduler's queue, and wait for a worker.
    workers
        Number of running or reserved fireworks per worker.
    job_ids
        The scheduler's ids of running or reserved jobs.
    """

    category: str
    running: int
    reserved: int
    ready: int
    workers: dict[str, int]
    job_ids: list[str]


def running_jobs(campaign: Campaign) -> list[RunningJob]:
    """Return the running and reserved fireworks of a campaign, the oldest first."""
    fireworks = running_fireworks(campaign)
    latest = [firework["launches"][-1] for firework in fireworks if firework["launches"]]
    launches = launches_by_id(campaign.store, latest)
    return [_job(firework, launches.get((firework["launches"] or [None])[-1]) or {}) for firework in fireworks]


def _job(firework: Document, launch: Mapping[str, Any]) -> RunningJob:
    worker = (launch.get("fworker") or {}).get("name")
    process = process_of(worker or "")
    history = launch.get("state_history") or []
    ids = [entry["reservation_id"] for entry in history if entry.get("reservation_id")]
    times = [entry["created_on"] for entry in history if entry.get("state") == firework["state"]]
    return RunningJob(
        fw_id=firework["fw_id"],
        name=firework["name"],
        state=firework["state"],
        category=firework["spec"].get("_category") or "any",
        worker=worker if process is None else str(process["host"]),
        job_id=str(ids[-1]) if ids else None,
        since=_iso(launch.get("time_start") or (times[-1] if times else None)),
    )


def _iso(time: Any) -> str | None:
    """Return a time in ISO 8601; the database stores times of launches as text or as dates."""
    return None if time is None else time if isinstance(time, str) else time.isoformat()


def queues(campaign: Campaign, jobs: Iterable[RunningJob]) -> list[Queue]:
    """Return the number of a campaign's fireworks per category; ready ones are counted by an index alone."""
    ready = {category or "any": number for category, number in ready_fireworks_by_category(campaign).items()}
    here: defaultdict[str, list[RunningJob]] = defaultdict(list)
    for job in jobs:
        here[job.category].append(job)
    return [
        Queue(
            category=category,
            running=sum(job.state == "RUNNING" for job in here[category]),
            reserved=sum(job.state == "RESERVED" for job in here[category]),
            ready=ready.get(category, 0),
            workers=dict(sorted(Counter(job.worker or "unknown" for job in here[category]).items())),
            job_ids=[job.job_id for job in here[category] if job.job_id is not None],
        )
        for category in sorted(ready.keys() | here.keys())
    ]
