"""Which process is a folder's embedded MongoDB: remembered by id and start time, since ids are reused."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

RECORD_NAME = "server.json"
RECORD_FORMAT = 1
# What the kernel tells of a process's start is exact; the clock it is counted from may be set in between.
CLOCK_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class ProcessRecord:
    """The process of an embedded server, as its folder's ``server.json`` has it.

    Attributes
    ----------
    pid, create_time
        Process id, and when the process began (seconds since 1970, UTC).
    host, port
        Where it listens.
    version
        MongoDB's version, None where it is not known.
    """

    pid: int
    create_time: float
    host: str
    port: int
    version: str | None

    @property
    def address(self) -> str:
        """The text ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def process(self) -> psutil.Process:
        """Return the process.

        Raises
        ------
        psutil.NoSuchProcess
            It has ended, or its id belongs to another process by now.
        """
        process = psutil.Process(self.pid)
        if abs(process.create_time() - self.create_time) > CLOCK_TOLERANCE_S:
            raise psutil.NoSuchProcess(self.pid)
        return process

    def is_alive(self) -> bool:
        """Tell whether the process still runs (one that ended and was not waited for does not)."""
        try:
            return self.process().status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def remember_process(data_dir: Path, *, pid: int, host: str, port: int, version: str) -> ProcessRecord:
    """Write down which process serves a folder."""
    record = ProcessRecord(
        pid=pid, create_time=psutil.Process(pid).create_time(), host=host, port=port, version=version
    )
    temporary = data_dir / f"{RECORD_NAME}.tmp"
    temporary.write_text(json.dumps({"format": RECORD_FORMAT, **asdict(record)}), encoding="utf-8")
    temporary.replace(data_dir / RECORD_NAME)
    return record


def forget_process(data_dir: Path) -> None:
    """Remove what was written down."""
    (data_dir / RECORD_NAME).unlink(missing_ok=True)


def find_process(data_dir: Path) -> ProcessRecord | None:
    """Return the running process of a folder's server, None where there is none.

    Looks at our own record first, then at mongod's lock file (our record is missing where the start was
    killed just then). A process counts only if it is a mongod whose command line names this folder.
    """
    for record in (_read_record(data_dir), _read_lock(data_dir)):
        if record is not None and record.is_alive() and _serves(record.pid, data_dir):
            return record
    return None


def _read_record(data_dir: Path) -> ProcessRecord | None:
    try:
        content = json.loads((data_dir / RECORD_NAME).read_text(encoding="utf-8"))
        if content.pop("format") != RECORD_FORMAT:
            return None
        return ProcessRecord(**content)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None  # a half-written record is as good as none: the lock file is asked next


def _read_lock(data_dir: Path) -> ProcessRecord | None:
    try:
        process = psutil.Process(int((data_dir / "mongod.lock").read_text()))
        command = process.cmdline()
        host = command[command.index("--bind_ip") + 1]
        port = int(command[command.index("--port") + 1])
        return ProcessRecord(process.pid, process.create_time(), host, port, None)
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _serves(pid: int, data_dir: Path) -> bool:
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # another user's; its id and start time agree
    return bool(command) and "mongod" in os.path.basename(command[0]) and str(data_dir) in command
