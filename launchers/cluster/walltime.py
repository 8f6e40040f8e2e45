"""Time limits of queue jobs: their format, and the time left in the job of this process."""

import os
import re
import subprocess
import time
from datetime import datetime

_ASK_S = 30.0


def seconds(walltime: str) -> int:
    """Parse ``HH:MM:SS``, possibly with more than 24 hours, the format common to SLURM and PBS.

    Raises
    ------
    ValueError
        If it is not of that form.
    """
    found = re.fullmatch(r"(\d{1,4}):([0-5]\d):([0-5]\d)", walltime)
    if found is None:
        raise ValueError(f"found {walltime!r}, should be hours, minutes and seconds: HH:MM:SS, e.g. 36:00:00")
    hours, minutes, rest = map(int, found.groups())
    return 3600 * hours + 60 * minutes + rest


def text(seconds_: int) -> str:
    """Format seconds as ``HH:MM:SS``."""
    return f"{seconds_ // 3600:02d}:{seconds_ // 60 % 60:02d}:{seconds_ % 60:02d}"


def job_id() -> str | None:
    """Return the id of this process's job in the form of FireWorks' reservation ids; None outside a job."""
    found = re.match(r"\d+", os.environ.get("SLURM_JOB_ID") or os.environ.get("PBS_JOBID") or "")
    return None if found is None else found.group()


def _job_end() -> float | None:
    """Return when the scheduler ends this job, in s since 1970; None if unknown.

    Sources are the launch file's own variable (``LAUNCHERS_JOB_END``, PBS), SLURM's, then the controller.
    """
    for variable in ("LAUNCHERS_JOB_END", "SLURM_JOB_END_TIME"):
        if os.environ.get(variable, "").isdigit():
            return float(os.environ[variable])
    if os.environ.get("SLURM_JOB_ID"):
        return _end_by_scontrol(os.environ["SLURM_JOB_ID"])
    return None


def _end_by_scontrol(job: str) -> float | None:
    command = ["scontrol", "show", "job", "-o", job]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bEndTime=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", done.stdout)
    # the controller writes local time without a zone
    return None if found is None else datetime.fromisoformat(found.group(1)).astimezone().timestamp()


def time_left() -> float | None:
    """Return the seconds until the scheduler ends this job; None if unknown."""
    end = _job_end()
    return None if end is None else end - time.time()
