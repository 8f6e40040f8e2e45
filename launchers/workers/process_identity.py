"""Identity of a process, and whether it still runs.

A process is identified by its host, its id, and its start time in clock ticks since boot, with the id of that boot.
The time of day is unsuitable because it may jump (suspend, first time synchronisation).
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

#: Time for threads to finish before the process ends regardless, in s.
_THREADS_END_S = 5.0
_WATCH = "end-with-main-thread"
#: Fields that identify a process permanently.
IDENTITY = ("host", "pid", "boot_id", "pid_ticks")


def this_process() -> dict[str, Any]:
    """Return the identity of this process, with its start time for people (``pid_created``, s since 1970)."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot_id": boot_id(),
        "pid_ticks": start_ticks(os.getpid()),
        "pid_created": psutil.Process().create_time(),
    }


def is_alive(process: Mapping[str, Any]) -> bool | None:
    """Return whether a process still runs; None if unknown (another host)."""
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
    """Return the id of the kernel's current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_ticks(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # the second field, the program's name in brackets, may contain spaces and brackets
    return int(stat.rpartition(")")[2].split()[19])


def end_with_main_thread() -> None:
    """Make this process end with its main thread, even if other threads are still waiting.

    An error in FireWorks itself (a full disk, an unavailable database) ends the main thread of `rlaunch`, but
    FireWorks' ping thread, which sleeps for an hour, would keep the process alive.
    """
    if not any(thread.name == _WATCH for thread in threading.enumerate()):
        threading.Thread(target=_end_after_main_thread, name=_WATCH, daemon=True).start()


def _end_after_main_thread() -> None:
    threading.main_thread().join()
    time.sleep(_THREADS_END_S)
    # without such threads Python ends anyway
    if any(thread.is_alive() and not thread.daemon for thread in threading.enumerate()):
        sys.stderr.flush()
        os._exit(1)
