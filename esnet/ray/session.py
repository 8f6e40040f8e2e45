"""Ray for the duration of a block of code: started here or joined, and stopped only if started here."""

import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from esnet.files.errors import UserError
from esnet.ray.allocation import RayAllocation, find_allocation

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
# Ray appends about 65 characters, and the path of a Unix socket may have 107
_MAX_TEMP_DIR = 40
_LAST_WRITES_S = 5.0
#: Seconds before each new try to start Ray: a loaded machine needs longer than Ray waits for its processes.
_PAUSES_S = (5.0, 15.0, 45.0)
_OBJECT_STORE_BYTES = 512 * 2**20  # shared memory of a Ray that is started here; more than that goes to disk
# On Linux Ray takes the machine's outward address even where it is asked for 127.0.0.1, and then listens on all
# interfaces. This switch (made for firewalls' questions on other systems) keeps it on loopback; seen on 2.60.
_LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# Ray runs its workers at niceness 15. Beside DFT on all cores a Screen or a training then waits for the DFT that waits
# for it: 63 s became 357 s in a test on 2 cores.
_NICENESS = {"RAY_worker_niceness": "0"}
# the second is Ray's coming default; without it each start warns of the change
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class RaySessionError(UserError, RuntimeError):
    """Ray cannot be started or joined as requested; the message gives a remedy."""


@dataclass(frozen=True)
class RaySession:
    """The Ray to which this process is connected.

    Attributes
    ----------
    address
        ``host:port`` for RAY_ADDRESS of other processes; they need the same token (RAY_AUTH_TOKEN).
    dashboard_url
        Where its dashboard is, None where there is none.
    started_here
        Whether it ends with the block.
    """

    address: str
    dashboard_url: str | None
    started_here: bool


@contextmanager
def ray_session(
    address: str | None = None,
    *,
    name: str | None = None,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    dashboard: bool = False,
) -> Iterator[RaySession]:
    """Connect to Ray inside a ``with`` block.

    A process that is already connected stays so, and nothing is started or stopped. Else the Ray at ``address``
    (or at RAY_ADDRESS, or the cluster of this SLURM job, see `esnet.ray.allocation`) is joined and left again at the
    end. Else one is started on this machine: on loopback, with token authentication, its files in a short temporary
    directory; the end of the block ends it.

    Parameters
    ----------
    address
        ``host:port`` of a running Ray; ``local`` starts one even where RAY_ADDRESS is set.
    name
        Of this process as a job of Ray's, in its dashboard: ``job_name`` of the metadata.
    num_cpus, num_gpus
        What a Ray that is started here may use (None: what it finds). Not for joining one.
    dashboard
        Whether a Ray that is started here has its dashboard, on loopback.

    Yields
    ------
    RaySession

    Raises
    ------
    RaySessionError
        If the Ray at the address cannot be joined.

    Notes
    -----
    For a Ray that is started here a token is made where the environment has none, and RAY_AUTH_MODE and
    RAY_AUTH_TOKEN are set while the block runs, so that child processes can join; nothing is written to the
    home directory. To join a Ray, its token must be in the environment (RAY_AUTH_TOKEN or
    RAY_AUTH_TOKEN_PATH); that of this SLURM job's cluster is found beside its address.
    """
    with environment_variables(_QUIET):
        try:
            import ray
        except ModuleNotFoundError as error:
            raise RaySessionError(
                "Ray is not installed here; training and scoring need the extra: pip install 'esnet-campaign[esnet]'"
            ) from error

        if ray.is_initialized():
            yield _describe(started_here=False)
            return
        allocation = find_allocation()
        wanted = address or os.environ.get("RAY_ADDRESS") or (allocation.address if allocation else "local")
        if wanted == "local":
            with _started(name, num_cpus, num_gpus, dashboard) as session:
                yield session
        else:
            with environment_variables(_credentials(wanted, allocation)), _joined(wanted, name) as session:
                yield session


def is_ray_at_hand() -> bool:
    """Return whether `ray_session` would join a running Ray instead of starting one."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return True
    address = os.environ.get("RAY_ADDRESS")
    return address != "local" and bool(address or find_allocation())


def _credentials(address: str, allocation: RayAllocation | None) -> dict[str, str]:
    """Return the environment's variables for joining, completed."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        # Ray does not look at a token where the mode is not set
        return {} if os.environ.get("RAY_AUTH_MODE") else {"RAY_AUTH_MODE": "token"}
    if allocation is not None and allocation.address == address:
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": allocation.token}
    return {}


