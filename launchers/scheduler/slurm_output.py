"""Parsers for squeue, sacct and scontrol. Times are requested in seconds (SLURM_TIME_FORMAT=%s)."""

import pwd
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from launchers.scheduler.job_state import Ending, JobState, Phase

#: States of SLURM's manual (squeue, "JOB STATE CODES"). Other words are ignored: REVOKED, for a federated job's copy on
#: a cluster, means that another cluster runs it.
_PENDING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
_RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
_ENDED: dict[str, Ending] = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "OUT_OF_MEMORY": "out_of_memory",
    "NODE_FAIL": "node_fail",
    "BOOT_FAIL": "node_fail",
    "PREEMPTED": "preempted",
}

#: Columns of squeue -O, each wide enough to avoid truncation and followed by a bar.
SQUEUE_COLUMNS = {
    "JobID": 40,
    "State": 30,
    "RestartCnt": 12,
    "StartTime": 30,
    "EndTime": 30,
    "TimeLimit": 30,
    "exit_code": 20,
    "Partition": 200,
    "WorkDir": 4096,
}
SQUEUE_FORMAT = ",".join(f"{name}:{width}|" for name, width in SQUEUE_COLUMNS.items())
#: By the raw id, a job's own SLURM_JOB_ID: sacct writes 123_4 and 200+1 for array tasks and parts of heterogeneous
#: jobs.
SACCT_FIELDS = (
    "jobidraw",
    "state",
    "exitcode",
    "start",
    "end",
    "timelimit",
    "partition",
    "workdir",
    "reqmem",
    "nnodes",
)
#: Accounting fields of a job's steps.
STEP_FIELDS = ("jobid", "start", "totalcpu", "cputimeraw")
#: Fields that the file or table of jobcomp keeps, read by `sacct -c`.
JOBCOMP_FIELDS = ("jobid", "state", "exitcode", "start", "end", "timelimit", "partition", "workdir")


def parse_squeue(text: str) -> dict[str, JobState]:
    """Return the states by job id from ``squeue -h -O`` with `SQUEUE_FORMAT`."""
    states: dict[str, JobState] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < len(SQUEUE_COLUMNS):
            continue
        row = dict(zip(SQUEUE_COLUMNS, cells, strict=False))
        _add(
            states,
            row["JobID"],
            row["State"],
            source="squeue",
            text=" ".join(cells).strip(),
            restarts=_whole(row["RestartCnt"]),
            start=row["StartTime"],
            end=row["EndTime"],
            limit=row["TimeLimit"],
            exit_code=row["exit_code"],
            partition=row["Partition"],
            directory=row["WorkDir"],
        )
    return states


def parse_sacct(text: str, fields: tuple[str, ...], *, source: str) -> dict[str, JobState]:
    """Return the states by job id from ``sacct -n -P -X``; the last run of a job that ran more than once."""
    states: dict[str, JobState] = {}
    for line in text.splitlines():
        cells = line.split("|")
        if len(cells) != len(fields):
            continue
        row = dict(zip(fields, cells, strict=True))
        _add(
            states,
            row.get("jobidraw") or row["jobid"],
            row["state"].split(" ")[0],
            cancelled_by=_user(row["state"]),
            source=source,
            text=" ".join(cells).strip(),
            start=row["start"],
            end=row["end"],
            # sacct writes 00:05:00, jobcomp's file plain minutes
            limit=row["timelimit"],
            exit_code=row["exitcode"],
            partition=row["partition"],
            directory=row["workdir"],
            memory=_memory_of_each_node(row.get("reqmem", ""), row.get("nnodes", "")),
            memory_per="node",
        )
    return states


def parse_step_costs(text: str, *, since: datetime) -> float:
    """Return the CPU-seconds of steps started by srun since a time, from ``sacct -n -P`` with `STEP_FIELDS`.

    The batch script and SLURM's own processes are not steps of srun. Without recorded CPU time (JobAcctGatherType), the
    time of the allocated CPUs counts.
    """
    total = 0.0
    for line in text.splitlines():
        cells = line.split("|")
        if len(cells) != len(STEP_FIELDS):
            continue
        row = dict(zip(STEP_FIELDS, cells, strict=True))
        began = _time(row["start"])
        if not row["jobid"].rpartition(".")[2].isdigit() or "." not in row["jobid"]:
            continue
        # sacct has whole seconds
        if began is None or began.timestamp() < int(since.timestamp()):
            continue
        total += _cpu_time(row["totalcpu"]) or float(_whole(row["cputimeraw"]) or 0)
    return total


