"""The embedded MongoDB: a real mongod on loopback, as a one-node replica set, with its data in one folder.

Only its owner has access, see `launchers.mongod.access`.

A replica set, even with one node, is needed for transactions, and loses no acknowledged write when killed (measured
November 2026: a standalone mongod lost 357 of 8,935). It starts in one to two seconds.
"""

import contextlib
import fcntl
import logging
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from pymongo.errors import PyMongoError

from launchers.database.errors import LaunchpadFileError, MongoServerError
from launchers.database.launchpad_file import EMBEDDED_FOLDER
from launchers.database.launchpad_login import write_login
from launchers.database.settings import DatabaseSettings
from launchers.mongod.access import ensure_owner, internal_login, make_key, owner_password
from launchers.mongod.binary import find_mongod
from launchers.mongod.log import LOG_NAME, size_of, why_it_ended
from launchers.mongod.ownership import has_data, own_address
from launchers.mongod.port import require_free_port
from launchers.mongod.process import find_process
from launchers.mongod.replica_set import make_primary

logger = logging.getLogger(__name__)

LOCK_NAME = "start.lock"
LOG_LIMIT = 20 * 2**20  # bytes; a longer log is moved aside at the next start
START_TIMEOUT_S = 30.0  # until it accepts writes
STOP_TIMEOUT_S = 60.0
POLL_S = 0.1
SERVER_OPTIONS = (
    "--nounixsocket",  # not needed, and its path may not exceed 107 bytes
    "--oplogSize",
    "64",
    "--setParameter",
    "diagnosticDataCollectionEnabled=false",
    "--setParameter",
    "enableLocalhostAuthBypass=false",  # otherwise any process could create the first user
)


@dataclass(frozen=True)
class ServerStatus:
    """Status of an embedded server.

    Attributes
    ----------
    running
        Whether it runs.
    data_dir
        The folder with its data and its log.
    pid, address
        Process id and ``host:port``; None if it does not run.
    uptime_s
        Seconds since its process started.
    is_protected
        Whether it requires its owner's password; one started by an earlier version does not until its next start.
    """

    running: bool
    data_dir: Path
    pid: int | None = None
    address: str | None = None
    uptime_s: float | None = None
    is_protected: bool = True

    @property
    def log_file(self) -> Path:
        """Path of the server's log."""
        return self.data_dir / LOG_NAME


def default_data_dir(launchpad_file: Path) -> Path:
    """Return the default data folder: ``mongodb`` next to a launchpad file.

    A launchpad file under version control is a link to one inside the data folder, see
    `launchers.database.launchpad_login`.
    """
    folder = launchpad_file.resolve().parent
    return folder if has_data(folder) else folder / EMBEDDED_FOLDER


def start(settings: DatabaseSettings, *, data_dir: Path) -> ServerStatus:
    """Start the embedded server unless it runs, and wait until it accepts writes.

    Afterwards the settings' file contains the owner's login and must be read again; settings without a file get it from
    `launchers.mongod.access.with_login`. Data of earlier versions without a login get one.

    Parameters
    ----------
    settings
        Address and name of the replica set; the host must be a loopback one.
    data_dir
        Folder for its data, created if necessary. One server per folder.

    Raises
    ------
    MongoServerError
        If the host is not this machine, there is no mongod, the port is taken, the folder cannot be written, or the
        server did not start (with the reason from its log).
    LaunchpadFileError
        If the login cannot be written into the file; the server is stopped again.
    """
    host, port = own_address(settings)
    replica_set = settings.replica_set or "rs0"
    data_dir = data_dir.absolute()
    with _only_one_start(data_dir):
        server = find_process(data_dir)
        if server is not None and (server.host, server.port) != (host, port):
            raise MongoServerError(
                f"the MongoDB of {data_dir} (process {server.pid}) runs at {server.address}, and "
                f"my_launchpad.yaml says {settings.address}: stop it first (`campaign db stop`)"
            )
        if server is None:
            require_free_port(host, port, source=settings.source)
            _launch(host=host, port=port, replica_set=replica_set, data_dir=data_dir)
        else:
            deadline = time.monotonic() + START_TIMEOUT_S
            login = internal_login(data_dir) if server.is_protected else {}
            make_primary(host, port, replica_set, login=login, deadline=deadline, is_alive=server.is_alive)
        found = status(data_dir)
        if found.is_protected:
            try:
                _let_owner_in(settings, host, port, data_dir)
            except LaunchpadFileError:
                if server is None:
                    _end(data_dir)  # no user could log in
                raise
        return found


def stop(data_dir: Path) -> ServerStatus:
    """Stop the embedded server of a folder cleanly, by its process id; does nothing if none runs.

    Raises
    ------
    MongoServerError
        If it still runs after a minute, or belongs to another user.
    """
    server = find_process(data_dir.absolute())
    if server is not None:
        logger.info("stopping MongoDB at %s, process %d", server.address, server.pid)
        try:
            server.process.terminate()  # SIGTERM: mongod writes a checkpoint and exits
        except psutil.NoSuchProcess:
            pass
        except psutil.AccessDenied:
            raise MongoServerError(
                f"the MongoDB of {data_dir} (process {server.pid}) belongs to another user, who must stop it"
            ) from None
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while server.is_alive():
            if time.monotonic() > deadline:
                raise MongoServerError(
                    f"the MongoDB of {data_dir} (process {server.pid}) did not stop within {STOP_TIMEOUT_S:g} s; it "
                    f"may still be writing; see {data_dir / LOG_NAME}, and stop it again"
                )
            time.sleep(POLL_S)
    return ServerStatus(running=False, data_dir=data_dir)


