"""Which process this is, whether another one still lives, and what a process and its children have used."""

import os
import resource
import socket
from typing import Any

import psutil


def this_process() -> dict[str, Any]:
    """Host, process id and start time of this process: together they name it for ever."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "pid_created": psutil.Process().create_time()}


def is_alive(process: dict[str, Any]) -> bool | None:
    """Whether the process of an attempt still runs; None where it cannot be told (another host)."""
    if process["host"] != socket.gethostname():
        return None
    try:
        found = psutil.Process(process["pid"])
        # a reused process id has another start time
        return bool(abs(found.create_time() - process["pid_created"]) < 1.0 and found.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def ended_cpu_seconds() -> float:
    """CPU-seconds so far of this process and of the children that it has waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def running_cpu_seconds() -> float:
    """CPU-seconds so far of the children that still run, theirs included."""
    seconds = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
        # what the child's own children used that have ended
        seconds += times.children_user + times.children_system
    return seconds
