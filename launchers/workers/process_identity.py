"""Which process this is, and whether another one still runs.

A process is named by its host, its id, and when it started: in clock ticks since the machine booted, with the id of
that boot. The time of day is unsuitable: it jumps (suspend, first answer of a time server), and so would values
computed from it.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

#: Time for threads to finish before a process is stopped regardless of them.
_THREADS_END_S = 5.0
_WATCH = "end-with-main-thread"
#: Fields that name a process for ever.
IDENTITY = ("host", "pid", "boot_id", "pid_ticks")


def this_process() -> dict[str, Any]:
    """Name this process, with its start time for people (``pid_created``, s since 1970)."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot_id": boot_id(),
        "pid_ticks": start_ticks(os.getpid()),
        "pid_created": psutil.Process().create_time(),
    }


def is_alive(process: Mapping[str, Any]) -> bool | None:
    """Whether a process still runs; None if unknown (another host)."""
    if process["host"] != socket.gethostname():
        return None
    try:
        found = psutil.Process(process["pid"])
        if found.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.get("boot_id") is not None:
            # a reused process id has another start time
            return bool(process["boot_id"] == boot_id() and process["pid_ticks"] == start_ticks(process["pid"]))
        # written by version 0.1
        return bool(abs(found.create_time() - process["pid_created"]) < 1.0)
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return False


def boot_id() -> str:
    """Id of this boot of the machine's kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_ticks(pid: int) -> int:
    """Start of a process in clock ticks since boot."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # the second field is the program's name in brackets, and may hold spaces and brackets
    return int(stat.rpartition(")")[2].split()[19])


def end_with_main_thread() -> None:
    """Let this process end when its main thread does, whatever other threads still wait for.

    An error out of FireWorks itself (a full disk, a database that is away) ends the main thread of `rlaunch`, and
    FireWorks' ping thread, which sleeps for an hour, would keep the process: it would be taken for a live one.
    """
    if not any(thread.name == _WATCH for thread in threading.enumerate()):
        threading.Thread(target=_end_after_main_thread, name=_WATCH, daemon=True).start()


def _end_after_main_thread() -> None:
    threading.main_thread().join()
    time.sleep(_THREADS_END_S)
    # without such threads Python is at its own end by now, and does that itself
    if any(thread.is_alive() and not thread.daemon for thread in threading.enumerate()):
        sys.stderr.flush()
        os._exit(1)
