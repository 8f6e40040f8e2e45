"""Parser for ``qstat -f`` of PBS Pro, OpenPBS, TORQUE, and SLURM's wrapper of it."""

import re
from datetime import UTC, datetime
from typing import Literal

from launchers.scheduler.job_state import Ending, JobState, Phase
from launchers.scheduler.slurm_output import seconds

_PHASES: dict[str, Phase] = {
    **dict.fromkeys("QHWTM", "pending"),
    **dict.fromkeys("REBSU", "running"),
    # C: TORQUE; F: PBS Pro with -x; X: a finished subjob of an array
    **dict.fromkeys("CFX", "ended"),
}
#: PBS Pro's exit codes of jobs that it killed (PBS Professional Administrator's Guide, "Job Exit Status Codes").
_KILLED: dict[int, Ending] = {-29: "timeout", -27: "out_of_memory", -26: "out_of_memory"}
_SIGTERM, _SIGKILL = 271, 265  # 256 + 15, 256 + 9


def parse_qstat(text: str) -> dict[str, JobState]:
    """Return the states by job id, without the server's name."""
    states = {}
    # long values continue on the next line, which begins with a tab and contains no "name = value"
    joined = re.sub(r"\n\t(?!\s*[\w.]+ = )", "", text)
    for block in re.split(r"^Job Id:\s*", joined, flags=re.MULTILINE)[1:]:
        head, *lines = block.splitlines()
        row = {}
        for line in lines:
            name, equals, value = line.strip().partition(" = ")
            if equals:
                row[name] = value
        phase = _PHASES.get(row.get("job_state", ""))
        if phase is None:
            continue
        job_id = without_server(head.strip())
        memory, per = _memory(row)
        states[job_id] = JobState(
            job_id=job_id,
            phase=phase,
            ending=_ending(row) if phase == "ended" else None,
            restarts=int(row["run_count"]) - 1 if row.get("run_count", "").isdigit() and phase != "pending" else None,
            started=_time(row.get("stime")),
            ended=_time(row.get("obittime") or row.get("comp_time")),
            time_limit_s=seconds(row.get("Resource_List.walltime", "")),
            memory_mb=memory,
            memory_per=per,
            exit_code=row.get("exit_status") or row.get("Exit_status"),
            partition=row.get("queue"),
            is_ending=row["job_state"] == "E",
            directory=_directory(row),
            source="qstat",
            text=f"job_state {row['job_state']} {row.get('comment', '')}".strip(),
        )
    return states


def without_server(job_id: str) -> str:
    """Return e.g. ``123`` for ``123.server.site`` and ``123[4]`` for a subjob."""
    return job_id.split(".")[0]


def _ending(row: dict[str, str]) -> Ending | None:
    code = row.get("exit_status") or row.get("Exit_status")
    limit = seconds(row.get("Resource_List.walltime", ""))
    used = seconds(row.get("resources_used.walltime", ""))
    if limit is not None and used is not None and used >= limit:
        return "timeout"
    if code is None or not re.fullmatch(r"-?\d+", code):
        return None
    number = int(code)
    if number in _KILLED:
        return _KILLED[number]
    if number == _SIGTERM:
        return "cancelled"
    return "completed" if number == 0 else "failed"


def _memory(row: dict[str, str]) -> tuple[float | None, Literal["node", "cpu"] | None]:
    pmem, mem = (_megabytes(row.get(f"Resource_List.{name}", "")) for name in ("pmem", "mem"))
    if pmem is not None:
        return pmem, "cpu"
    return mem, None if mem is None else "node"


def _megabytes(text: str) -> float | None:
    found = re.fullmatch(r"(\d+)(b|kb|mb|gb|tb)", text.strip().lower())
    if found is None:
        return None
    return int(found.group(1)) * {"b": 1 / 1024**2, "kb": 1 / 1024, "mb": 1.0, "gb": 1024.0, "tb": 1024.0**2}[found[2]]


def _time(text: str | None) -> datetime | None:
    """Return a time in UTC; PBS writes the server's local time without its zone."""
    try:
        return datetime.strptime(text or "", "%a %b %d %H:%M:%S %Y").astimezone(UTC)
    except ValueError:
        return None


def _directory(row: dict[str, str]) -> str | None:
    found = re.search(r"PBS_O_WORKDIR=([^,]+)", row.get("Variable_List", ""))
    return found.group(1) if found else None
