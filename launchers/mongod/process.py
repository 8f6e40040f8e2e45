"""Which process is a folder's embedded MongoDB: mongod's lock file has its id, its command line names the folder."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

LOCK_FILE = "mongod.lock"  # written by mongod when it begins, emptied when it ends cleanly


@dataclass(frozen=True)
class ServerProcess:
    """The running process of an embedded server.

    Attributes
    ----------
    process
        The process; psutil distinguishes it from a later one with the same id.
    host, port
        Where it listens.
    is_protected
        Whether it requires a password; those started by earlier versions do not.
    """

    process: psutil.Process
    host: str
    port: int
    is_protected: bool

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def address(self) -> str:
        """The text ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def is_alive(self) -> bool:
        """Return whether the process still runs (one that ended and was not waited for does not)."""
        try:
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def find_process(data_dir: Path) -> ServerProcess | None:
    """Return the running process of a folder's server, None where there is none.

    Ids are reused, and a server that was killed leaves its lock file behind: a process counts only if it is a
    mongod whose command line names this folder.
    """
    try:
        process = psutil.Process(int((data_dir / LOCK_FILE).read_text()))
        command = process.cmdline()
        if "mongod" not in os.path.basename(command[0]) or str(data_dir) not in command:
            return None
        host = command[command.index("--bind_ip") + 1]
        return ServerProcess(process, host, int(command[command.index("--port") + 1]), "--keyFile" in command)
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
