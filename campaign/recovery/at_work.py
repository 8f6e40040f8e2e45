"""Work of a campaign that is running or waiting in a batch queue, and where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fireworks import LaunchPad

from campaign.recovery.liveness import job_of, jobs_of, liveness_of
from campaign.recovery.processes import announced
from campaign.recovery.reservations import is_half_taken
from campaign.store.fireworks import fireworks_in_state, fireworks_marked_running, latest_launches
from esnet.files.errors import UserError
from launchers.scheduler.jobs import Job, job_states
from launchers.workers.worker import process_of

_FIELDS = ["fw_id", "name", "launches", "updated_on", "spec.worker"]
_NAMED = 5


class CampaignAtWorkError(UserError, RuntimeError):
    """Part of a campaign is running and must finish first; the message names it."""


@dataclass(frozen=True, kw_only=True)
class AtWork:
    """A firework that is running or waiting in a batch queue.

    Attributes
    ----------
    queued
        Whether it waits in a queue.
    known
        Whether it is known to run or wait; otherwise this cannot be determined here.
    job
        Its batch job, or None.
    process
        The process that runs it (`launchers.workers.process_identity`); None if unknown.
    of_run
        Whether this is a worker of `campaign run`.
    """

    fw_id: int
    name: str
    queued: bool
    known: bool
    job: Job | None
    process: Mapping[str, Any] | None
    of_run: bool

    def __str__(self) -> str:
        if self.job is not None:
            where = f"job {self.job.job_id}"
        elif self.process is not None:
            where = f"process {self.process['pid']} of {self.process['host']}"
        else:
            where = "in an unknown process"
        doubt = "" if self.known else "; whether it still does is not known here"
        return f"{self.name} (firework {self.fw_id}, {where}{doubt})"


def find_at_work(launchpad: LaunchPad, name: str) -> list[AtWork]:
    """Return the running or queued work of a campaign, without work known to be gone."""
    running = fireworks_marked_running(launchpad, name, _FIELDS)
    reserved = fireworks_in_state(launchpad, name, "RESERVED", _FIELDS)
    launches = latest_launches(launchpad, [*running, *reserved])
    alive = liveness_of(running, launches)
    said = job_states(list(jobs_of(reserved, launches).values()))
    found = []
    for firework in running:
        state = alive[firework["fw_id"]]
        if state.alive is not False:
            known = state.alive is True or state.job_state is not None
            found.append(_at_work(firework, launches.get(firework["fw_id"]), queued=False, known=known))
    for firework in reserved:
        launch = launches.get(firework["fw_id"])
        job = job_of(firework, launch)
        is_gone = (job in said and said[job].phase == "ended") if job is not None else False
        if not is_gone and (firework["launches"] or not is_half_taken(launchpad, firework)):
            found.append(_at_work(firework, launch, queued=True, known=job in said))
    return found


def _at_work(firework: Mapping[str, Any], launch: Mapping[str, Any] | None, *, queued: bool, known: bool) -> AtWork:
    of_run = process_of(((launch or {}).get("fworker") or {}).get("name") or "")
    process = of_run or (announced(firework) if firework["launches"] else None)
    return AtWork(
        fw_id=firework["fw_id"],
        name=firework["name"],
        queued=queued,
        known=known,
        job=job_of(firework, launch),
        process=process,
        of_run=of_run is not None,
    )


def format_at_work(found: Iterable[AtWork]) -> str:
    """Return a text naming the first few items of running work."""
    every = list(found)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(map(str, every[:_NAMED])) + more


def refuse_at_work(launchpad: LaunchPad, name: str, *, to: str) -> None:
    """Refuse an action that requires that nothing of a campaign runs.

    Parameters
    ----------
    to
        The action: ``deleted`` or ``archived``.

    Raises
    ------
    CampaignAtWorkError
        Names the running work, and how to stop it.
    """
    found = find_at_work(launchpad, name)
    if not found:
        return
    unknown = [each for each in found if not each.known]
    help_unknown = (
        f". What is known to be gone: `lpad rerun_fws -i {unknown[0].fw_id}` lets FireWorks know" if unknown else ""
    )
    raise CampaignAtWorkError(
        f"campaign {name!r} cannot be {to} while something of it runs or waits in a queue: {format_at_work(found)}; "
        f"`campaign stop {name} --cancel-jobs` ends that, or wait{help_unknown}"
    )
