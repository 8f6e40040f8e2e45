"""Whether the kernel has killed a process of this job's cgroup for want of memory."""

import re
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
#: Kills before the attempt under way, by the file that counts them: a job computes one thing after another.
_before: dict[Path, int] = {}


def note_memory_kills() -> None:
    """Count from now on."""
    _before.clear()
    _before.update(_counts())


def was_killed_for_memory() -> bool:
    """Whether the kernel has killed a process of this cgroup for want of memory since `note_memory_kills`."""
    return any(count > _before.get(file, 0) for file, count in _counts().items())


def _counts() -> dict[Path, int]:
    """Kills so far by the file that counts them (cgroup v2 and v1)."""
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
