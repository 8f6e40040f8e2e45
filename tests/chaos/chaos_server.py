"""A mongod of the harness's own, without a password, that may be killed and stopped."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from launchers.mongod.binary import find_mongod
from launchers.mongod.replica_set import make_primary

_START_S = 60.0
_SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}


def _free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class ChaosServer:
    """A mongod, which each campaign reaches through a proxy of its own.

    Attributes
    ----------
    port
        Where mongod listens.
    """

    def __init__(self, folder: Path) -> None:
        self._data = folder / "mongod"
        self._data.mkdir(parents=True)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start mongod unless it runs; wait until it takes writes."""
        if self._process is not None and self._process.poll() is None:
            return
        mongod, _ = find_mongod()
        options = ["--dbpath", str(self._data), "--bind_ip", "127.0.0.1", "--port", str(self.port), "--nounixsocket"]
        options += ["--replSet", "rs0", "--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.3"]
        options += ["--logpath", str(self._data / "mongod.log"), "--logappend"]
        options += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        self._process = subprocess.Popen([str(mongod), *options], **_SILENT)
        process = self._process
        make_primary(
            "127.0.0.1",
            self.port,
            "rs0",
            login={},  # without a password: the faults are of other kinds
            deadline=time.monotonic() + _START_S,
            is_alive=lambda: process.poll() is None,
        )

    def kill(self, away_s: float) -> None:
        """Kill it with SIGKILL, and start it again later."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        time.sleep(away_s)
        self.start()

    def freeze(self, seconds: float) -> None:
        """Stop it with SIGSTOP for a while."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self._process.pid, signal.SIGCONT)

    def client(self) -> MongoClient[dict[str, Any]]:
        """Return a client past the proxy."""
        return MongoClient(f"mongodb://127.0.0.1:{self.port}/?directConnection=true")

    def stop(self) -> None:
        """End mongod."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(60)
