"""Keep Ray running for the length of a run: start it, watch it, and restart it at the same address if it dies."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from esnet.ray.session import RaySession, RaySessionError, authentication, environment_variables, ray_session

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
#: Pauses before successive restarts, s; the sequence starts again once Ray has run for `_SOUND_S`.
_PAUSES_S = (0.0, 10.0, 30.0, 120.0)
_SOUND_S = 1800.0
#: Processes that Ray requires; it survives the death of its dashboard.
_VITAL = ("raylet", "gcs_server")


@contextmanager
def keep_ray(
    *, dashboard: bool, on_change: Callable[[str], None], on_restart: Callable[[RaySession], None] = lambda _: None
) -> Iterator[RaySession]:
    """Start Ray on this machine and keep it running inside the block.

    Parameters
    ----------
    dashboard
        Whether to start its dashboard, on loopback.
    on_change
        Called from another thread with a sentence when Ray has died, which says whether it will be restarted.
    on_restart
        Called from another thread with the session that replaces one that died; its dashboard may have another
        address.

    Yields
    ------
    RaySession
        The session, whose address and token (RAY_AUTH_TOKEN) stay the same after a restart. Once `_PAUSES_S` is used
        up, Ray is not restarted, and steps that need it fail with a message.
    """
    kept = _KeptRay(dashboard, on_change, on_restart)
    with environment_variables(authentication()), _quiet_driver():
        session = kept.start()
        port = session.address.rpartition(":")[2]
        watcher = threading.Thread(target=kept.watch, args=(port,), name="keep-ray", daemon=True)
        watcher.start()
        try:
            yield session
        finally:
            kept.over.set()
            watcher.join()
            kept.end()


@contextmanager
def _quiet_driver() -> Iterator[None]:
    """Suppress the last log lines of a dead raylet in Ray's driver, which do not help a user."""
    from ray._private import worker

    def log(data: Any, *_: Any, **__: Any) -> None:
        logger.debug("Ray says: %s", data)

    before = worker.print_to_stdstream
    worker.print_to_stdstream = log
    try:
        yield
    finally:
        worker.print_to_stdstream = before


class _KeptRay:
    def __init__(
        self, dashboard: bool, on_change: Callable[[str], None], on_restart: Callable[[RaySession], None]
    ) -> None:
        self.over = threading.Event()
        self._dashboard = dashboard
        self._on_change = on_change
        self._on_restart = on_restart
        self._block: AbstractContextManager[RaySession] | None = None

    def start(self) -> RaySession:
        block = ray_session("local", dashboard=self._dashboard)
        session = block.__enter__()
        self._block = block
        return session

    def end(self) -> None:
        block, self._block = self._block, None
        if block is not None:
            block.__exit__(None, None, None)

    def watch(self, port: str) -> None:
        """Restart Ray at this port whenever it dies, after increasing pauses."""
        pauses, started = list(_PAUSES_S), time.monotonic()
        while not self.over.wait(_LOOK_S):
            if (died := _dead_process()) is None:
                continue
            if time.monotonic() - started > _SOUND_S:
                pauses = list(_PAUSES_S)
            self.end()
            if not pauses:
                self._on_change(
                    f"it has died {len(_PAUSES_S) + 1} times ({died}) and is not restarted: check the memory and the "
                    "space in its temporary directory. Stop the run (Ctrl-C) and start it again when there is enough"
                )
                return
            pause = pauses.pop(0)
            self._on_change(f"it has died ({died}) and is started again" + (f" in {pause:.0f} s" if pause else ""))
            if self.over.wait(pause):
                return
            try:
                with environment_variables({"RAY_GCS_SERVER_PORT": port}):
                    session = self.start()
            except RaySessionError as error:
                self._on_change(str(error))
            else:
                self._on_restart(session)
            started = time.monotonic()


def _dead_process() -> str | None:
    """Return a description of a required Ray process that has ended, or None if all are running."""
    from ray._private import worker

    node = worker._global_node
    if node is None:
        return "it did not start"
    dead = [(kind, process) for kind, process in node.dead_processes() if kind in _VITAL]
    return f"its {dead[0][0]} ended with code {dead[0][1].returncode}" if dead else None
