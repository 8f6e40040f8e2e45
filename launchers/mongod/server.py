"""The embedded MongoDB: a real mongod on loopback, as a one-node replica set, with its data in one folder.

A replica set, even of one node, because transactions need it, and because it loses no acknowledged write when
it is killed (measured November 2026: a standalone mongod lost 357 of 8,935). It is up in one to two seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from launchers.database.errors import MongoServerError
from launchers.database.settings import DatabaseSettings, is_loopback
from launchers.mongod.binary import find_mongod
from launchers.mongod.log import size_of, why_it_ended
from launchers.mongod.port import require_free_port
from launchers.mongod.process import find_process, forget_process, remember_process
from launchers.mongod.replica_set import make_primary

logger = logging.getLogger(__name__)

DATA_FOLDER = "mongodb"
LOG_NAME = "mongod.log"
OUTPUT_NAME = "mongod.out"  # what it says before it has its log
LOCK_NAME = "start.lock"
LOG_LIMIT = 20 * 2**20  # bytes; a longer log is put aside when the server starts
POLL_S = 0.1
SERVER_OPTIONS = (
    "--nounixsocket",  # nobody needs one, and its path may not exceed 107 bytes
    "--oplogSize",
    "64",
    "--setParameter",
    "diagnosticDataCollectionEnabled=false",
)
# Started here and not yet waited for; kept so that Python does not complain of forgotten children.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class ServerStatus:
    """What is known of an embedded server.

    Attributes
    ----------
    running
        Whether it runs.
    data_dir
        The folder with its data and its log.
    pid, address, version
        Process id, ``host:port`` and MongoDB's version; None where it does not run.
    uptime_s
        Seconds since its process began.
    """

    running: bool
    data_dir: Path
    pid: int | None = None
    address: str | None = None
    version: str | None = None
    uptime_s: float | None = None

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return self.data_dir / LOG_NAME


def default_data_dir(launchpad_file: Path) -> Path:
    """Return the folder ``mongodb`` beside a launchpad file: where the data is when nobody says otherwise."""
    return launchpad_file.absolute().parent / DATA_FOLDER


def start(settings: DatabaseSettings, *, data_dir: Path, timeout_s: float = 30.0) -> ServerStatus:
    """Start the embedded server and wait until it accepts writes; does nothing where it runs already.

    Parameters
    ----------
    settings
        Its address and replica set's name are taken from here; the host must be a loopback one.
    data_dir
        The folder for its data, made if need be. One server per folder.
    timeout_s
        Seconds that the server has to accept writes.

    Returns
    -------
    The running server.

    Raises
    ------
    MongoServerError
        The host is not this machine's, there is no mongod, the port is taken, the folder cannot be written,
        or the server did not come up (with the reason from its log).
    """
    host, port = _own_address(settings)
    replica_set = settings.replica_set or "rs0"
    data_dir = data_dir.absolute()
    with _only_one_start(data_dir, timeout_s):
        record = find_process(data_dir)
        if record is not None and (record.host, record.port) != (host, port):
            raise MongoServerError(
                f"the MongoDB of {data_dir} (process {record.pid}) runs at {record.address}, and "
                f"my_launchpad.yaml says {settings.address}: stop it first (`campaign db stop`)"
            )
        if record is not None:
            deadline = time.monotonic() + timeout_s
            make_primary(host, port, replica_set, deadline=deadline, is_alive=record.is_alive)
            return status(data_dir)
        require_free_port(host, port)
        mongod, version = find_mongod()
        _put_long_log_aside(data_dir / LOG_NAME)
        log_size = size_of(data_dir / LOG_NAME)
        process = _spawn(mongod, host=host, port=port, replica_set=replica_set, data_dir=data_dir)
        try:
            record = remember_process(data_dir, pid=process.pid, host=host, port=port, version=version)
            make_primary(
                host,
                port,
                replica_set,
                deadline=time.monotonic() + timeout_s,
                is_alive=lambda: process.poll() is None,
            )
        except BaseException as error:
            died = process.poll() is not None
            _end(process)
            forget_process(data_dir)
            if died and isinstance(error, MongoServerError):
                raise MongoServerError(
                    f"MongoDB at {settings.address} ended while it started: "
                    f"{why_it_ended(data_dir / LOG_NAME, data_dir / OUTPUT_NAME, since=log_size)}"
                ) from None
            raise
        logger.info("MongoDB %s runs at %s, process %d, data in %s", version, record.address, record.pid, data_dir)
        return status(data_dir)


def stop(data_dir: Path, *, timeout_s: float = 60.0) -> ServerStatus:
    """Stop the embedded server of a folder cleanly, by its process id; does nothing where none runs.

    Raises
    ------
    MongoServerError
        It still runs after ``timeout_s`` seconds, or belongs to another user.
    """
    data_dir = data_dir.absolute()
    record = find_process(data_dir)
    if record is not None:
        logger.info("stopping MongoDB at %s, process %d", record.address, record.pid)
        try:
            record.process().terminate()  # SIGTERM: mongod writes a checkpoint and exits
        except psutil.NoSuchProcess:
            pass
        except psutil.AccessDenied:
            raise MongoServerError(
                f"the MongoDB of {data_dir} (process {record.pid}) belongs to another user, who must stop it"
            ) from None
        deadline = time.monotonic() + timeout_s
        while record.is_alive():
            if time.monotonic() > deadline:
                raise MongoServerError(
                    f"the MongoDB of {data_dir} (process {record.pid}) has not ended within {timeout_s:g} s; "
                    f"it may still be writing, see {data_dir / LOG_NAME}, and stop it again"
                )
            time.sleep(POLL_S)
        _reap(record.pid)
    if data_dir.is_dir():
        forget_process(data_dir)
    return ServerStatus(running=False, data_dir=data_dir)


def status(data_dir: Path) -> ServerStatus:
    """Tell whether the embedded server of a folder runs, without connecting to it."""
    data_dir = data_dir.absolute()
    record = find_process(data_dir)
    if record is None:
        return ServerStatus(running=False, data_dir=data_dir)
    return ServerStatus(
        running=True,
        data_dir=data_dir,
        pid=record.pid,
        address=record.address,
        version=record.version,
        uptime_s=max(0.0, time.time() - record.create_time),
    )


def _own_address(settings: DatabaseSettings) -> tuple[str, int]:
    """Return the address to listen on, if the settings describe a server that is ours to start."""
    seeds = settings.seeds
    host, port = seeds[0]
    if len(seeds) > 1 or port is None or not is_loopback(host):
        raise MongoServerError(
            f"the database at {settings.address} is not ours to start: the embedded MongoDB listens on this "
            "machine only (host 127.0.0.1 in my_launchpad.yaml); another one needs no `campaign db start`"
        )
    if settings.user is not None:
        raise MongoServerError(
            f"my_launchpad.yaml gives a user ({settings.user!r}) for {settings.address}, and the embedded "
            "MongoDB has none: take user and password out, or start that database yourself"
        )
    if settings.options.get("tls") or settings.options.get("ssl"):
        raise MongoServerError(
            f"my_launchpad.yaml asks for TLS at {settings.address}, and the embedded MongoDB has none: "
            "take it out, or start that database yourself"
        )
    return ("127.0.0.1" if host == "localhost" else host), port


@contextlib.contextmanager
def _only_one_start(data_dir: Path, timeout_s: float) -> Iterator[None]:
    """Hold the folder's lock, so that two starts at once make one server."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data_dir / LOCK_NAME).open("w")
    except OSError as error:
        raise MongoServerError(f"{data_dir}: cannot be used for the database: {error.strerror}") from None
    with lock:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise MongoServerError(f"{data_dir}: another process is starting the database there") from None
                time.sleep(POLL_S)
        yield


