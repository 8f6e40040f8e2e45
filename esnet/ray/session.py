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
#: Pauses before retries to start Ray, s, since processes on a loaded machine may need longer than Ray waits for them.
_PAUSES_S = (5.0, 15.0, 45.0)
_OBJECT_STORE_BYTES = 512 * 2**20  # shared memory of a Ray that is started here; the excess goes to disk
# On Linux, Ray uses the external address of the machine even if told to use 127.0.0.1, and then listens on all
# interfaces. This switch (meant for firewall prompts on other systems) keeps it on loopback (seen in Ray 2.60).
_LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# Ray runs its workers at niceness 15. With DFT on all cores, a Screen or a training would then be starved by the DFT
# calculations that wait for it: 63 s became 357 s in a test on 2 cores.
_NICENESS = {"RAY_worker_niceness": "0"}
# the second will become Ray's default; without it, each start warns of the change
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
        Address of its dashboard; None if there is none.
    started_here
        Whether it was started here, and thus ends with the block.
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

    If the process is already connected, it remains so, and nothing is started or stopped. Otherwise the Ray at
    ``address`` (or at RAY_ADDRESS, or the cluster of this SLURM job, see `esnet.ray.allocation`) is joined, and left at
    the end of the block. If there is none, Ray is started on this machine, on loopback, with token authentication and
    its files in a temporary directory with a short path, and is stopped at the end of the block.

    Parameters
    ----------
    address
        ``host:port`` of a running Ray; ``local`` starts one even if RAY_ADDRESS is set.
    name
        Name of this process as a job in Ray's dashboard (``job_name`` in the metadata).
    num_cpus, num_gpus
        Number of CPUs and GPUs for a Ray that is started here. If None, those that Ray finds.
    dashboard
        Whether a Ray that is started here gets a dashboard, on loopback.

    Yields
    ------
    RaySession
        The Ray that this process is connected to.

    Raises
    ------
    RaySessionError
        If the Ray at the address cannot be joined.

    Notes
    -----
    If Ray is started here, a token is created unless the environment has one, and RAY_AUTH_MODE and RAY_AUTH_TOKEN are
    set while the block runs, so that child processes can join; nothing is written to the home directory. To join a
    running Ray, its token must be in the environment (RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH); for the cluster of this
    SLURM job, it is read from the file next to that of the address.
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
    """Return the environment variables needed to join Ray that are not set yet."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        # Ray ignores a token unless the mode is set
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
        # Ray's authentication errors are RuntimeErrors too
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
        If no attempt succeeds.
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
            raise  # an option that Ray does not accept
        except Exception as error:  # Ray raises plain exceptions if one of its processes is late
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
    """Keep the signal handlers of this process, since those of Ray only raise SystemExit."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers cannot be set in this thread, neither by Ray nor here
        return
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)


def _remove(folder: Path) -> None:
    """Remove Ray's folder, retrying while its last processes still write to it."""
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
    """Return variables with one token for all processes that join: the one in the environment, or a new one."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return {"RAY_AUTH_MODE": "token"}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _refresh_authentication() -> None:
    """Make Ray reread mode and token from the environment, which it caches at import.

    Ray's ``enable_token_auth_by_default`` does the same, but has no public interface (Ray 2.60).
    """
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _loopback_constant() -> Iterator[None]:
    """Apply `_LOOPBACK_ONLY` also to this process, which may already have imported Ray."""
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
