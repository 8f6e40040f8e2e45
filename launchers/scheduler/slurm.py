"""SLURM queried for many jobs together: squeue, then sacct, then jobcomp's records, then scontrol."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from launchers.scheduler.command import TIMEOUT_S, answer, failure, refusal
from launchers.scheduler.job_state import JobState
from launchers.scheduler.slurm_output import (
    JOBCOMP_FIELDS,
    SACCT_FIELDS,
    SQUEUE_FORMAT,
    STEP_FIELDS,
    chunks,
    parse_config,
    parse_federation,
    parse_sacct,
    parse_scontrol,
    parse_squeue,
    parse_step_costs,
    parse_time_limits,
)

_AT_ONCE = 500
#: scontrol takes one job at a time, and is called last.
_MOST_SCONTROL = 50
_SECONDS = {"SLURM_TIME_FORMAT": "%s"}


class Slurm:
    """The SLURM of this machine's commands, each limited to ``timeout_s`` seconds."""

    name = "slurm"

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._config: dict[str, str] = {}
        self._federation: set[str] | None = None

    def cluster(self) -> str | None:
        """Return the name of the cluster; None if the controller does not respond."""
        return self._settings().get("ClusterName")

    def clusters(self) -> set[str]:
        """Return the clusters whose jobs these commands know: this one and those federated with it."""
        if self._federation is None:
            self._federation = parse_federation(self._ask("scontrol", "show", "federation") or "")
        here = self.cluster()
        return self._federation | ({here} if here else set())

    def _settings(self) -> dict[str, str]:
        if not self._config:
            self._config = parse_config(self._ask("scontrol", "show", "config") or "")
        return self._config

    def forgotten(self, job_id: str, *, began: datetime) -> bool:
        """Whether the controller no longer knows a job that ran here: it has ended, without a record of how.

        A controller knows all waiting and running jobs, and ended ones for another MinJobAge seconds. With private jobs
        (PrivateData) it also denies knowing others' jobs, and it knows none of a federation's other clusters.
        """
        settings = self._settings()
        age = re.match(r"\d+", settings.get("MinJobAge", ""))
        if age is None or "jobs" in settings.get("PrivateData", "jobs") or len(self.clusters()) > 1:
            return False
        if datetime.now(UTC) - began < timedelta(seconds=int(age.group())):
            return False
        said = refusal(("scontrol", "-o", "show", "job", job_id), timeout_s=self._timeout_s)
        return said is not None and "Invalid job id specified" in said

    def states(self, job_ids: Iterable[str]) -> dict[str, JobState]:
        """Return the state of every job that SLURM reports; a missing job is unknown, not ended."""
        wanted = sorted(set(job_ids))
        found: dict[str, JobState] = {}
        if not wanted:
            return found
        # an unavailable controller makes every command wait until its limit: test once
        answers = self.cluster() is not None
        federated = ("--federation",) if answers and len(self.clusters()) > 1 else ()
        for ids in chunks(wanted, _AT_ONCE) if answers else ():
            # for a single unknown id, squeue only reports failure, which is no answer
            said = self._ask("squeue", *federated, "-h", "-t", "all", "-O", SQUEUE_FORMAT, "-j", ",".join(ids))
            found |= _asked_for(parse_squeue(said or ""), ids)
        # only accounting knows who cancelled a job
        for ids in chunks([job_id for job_id, state in found.items() if state.ending == "cancelled"], _AT_ONCE):
            for job_id, state in self._from_sacct(ids, SACCT_FIELDS, federated, source="sacct").items():
                found[job_id] = replace(found[job_id], cancelled_by=state.cancelled_by)
        for fields, extra, source in ((SACCT_FIELDS, federated, "sacct"), (JOBCOMP_FIELDS, ("-c",), "sacct -c")):
            missing = [job_id for job_id in wanted if job_id not in found]
            for ids in chunks(missing, _AT_ONCE):
                states = self._from_sacct(ids, fields, extra, source=source)
                # a waiting job among records of finished ones was requeued, so its outcome is not recorded there
                found |= {key: state for key, state in states.items() if state.phase == "ended" or source == "sacct"}
        missing = [job_id for job_id in wanted if job_id not in found]
        for job_id in missing[:_MOST_SCONTROL] if answers else ():
            found |= _asked_for(self.details(job_id), [job_id])
        return found

    def _from_sacct(
        self, ids: list[str], fields: tuple[str, ...], extra: tuple[str, ...], *, source: str
    ) -> dict[str, JobState]:
        said = self._ask("sacct", *extra, "-n", "-P", "-X", "-o", ",".join(fields), "-j", ",".join(ids))
        return _asked_for(parse_sacct(said or "", fields, source=source), ids)

    def cancel(self, job_id: str) -> str | None:
        """Cancel a job; return why that failed, or None."""
        return failure(("scancel", job_id), timeout_s=self._timeout_s)

    def details(self, job_id: str) -> dict[str, JobState]:
        """Return the state of one job with its requested memory; empty if SLURM has forgotten it."""
        return parse_scontrol(self._ask("scontrol", "-o", "show", "job", job_id) or "")

    def step_cpu_seconds(self, job_id: str, *, since: datetime) -> float:
        """Return the CPU-seconds, from accounting, of a job's steps (srun) started since a time, on all nodes.

        0 without accounting or such steps.
        """
        said = self._ask("sacct", "-n", "-P", "-o", ",".join(STEP_FIELDS), "-j", job_id)
        return parse_step_costs(said or "", since=since)

    def longest_time_s(self, partition: str | None) -> float | None:
        """Return the time limit of a partition, s; None if there is none or it is unknown."""
        if partition is None:
            return None
        return parse_time_limits(self._ask("sinfo", "-h", "-p", partition, "-o", "%R|%l") or "").get(partition)

    def _ask(self, *command: str) -> str | None:
        return answer(command, timeout_s=self._timeout_s, environment=_SECONDS)


def _asked_for(states: dict[str, JobState], ids: list[str]) -> dict[str, JobState]:
    return {job_id: states[job_id] for job_id in ids if job_id in states}
