"""CPU-seconds used by a process and its children."""

import resource

import psutil


def ended_cpu_seconds() -> float:
    """Return the CPU-seconds so far of this process and of children that it has waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def running_cpu_seconds() -> float:
    """Return the CPU-seconds so far of running children, including their own children."""
    seconds = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
        # CPU time of the child's own finished children
        seconds += times.children_user + times.children_system
    return seconds
