"""Whether the kernel killed a process of this job's cgroup for lack of memory."""

import re
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
#: Kills before the current attempt, by the file that counts them, since a job computes several calculations.
_before: dict[Path, int] = {}


def note_memory_kills() -> None:
    """Start counting."""
    _before.clear()
    _before.update(_counts())


def was_killed_for_memory() -> bool:
    """Whether the kernel has killed a process of this cgroup for lack of memory since `note_memory_kills`."""
    return any(count > _before.get(file, 0) for file, count in _counts().items())


def _counts() -> dict[Path, int]:
    """Return the number of kills so far by the file that counts them (cgroup v2 and v1)."""
    counts = {}
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            file = _CGROUPS / path.lstrip("/") / "memory.events"
        elif "memory" in controllers.split(","):
            file = _CGROUPS / "memory" / path.lstrip("/") / "memory.oom_control"
        else:
            continue
        try:
            found = re.search(r"^oom_kill (\d+)", file.read_text(encoding="ascii"), flags=re.MULTILINE)
        except OSError:
            continue
        counts[file] = int(found.group(1)) if found else 0
    return counts