def _cpu_time(text: str) -> float:
    """Return the seconds of accounting's ``[days-][hours:]minutes:seconds[.milliseconds]``; 0 if empty."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text.strip())
    if found is None:
        return 0.0
    days, hours, minutes, secs = found.groups()
    return ((int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes)) * 60 + float(secs)


def parse_scontrol(text: str) -> dict[str, JobState]:
    """Return the state by job id from ``scontrol -o show job ID``."""
    states: dict[str, JobState] = {}
    for line in text.splitlines():
        row = dict(re.findall(r"(?:^| )([A-Za-z/:_]+)=(\S*)", line))
        if "JobId" not in row or "JobState" not in row:
            continue
        per: Literal["node", "cpu"] = "cpu" if "MinMemoryCPU" in row else "node"
        _add(
            states,
            row["JobId"],
            row["JobState"].split(",")[0],
            source="scontrol",
            text=f"{row['JobState']} {row.get('Reason', '')} ExitCode={row.get('ExitCode', '')}",
            restarts=_whole(row.get("Restarts", "")),
            start=row.get("StartTime", ""),
            end=row.get("EndTime", ""),
            limit=row.get("TimeLimit", ""),
            exit_code=row.get("ExitCode", ""),
            partition=row.get("Partition", ""),
            directory=row.get("WorkDir", ""),
            memory=megabytes(row.get("MinMemoryCPU") or row.get("MinMemoryNode") or ""),
            memory_per=per,
        )
    return states


def parse_config(text: str) -> dict[str, str]:
    """Return the settings by name from ``scontrol show config``."""
    return dict(re.findall(r"^(\w+)\s*=[ \t]*(.*?)[ \t]*$", text, flags=re.MULTILINE))


def parse_federation(text: str) -> set[str]:
    """Return the names of the clusters from ``scontrol show federation``; empty outside a federation."""
    return set(re.findall(r"^(?:Self|Sibling):\s*([^\s:]+)", text, flags=re.MULTILINE))


def parse_time_limits(text: str) -> dict[str, float | None]:
    """Return the longest time, s, by partition from ``sinfo -h -o '%R|%l'``; None for no limit."""
    limits: dict[str, float | None] = {}
    for line in text.splitlines():
        name, bar, limit = line.strip().partition("|")
        if bar:
            limits[name] = None if limit == "infinite" else seconds(limit)
    return limits


def _add(
    states: dict[str, JobState],
    job_id: str,
    word: str,
    *,
    source: str,
    text: str,
    start: str,
    end: str,
    limit: str,
    exit_code: str,
    partition: str,
    directory: str,
    restarts: int | None = None,
    cancelled_by: str | None = None,
    memory: float | None = None,
    memory_per: Literal["node", "cpu"] | None = None,
) -> None:
    """Add the state of a job, unless its word is ignored."""
    phase: Phase
    if word in _ENDED:
        phase = "ended"
    elif word in _RUNNING:
        phase = "running"
    elif word in _PENDING:
        phase = "pending"
    else:
        return
    if phase == "ended" and job_id in states and states[job_id].phase != "ended":
        return  # each cluster of a federation reports on a job
    states[job_id] = JobState(
        job_id=job_id,
        phase=phase,
        ending=_ENDED.get(word),
        cancelled_by=cancelled_by,
        restarts=restarts,
        started=_time(start),
        ended=_time(end),
        time_limit_s=seconds(limit),
        memory_mb=memory,
        memory_per=memory_per if memory is not None else None,
        exit_code=exit_code or None,
        partition=partition or None,
        directory=directory or None,
        is_ending=word == "COMPLETING",
        source=source,
        text=text,
    )


def _time(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() else None


def _user(state: str) -> str | None:
    """Return the user in accounting's ``CANCELLED by 1000``, by name if this machine knows it."""
    found = re.fullmatch(r"CANCELLED by (\d+)", state)
    if found is None:
        return None
    try:
        return pwd.getpwuid(int(found.group(1))).pw_name
    except (KeyError, OverflowError):
        return f"user {found.group(1)}"


def _whole(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def seconds(text: str) -> float | None:
    """Return the seconds of ``[days-]hours:minutes:seconds``, ``minutes:seconds`` or ``minutes``; None for anything
    else.
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if found is None:
        return None
    days, *rest = found.groups()
    parts = [int(part) for part in rest if part is not None]
    if days is not None:
        hours, minutes, secs = [*parts, 0, 0][:3]
        return float(((int(days) * 24 + hours) * 60 + minutes) * 60 + secs)
    if len(parts) == 1:
        return parts[0] * 60.0
    hours, minutes, secs = parts if len(parts) == 3 else [0, *parts]
    return float((hours * 60 + minutes) * 60 + secs)


def megabytes(text: str) -> float | None:
    """Return the MiB of SLURM's ``256M``, ``4G``, ``1000`` (MiB); None if not an amount, or 0 (all of a node)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)[nc]?", text.strip())
    if found is None or float(found.group(1)) == 0.0:
        return None
    return float(found.group(1)) * {"K": 1 / 1024, "": 1.0, "M": 1.0, "G": 1024.0, "T": 1024.0**2}[found.group(2)]


def _memory_of_each_node(total: str, nodes: str) -> float | None:
    memory = megabytes(total)
    return None if memory is None else memory / max(_whole(nodes) or 1, 1)


def chunks(ids: list[str], size: int) -> Iterator[list[str]]:
    """Yield job ids in groups that fit into a command line."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
