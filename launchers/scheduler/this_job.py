"""The batch job of this process, and the scheduler of this machine."""

import os
import shutil
from collections.abc import Mapping
from typing import Any

from launchers.scheduler.command import TIMEOUT_S
from launchers.scheduler.pbs import Pbs
from launchers.scheduler.pbs_output import without_server
from launchers.scheduler.slurm import Slurm


def this_job(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return scheduler, cluster and job id of this process, from its environment, and the number of requeues.

    Empty outside a job.
    """
    said = os.environ if environment is None else environment
    if job_id := said.get("SLURM_JOB_ID"):
        return {
            "scheduler": "slurm",
            "cluster": said.get("SLURM_CLUSTER_NAME"),
            "job_id": job_id,
            "restarts": int(said.get("SLURM_RESTART_COUNT") or 0),
        }
    if job_id := said.get("PBS_JOBID"):
        # PBS does not report requeues
        return {"scheduler": "pbs", "cluster": None, "job_id": without_server(job_id), "restarts": None}
    return {}


def scheduler(name: str | None = None, *, timeout_s: float = TIMEOUT_S) -> Slurm | Pbs | None:
    """Return the scheduler of that name, or the one whose commands are available, or None."""
    if name == "slurm" or (name is None and shutil.which("squeue")):
        return Slurm(timeout_s=timeout_s)
    if name == "pbs" or (name is None and shutil.which("qstat")):
        return Pbs(timeout_s=timeout_s)
    return None
