"""What the engine of an attempt has used, where it is no child of the worker: its OUTCARs, and the scheduler."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from campaign.store.attempts import shares_job
from campaign.store.collections import CampaignStore, in_utc
from launchers.scheduler.slurm import Slurm
from launchers.scheduler.this_job import scheduler as the_scheduler
from workflows.outcar_costs import OutcarCosts

#: An unavailable accounting database delays the end of a calculation by at most this.
_TIMEOUT_S = 5.0


class EngineCost:
    """CPU-seconds of an attempt's engine, on all its nodes.

    Parameters
    ----------
    store
        Knows whether others compute in the same job.
    entry
        Ledger entry with ``_id``, ``directory`` and ``started``; ``scheduler`` and ``job_id`` of one in a batch job.
    """

    def __init__(self, store: CampaignStore, entry: Mapping[str, Any]) -> None:
        self._store, self._entry = store, entry
        self._started: datetime = in_utc(entry["started"])
        self._outcars = OutcarCosts(Path(entry["directory"]), since=self._started)

    def so_far(self) -> float:
        """What the OUTCARs count, of the run under way its loops."""
        return self._outcars.cpu_seconds()

    def at_end(self) -> float:
        """What the OUTCARs count, or the scheduler, whichever is more; they are never added."""
        return max(self.so_far(), self._by_scheduler())

    def _by_scheduler(self) -> float:
        job_id = self._entry.get("job_id")
        slurm = the_scheduler(self._entry.get("scheduler"), timeout_s=_TIMEOUT_S) if job_id else None
        # what several calculations of one job have used at the same time belongs to none of them
        if job_id is None or not isinstance(slurm, Slurm) or shares_job(self._store, self._entry):
            return 0.0
        return slurm.step_cpu_seconds(job_id, since=self._started)


def engine_cost(store: CampaignStore, entry: Mapping[str, Any]) -> EngineCost | None:
    """Cost of the engine of a ledger entry; None if it has not started or left no directory."""
    return EngineCost(store, entry) if entry.get("directory") and entry.get("started") else None