def _job_config(name: str | None) -> Any:
    from ray.job_config import JobConfig

    return JobConfig(metadata={"job_name": name} if name else {})


@contextmanager
def _joined(address: str, name: str | None) -> Iterator[RaySession]:
    import ray

    _refresh_authentication()
    try:
        with own_signal_handlers(signal.SIGTERM, signal.SIGINT):
            ray.init(address=address, job_config=_job_config(name), log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        # Ray's own errors on authentication are RuntimeErrors too
        raise RaySessionError(
            f"the Ray at {address} cannot be joined: {error}. Is it running, and are RAY_AUTH_MODE and "
            "RAY_AUTH_TOKEN those that it was started with?"
        ) from error
    try:
        yield _describe(started_here=False)
    finally:
        ray.shutdown()


@contextmanager
def _started(name: str | None, num_cpus: int | None, num_gpus: int | None, dashboard: bool) -> Iterator[RaySession]:
    import ray

    folder = _short_temp_dir()
    try:
        with environment_variables(authentication() | _LOOPBACK_ONLY | _NICENESS), _loopback_constant():
            _refresh_authentication()
            try:
                _start(
                    dashboard=dashboard,
                    job_config=_job_config(name),
                    num_cpus=num_cpus,
                    num_gpus=num_gpus,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    _temp_dir=str(folder),
                )
                session = _describe(started_here=True)
                logger.info("started Ray at %s", session.address)
                yield session
            finally:
                ray.shutdown()
    finally:
        _remove(folder)


def _start(*, dashboard: bool, **options: Any) -> None:
    """Start Ray, retrying after a pause if it does not come up in time; only the first attempt has the dashboard.

    Raises
    ------
    RaySessionError
        If no try succeeds.
    """
    import ray

    for pause_s in (*_PAUSES_S, None):
        try:
            with own_signal_handlers(signal.SIGTERM, signal.SIGINT):
                ray.init(
                    address="local",
                    include_dashboard=dashboard,
                    dashboard_host=LOOPBACK,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    **options,
                )
            return
        except (TypeError, ValueError):
            raise  # an option that Ray does not take
        except Exception as error:  # Ray raises plain exceptions where a process of its own is late
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            ray.shutdown()
            _end_processes_of(options["_temp_dir"])
            if pause_s is None:
                load = os.getloadavg()[0]
                raise RaySessionError(
                    f"Ray did not start in {len(_PAUSES_S) + 1} tries: {reason[:300]} The load of this machine is "
                    f"{load:.0f} on {os.cpu_count()} cores; try again when it is less busy, or with more memory"
                ) from error
            logger.warning("Ray is not up yet and is started again in %g s, without its dashboard: %s", pause_s, reason)
        dashboard = False
        time.sleep(pause_s)


def _end_processes_of(folder: str) -> None:
    """Stop the processes left by a failed start, which Ray would stop only when this process ends."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any(folder in word for word in child.cmdline()):
                child.kill()


@contextmanager
def own_signal_handlers(*numbers: int) -> Iterator[None]:
    """Keep this process's signal handlers, since Ray's own only raise SystemExit."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ray leaves them alone there, and so must we
        return
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)


def _remove(folder: Path) -> None:
    """Remove Ray's folder, retrying while its last processes still write into it."""
    deadline = time.monotonic() + _LAST_WRITES_S
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.1)


def _describe(*, started_here: bool) -> RaySession:
    import ray

    context = ray.get_runtime_context()
    url = ray._private.worker.get_dashboard_url()
    return RaySession(context.gcs_address, f"http://{url}" if url else None, started_here)


def authentication() -> dict[str, str]:
    """Use one token for all that join: the environment's, or a new one."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return {"RAY_AUTH_MODE": "token"}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _refresh_authentication() -> None:
    """Make Ray read the environment's mode and token again, which it caches at import.

    Ray's own ``enable_token_auth_by_default`` does the same; there is no public door for it (ray 2.60).
    """
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _loopback_constant() -> Iterator[None]:
    """Let this process, which may have imported Ray long ago, read `_LOOPBACK_ONLY` as well."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _short_temp_dir() -> Path:
    tried = [os.environ.get("RAY_TMPDIR"), tempfile.gettempdir(), "/tmp"]
    for parent in tried:
        if parent and len(parent) <= _MAX_TEMP_DIR and os.access(parent, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="ray-", dir=parent))
    raise RaySessionError(
        f"no writable temporary directory with a path of at most {_MAX_TEMP_DIR} characters: set RAY_TMPDIR to one"
    )


@contextmanager
def environment_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for this process and its children while the block runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
