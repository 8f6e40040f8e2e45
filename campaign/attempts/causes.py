"""Cause of an attempt's failure, in one or two words, determined when it fails and the evidence is available."""

import errno
import json
import re
import subprocess
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from custodian.custodian import CustodianError, NonRecoverableError, ReturnCodeError, ValidationError
from gridfs.errors import GridFSError
from pymatgen.io.vasp.inputs import PmgVaspPspDirError
from pymongo.errors import PyMongoError

from campaign.attempts.memory_kills import was_killed_for_memory
from launchers.scheduler.this_job import scheduler, this_job
from workflows.engine_ending import FROM_OUTSIDE, cause_in_words, cause_of_ending, exit_code

#: A termination signal this long before the time limit is the one requested by batch scripts (`#SBATCH --signal`).
_END_OF_TIME = timedelta(minutes=15)
#: Causes that make every further try fail until a person has fixed them: such calculations fail immediately, and
#: `campaign retry` resubmits them.
NEEDS_MENDING = frozenset(
    {
        *("not_found", "library_missing", "potcar_missing", "potcar_mismatch", "input_refused"),
        *("input_changed", "unusable_output"),
    }
)
#: Missing on the machine or in its settings, so that the next calculation fails as well.
ENVIRONMENT = frozenset(
    {"not_found", "library_missing", "license_missing", "potcar_missing", "potcar_mismatch", "input_changed"}
)
#: External causes, which say nothing about the next calculation.
FROM_ELSEWHERE = frozenset(
    {
        *("killed", "cancelled", "node_fail", "preempted", "requeued", "interrupted", "timeout", "out_of_memory"),
        *("disk_full", "database", "not_started", "launch_folder_gone", "output_lost", "features_lost"),
    }
)
#: custodian's codes for input that VASP refuses.
_REFUSALS = frozenset({"read_error", "spin_polarized_harris"})


def failure_cause(error: BaseException, directory: Path | None = None) -> str:
    """Return the cause of an attempt's failure.

    Parameters
    ----------
    error
        Exception that ended the attempt.
    directory
        Its launch directory; by default the current one.

    Returns
    -------
    str
        ``custodian:CODE`` with custodian's own error codes, ``not_converged``, one of those of
        `workflows.engine_ending` (``killed``, ``out_of_memory``, ``timeout``, ``engine_crash``, ``not_found``,
        ``library_missing``, ``license_missing``, ``potcar_missing``, ``potcar_mismatch``, ``disk_full``,
        ``input_refused``, ``cancelled``, ``preempted``, ``node_fail``), ``incomplete_output`` if nothing else is known,
        ``interrupted``, ``database``, ``output_lost``, ``launch_folder_gone`` (`campaign.attempts.ledger`), or the name
        of the exception. For attempts that could not report anything, `reconcile` uses ``timeout``, ``out_of_memory``,
        ``cancelled``, ``node_fail``, ``preempted``, ``requeued``, ``not_started`` or ``killed``.
    """
    folder = directory or Path.cwd()
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return "timeout" if _time_is_over() else "interrupted"
    if isinstance(error, CustodianError):
        return _cause_of_run(error, folder)
    named = getattr(error, "cause", None)  # Ray's errors have an exception there
    if named and isinstance(named, str):
        return named
    if isinstance(error, GridFSError):
        return "output_lost"
    if isinstance(error, PyMongoError):
        return "database"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, PmgVaspPspDirError):
        return "potcar_missing"
    return _cause_of_os_error(error) if isinstance(error, OSError) else type(error).__name__


def _cause_of_run(error: CustodianError, folder: Path) -> str:
    """Return what happened to the engine under custodian."""
    if isinstance(error, ReturnCodeError | ValidationError):
        # custodian checks the files first, but a missing one does not show why the engine stopped
        code = exit_code(error)
        cause = cause_of_ending(folder, code)
        if cause == "killed":
            return "out_of_memory" if was_killed_for_memory() else "timeout" if _time_is_over() else cause
        return cause or ("engine_crash" if isinstance(error, ReturnCodeError) else "incomplete_output")
    if isinstance(error, NonRecoverableError) and (said := cause_in_words(folder)) in FROM_OUTSIDE:
        return str(said)
    codes = _last_codes(folder)
    if codes and _REFUSALS.issuperset(codes):
        return "input_refused"
    return custodian_cause(codes) or f"custodian:{type(error).__name__}"


def _cause_of_os_error(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full"
    if isinstance(error, FileNotFoundError):
        return "potcar_missing" if "POTCAR" in str(error) or "PMG_VASP_PSP_DIR" in str(error) else "not_found"
    files = {frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)}
    if subprocess.__file__ in files and error.errno in (errno.EACCES, errno.ENOEXEC, errno.EISDIR):
        return "not_found"
    return type(error).__name__


def stored_cause(entry: Mapping[str, Any]) -> str:
    """Return the cause of a stored failure or ledger entry; if an earlier version stored none, the exception's name."""
    if entry.get("cause"):
        return str(entry["cause"])
    if entry.get("outcome") in ("lost", "stopped"):
        return "killed"
    found = re.match(r"(?:[\w.]+\.)?(\w+?)(?:Error|Exit)?:", entry.get("error") or "")
    return found.group(1) if found else str(entry.get("kind") or entry.get("outcome") or "unknown")


def cause_in_trace(error: str) -> str:
    """Return the cause in the last line of a stack trace (``pymongo.errors.AutoReconnect: connection closed``)."""
    name = error.partition(":")[0].strip()
    if name.endswith("PmgVaspPspDirError") or (name == "FileNotFoundError" and "POTCAR" in error):
        return "potcar_missing"
    if name.startswith("pymongo."):
        return "database"
    if re.search(rf"\[Errno ({errno.ENOSPC}|{errno.EDQUOT})\]", error):
        return "disk_full"
    named = {"MemoryError": "out_of_memory", "FileNotFoundError": "not_found"}
    return named.get(name, name.rpartition(".")[2])


def custodian_cause(codes: list[str]) -> str | None:
    """Return ``custodian:CODE`` for custodian's error codes; None without any."""
    return f"custodian:{','.join(sorted(set(codes)))}" if codes else None


def codes_of(custodian_log: Any) -> list[str]:
    """Return the error codes of the last correction in custodian's log (``custodian.json``, or a TaskDoc's
    ``custodian``).
    """
    corrections = [
        correction for job in custodian_log or [] if isinstance(job, Mapping) for correction in job["corrections"] or []
    ]
    return [str(code) for code in corrections[-1].get("errors") or []] if corrections else []


def _last_codes(folder: Path) -> list[str]:
    try:
        return codes_of(json.loads((folder / "custodian.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError):
        return []


def _time_is_over() -> bool:
    """Whether this process's job is about to reach its time limit, according to its scheduler."""
    job = this_job()
    if not job:
        return False
    found = scheduler(job["scheduler"], timeout_s=5.0)
    said = found.states([job["job_id"]]).get(job["job_id"]) if found is not None else None
    return said is not None and said.ended is not None and said.ended - datetime.now(UTC) < _END_OF_TIME
