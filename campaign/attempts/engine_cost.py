"""Usage of an attempt's engine that is not a child of the worker, from its OUTCARs and the scheduler."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from campaign.store.attempts import shares_job
from campaign.store.collections import CampaignStore, in_utc
from launchers.scheduler.slurm import Slurm
from launchers.scheduler.this_job import scheduler as the_scheduler
from workflows.outcar_costs import OutcarCosts

#: Longest delay of a calculation's end by an unavailable accounting database.
_TIMEOUT_S = 5.0


class EngineCost:
    """CPU-seconds of an attempt's engine, on all its nodes.

    Parameters
    ----------
    store
        Used to find other attempts in the same job.
    entry
        Ledger entry with ``_id``, ``directory`` and ``started``; ``scheduler`` and ``job_id`` of one in a batch job.
    """

    def __init__(self, store: CampaignStore, entry: Mapping[str, Any]) -> None:
        self._store, self._entry = store, entry
        self._started: datetime = in_utc(entry["started"])
        self._outcars = OutcarCosts(Path(entry["directory"]), since=self._started)

    def so_far(self) -> float:
        """Return the CPU-seconds counted in the OUTCARs, including the loops of the current run."""
        return self._outcars.cpu_seconds()

    def at_end(self) -> float:
        """Return the CPU-seconds counted in the OUTCARs or by the scheduler, whichever is larger."""
        return max(self.so_far(), self._by_scheduler())

    def _by_scheduler(self) -> float:
        job_id = self._entry.get("job_id")
        slurm = the_scheduler(self._entry.get("scheduler"), timeout_s=_TIMEOUT_S) if job_id else None
        # usage by several calculations of a job at the same time cannot be attributed to one
        if job_id is None or not isinstance(slurm, Slurm) or shares_job(self._store, self._entry):
            return 0.0
        return slurm.step_cpu_seconds(job_id, since=self._started)


def engine_cost(store: CampaignStore, entry: Mapping[str, Any]) -> EngineCost | None:
    """Return the cost of the engine of a ledger entry; None if it has not started or left no directory."""
    return EngineCost(store, entry) if entry.get("directory") and entry.get("started") else None
