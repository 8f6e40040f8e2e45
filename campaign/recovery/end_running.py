"""Stop the running work of a stopped campaign: batch jobs by their scheduler, processes on this machine."""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from campaign.recovery.at_work import AtWork, find_at_work
from campaign.recovery.reconcile import reconcile
from campaign.store.campaigns import OpenCampaign
from campaign.store.fireworks import jobs_of_others
from campaign.store.lifecycle.stops import end_what_runs
from launchers.scheduler.jobs import Job, cancel_jobs
from launchers.workers.process_identity import is_alive

logger = logging.getLogger(__name__)

_POLL_S = 0.5
#: `campaign run` checks every second, and gives its workers ten seconds to end.
_OF_RUN_S = 20.0


@dataclass
class Ended:
    """The stopped work.

    Attributes
    ----------
    jobs
        Ids of cancelled batch jobs.
    processes
        Number of processes on this machine that ended or were ended.
    left
        Work still running, with the reason if known.
    """

    jobs: list[str] = field(default_factory=list)
    processes: int = 0
    left: list[str] = field(default_factory=list)


def end_running(campaign: OpenCampaign, *, wait_s: float) -> Ended:
    """End the running and queued work of a stopped campaign until `campaign resume`; this counts as no try.

    Parameters
    ----------
    wait_s
        Time to wait for jobs and processes, since a scheduler gives them some time to end, in s.
    """
    end_what_runs(campaign)
    done = Ended()
    began = time.monotonic()
    refused: dict[int, str] = {}
    asked: set[Job] = set()
    killed: set[tuple[Any, ...]] = set()
    at_work = find_at_work(campaign.launchpad, campaign.name)
    done.processes = len({_key(each.process) for each in at_work if each.process is not None and each.job is None})
    while at_work:
        refused |= _cancel(campaign, [each for each in at_work if each.job not in asked], asked, done)
        patience_over = time.monotonic() - began > _OF_RUN_S
        for each in at_work:
            process = each.process
            if each.job is None and process is not None and (patience_over or not each.of_run):
                key = _key(process)
                if key not in killed and (why := end_process(process)) is not None:
                    refused[each.fw_id] = why
                killed.add(key)
        if time.monotonic() - began > wait_s or all(each.fw_id in refused for each in at_work):
            break
        time.sleep(_POLL_S)
        at_work = find_at_work(campaign.launchpad, campaign.name)
    reconcile(campaign, outcome="stopped")
    done.left = [f"{each}{_because(refused.get(each.fw_id))}" for each in at_work]
    return done


def _because(why: str | None) -> str:
    return "" if why is None else f": {why}"


def _key(process: Mapping[str, Any]) -> tuple[Any, ...]:
    return process["host"], process["pid"], process.get("pid_ticks")


def _cancel(campaign: OpenCampaign, at_work: Iterable[AtWork], asked: set[Job], done: Ended) -> dict[int, str]:
    """Cancel the jobs of these fireworks, once each; return why some were not cancelled, by firework."""
    by_job: dict[Job, list[int]] = {}
    for each in at_work:
        if each.job is not None:
            by_job.setdefault(each.job, []).append(each.fw_id)
    others = jobs_of_others(campaign.launchpad, campaign.name, [job.job_id for job in by_job]) if by_job else {}
    refused: dict[int, str] = {}
    for job, fw_ids in by_job.items():
        if (other := others.get(job.job_id)) is not None:
            refused |= dict.fromkeys(fw_ids, f"the job also runs {other}, and is left to end")
    mine = [job for job in by_job if job.job_id not in others]
    results = cancel_jobs(mine)
    for job in mine:
        why = results.get(job, "no scheduler here knows the job")
        if why is None:
            done.jobs.append(job.job_id)
        else:
            refused |= dict.fromkeys(by_job[job], why)
    asked.update(by_job)
    return refused


def end_process(process: Mapping[str, Any]) -> str | None:
    """Kill a process on this machine with all its children; return why that is impossible, or None.

    A killed process cannot record its calculation as failed; the campaign's recovery closes its ledger entry.
    """
    if is_alive(process) is None:
        return f"it runs on {process['host']}; end it there"
    try:
        found = psutil.Process(process["pid"])
        children = found.children(recursive=True)
        if not is_alive(process):  # its id may belong to another process by now
            return None
        for each in (found, *children):
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return "it is another user's"
    logger.info("ended process %s and %d that it had started", process["pid"], len(children))
    return None