def _spawn(mongod: Path, *, host: str, port: int, replica_set: str, data_dir: Path) -> subprocess.Popen[bytes]:
    """Start mongod in a session of its own, so that it outlives us and no Ctrl-C reaches it."""
    log = data_dir / LOG_NAME
    command = [str(mongod), "--dbpath", str(data_dir), "--bind_ip", host, "--port", str(port)]
    command += ["--replSet", replica_set, "--logpath", str(log), "--logappend", *SERVER_OPTIONS]
    command += ["--wiredTigerCacheSizeGB", f"{_cache_gib():.2f}"]
    if ":" in host:
        command.append("--ipv6")
    with (data_dir / OUTPUT_NAME).open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=data_dir,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
        )
    _children[process.pid] = process
    return process


def _cache_gib() -> float:
    """Memory for mongod's cache, GiB: it would take half of the machine's, which calculations need.

    Where it is smaller than the features of a campaign (18 kB a candidate), a Screen takes a tenth longer.
    """
    return float(min(max(psutil.virtual_memory().total / 2**30 / 10, 0.25), 1.0))


def _put_long_log_aside(log: Path) -> None:
    if size_of(log) > LOG_LIMIT:
        log.replace(log.with_suffix(".log.old"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server that we started and that did not come up."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
    _reap(process.pid)


def _reap(pid: int) -> None:
    child = _children.pop(pid, None)
    if child is not None:
        child.wait()
