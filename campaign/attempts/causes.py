"""What an attempt failed of, in one word or two, told where and when it fails: the evidence is at hand then."""

import errno
import json
import re
import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from custodian.custodian import CustodianError, ReturnCodeError, ValidationError
from gridfs.errors import GridFSError
from pymongo.errors import PyMongoError

from launchers.scheduler.this_job import scheduler, this_job

#: A signal to end this long before the time limit is the one that batch scripts ask for (`#SBATCH --signal`).
_END_OF_TIME = timedelta(minutes=15)
_TAIL_BYTES = 20_000


def failure_cause(error: BaseException, directory: Path | None = None) -> str:
    """Name what an attempt failed of.

    Parameters
    ----------
    error
        What ended it.
    directory
        Its launch directory; default: where this process is.

    Returns
    -------
    str
        ``custodian:CODE`` with custodian's own error codes, ``not_converged``, ``engine_crash``, ``incomplete_output``,
        ``input_refused``, ``out_of_memory``, ``timeout``, ``interrupted``, ``disk_full``, ``database``,
        ``output_lost``, ``not_found``, ``launch_folder_gone`` (`campaign.attempts.ledger`), or the name of the
        exception. Of attempts that could not say anything themselves `reconcile` says ``timeout``, ``out_of_memory``,
        ``cancelled``, ``node_fail``, ``preempted``, ``requeued``, ``not_started`` or ``killed``.
    """
    folder = directory or Path.cwd()
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return "timeout" if _time_is_over() else "interrupted"
    if isinstance(error, ReturnCodeError | ValidationError):
        ended = "engine_crash" if isinstance(error, ReturnCodeError) else "incomplete_output"
        return _from_output(folder, error) or ended
    if isinstance(error, CustodianError):
        return custodian_cause(_last_codes(folder)) or f"custodian:{type(error).__name__}"
    if isinstance(error, GridFSError):
        return "output_lost"
    if isinstance(error, PyMongoError):
        return "database"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full"
    if isinstance(error, FileNotFoundError):
        return "not_found"
    cause = getattr(error, "cause", None)  # Ray's errors have an exception there
    return cause if cause and isinstance(cause, str) else type(error).__name__


def stored_cause(entry: Mapping[str, Any]) -> str:
    """Cause of a stored failure or ledger entry; where an earlier version kept none, the exception's name."""
    if entry.get("cause"):
        return str(entry["cause"])
    if entry.get("outcome") in ("lost", "stopped"):
        return "killed"
    found = re.match(r"(?:[\w.]+\.)?(\w+?)(?:Error|Exit)?:", entry.get("error") or "")
    return found.group(1) if found else str(entry.get("kind") or entry.get("outcome") or "unknown")


def cause_in_trace(error: str) -> str:
    """Cause in the last words of a stack trace (``pymongo.errors.AutoReconnect: connection closed``)."""
    name = error.partition(":")[0].strip()
    if name.startswith("pymongo."):
        return "database"
    if re.search(rf"\[Errno ({errno.ENOSPC}|{errno.EDQUOT})\]", error):
        return "disk_full"
    named = {"MemoryError": "out_of_memory", "FileNotFoundError": "not_found"}
    return named.get(name, name.rpartition(".")[2])


def custodian_cause(codes: list[str]) -> str | None:
    """``custodian:CODE`` of custodian's error codes; None for none."""
    return f"custodian:{','.join(sorted(set(codes)))}" if codes else None


def codes_of(custodian_log: Any) -> list[str]:
    """Error codes of the last correction in custodian's log (``custodian.json``, or a TaskDoc's ``custodian``)."""
    corrections = [
        correction for job in custodian_log or [] if isinstance(job, Mapping) for correction in job["corrections"] or []
    ]
    return [str(code) for code in corrections[-1].get("errors") or []] if corrections else []


def _last_codes(folder: Path) -> list[str]:
    try:
        return codes_of(json.loads((folder / "custodian.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError):
        return []


def _from_output(folder: Path, error: BaseException) -> str | None:
    """What the engine's own words, or the kernel, say of a run that ended with an error code or half-way."""
    said = "".join(_tail(folder / name) for name in ("vasp.out", "std_err.txt"))
    if "nothing was computed" in said:
        return "input_refused"
    if re.search(r"No space left on device|Disk quota exceeded", said):
        return "disk_full"
    killed = re.search(r"return code is (-?\d+)", str(error))
    was_killed = killed is not None and int(killed.group(1)) in (-signal.SIGKILL, 128 + signal.SIGKILL)
    if re.search(r"oom[-_]kill|Out Of Memory|out of memory", said) or (was_killed and _kernel_killed_for_memory()):
        return "out_of_memory"
    return "killed" if was_killed else None


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _kernel_killed_for_memory() -> bool:
    """Whether the kernel has killed a process of this job's cgroup for want of memory (cgroup v2 and v1)."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    for line in lines:
        _, controllers, path = line.split(":", 2)
        root = Path("/sys/fs/cgroup")
        if not controllers:
            file = root / path.lstrip("/") / "memory.events"
        elif "memory" in controllers.split(","):
            file = root / "memory" / path.lstrip("/") / "memory.oom_control"
        else:
            continue
        found = re.search(r"^oom_kill (\d+)", _tail(file), flags=re.MULTILINE)
        if found and int(found.group(1)):
            return True
    return False


def _time_is_over() -> bool:
    """Whether this process's job is about to reach its time limit, as its scheduler says."""
    job = this_job()
    if not job:
        return False
    found = scheduler(job["scheduler"], timeout_s=5.0)
    said = found.states([job["job_id"]]).get(job["job_id"]) if found is not None else None
    return said is not None and said.ended is not None and said.ended - datetime.now(UTC) < _END_OF_TIME
