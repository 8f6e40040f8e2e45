"""Find the process of a folder's embedded MongoDB: its id is in mongod's lock file, its command line names the
folder.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

LOCK_FILE = "mongod.lock"  # written by mongod at its start, emptied at a clean end


@dataclass(frozen=True)
class ServerProcess:
    """The running process of an embedded server.

    Attributes
    ----------
    process
        The process; psutil distinguishes it from a later one with the same id.
    host, port
        Address that it listens on.
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
        """Address as ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def is_alive(self) -> bool:
        """Return whether the process still runs; a zombie does not count."""
        try:
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def find_process(data_dir: Path) -> ServerProcess | None:
    """Return the running process of a folder's server, or None.

    Ids are reused and a killed server leaves its lock file behind, so only a mongod whose command line names this
    folder counts.
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