def status(data_dir: Path) -> ServerStatus:
    """Return whether the embedded server of a folder runs, without connecting to it."""
    data_dir = data_dir.absolute()
    server = find_process(data_dir)
    if server is None:
        return ServerStatus(running=False, data_dir=data_dir)
    return ServerStatus(
        running=True,
        data_dir=data_dir,
        pid=server.pid,
        address=server.address,
        uptime_s=max(0.0, time.time() - server.process.create_time()),
        is_protected=server.is_protected,
    )


def _let_owner_in(settings: DatabaseSettings, host: str, port: int, data_dir: Path) -> None:
    """Create the owner's login, and write it into the launchpad file."""
    password = owner_password(data_dir)
    if password is None:
        raise MongoServerError(
            f"{data_dir}: the MongoDB there asks for a password, and its key is gone: stop it (`campaign db stop`) and "
            "start it again"
        )
    try:
        ensure_owner(host, port, data_dir)
    except PyMongoError as error:
        raise MongoServerError(
            f"MongoDB at {host}:{port} does not accept the key in {data_dir} ({type(error).__name__}): stop it "
            "(`campaign db stop`) and start it again"
        ) from None
    if settings.source is not None:
        write_login(settings.source, password, private_folder=data_dir)


@contextlib.contextmanager
def _only_one_start(data_dir: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two starts at the same time create one server."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if data_dir.stat().st_mode & 0o077:
            data_dir.chmod(0o700)
        lock = (data_dir / LOCK_NAME).open("w")
    except OSError as error:
        raise MongoServerError(f"{data_dir}: cannot be used for the database: {error.strerror}") from None
    with lock:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise MongoServerError(f"{data_dir}: another process is starting the database there") from None
                time.sleep(POLL_S)
        yield


def _launch(*, host: str, port: int, replica_set: str, data_dir: Path) -> None:
    """Start mongod and wait until it accepts writes; if it does not, end it and raise with the reason."""
    mongod, version = find_mongod()
    log = data_dir / LOG_NAME
    if size_of(log) > LOG_LIMIT:
        log.replace(log.with_suffix(".log.old"))
    log_size = size_of(log)
    deadline = time.monotonic() + START_TIMEOUT_S
    try:
        _fork(mongod, host=host, port=port, replica_set=replica_set, data_dir=data_dir)
        login = internal_login(data_dir)
        make_primary(host, port, replica_set, login=login, deadline=deadline, is_alive=partial(_runs, data_dir))
    except BaseException as error:
        ended = not _runs(data_dir)
        _end(data_dir)
        if ended and isinstance(error, MongoServerError):
            reason = why_it_ended(log, str(error), since=log_size)
            raise MongoServerError(f"MongoDB at {host}:{port} ended while it started: {reason}") from None
        raise
    logger.info("MongoDB %s runs at %s:%d, data in %s", version, host, port, data_dir)


def _runs(data_dir: Path) -> bool:
    return find_process(data_dir) is not None


def _fork(mongod: Path, *, host: str, port: int, replica_set: str, data_dir: Path) -> None:
    """Start mongod as a daemon, which outlives this process and is not affected by Ctrl-C.

    With ``--fork`` mongod returns once its daemon listens or has failed.

    Raises
    ------
    MongoServerError
        If the daemon failed (with mongod's last lines) or does not listen yet.
    """
    command = [str(mongod), "--dbpath", str(data_dir), "--bind_ip", host, "--port", str(port)]
    command += ["--replSet", replica_set, "--fork", "--logpath", str(data_dir / LOG_NAME), "--logappend"]
    command += ["--keyFile", str(make_key(data_dir))]
    command += [*SERVER_OPTIONS, "--wiredTigerCacheSizeGB", f"{_cache_gib():.2f}"]
    if ":" in host:
        command.append("--ipv6")
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            umask=0o077,
            timeout=START_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise MongoServerError(" ".join(error.stdout.splitlines()[-3:])) from None
    except subprocess.TimeoutExpired:
        raise MongoServerError(
            f"MongoDB at {host}:{port} did not listen within {START_TIMEOUT_S:g} s; see {data_dir / LOG_NAME}"
        ) from None


def _cache_gib() -> float:
    """Return the size of mongod's cache in GiB; its default, half of the memory, is needed by calculations.

    If smaller than the features of a campaign (18 kB per candidate), a Screen takes a tenth longer.
    """
    return float(min(max(psutil.virtual_memory().total / 2**30 / 10, 0.25), 1.0))


def _end(data_dir: Path) -> None:
    """End a server that this process started and that did not come up."""
    server = find_process(data_dir)
    if server is None:
        return
    try:
        server.process.terminate()
        server.process.wait(timeout=10)
    except psutil.TimeoutExpired:
        server.process.kill()
    except psutil.NoSuchProcess:
        pass
