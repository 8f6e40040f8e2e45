"""One FireWorks worker process of this machine: ``python -m launchers.workers.worker``.

Unlike ``rlaunch rapidfire``, it never outlives the process that started it or a launch that raises, and terminates its
calculation when it ends. Its firework then stays RUNNING in the LaunchPad, with the process in the fworker's name, so
that others can determine that it is gone. While the database is unavailable it waits, including with the results of a
firework.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import launch_rocket
from fireworks.utilities.fw_utilities import create_datestamp_dir
from pymongo.errors import PyMongoError

from launchers.database.patience import is_outage
from launchers.database.patient_launchpad import PatientLaunchPad
from launchers.database.settings import DatabaseSettings
from launchers.workers.process_identity import this_process
from launchers.workers.project_worker import CampaignWorker

logger = logging.getLogger(__name__)

_NAME_PREFIX = "local-worker"
_PARENT_POLL_S = 0.5
_IDLE_SLEEP_S = 0.5
_DATABASE_RETRY_S = 2.0
#: Exit code of a worker that lost the database while taking or completing a firework (EX_TEMPFAIL).
LOST_DATABASE = 75


def worker_name() -> str:
    """Return this process's fworker name: host, process id, boot and start time, which together are unique."""
    process = this_process()
    return f"{_NAME_PREFIX} {process['host']} {process['pid']} {process['boot_id']}/{process['pid_ticks']}"


def process_of(name: str) -> dict[str, Any] | None:
    """Return the process in an fworker's name; None for other fworkers."""
    if not name.startswith(f"{_NAME_PREFIX} "):
        return None
    host, pid, started = name.removeprefix(f"{_NAME_PREFIX} ").rsplit(" ", 2)
    boot_id, slash, ticks = started.partition("/")
    if not slash:  # a worker of version 0.1
        return {"host": host, "pid": int(pid), "pid_created": float(started)}
    return {"host": host, "pid": int(pid), "boot_id": boot_id, "pid_ticks": int(ticks)}


def _end_now(exit_code: int) -> None:
    """Terminate this process and all processes it started, immediately."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    os._exit(exit_code)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    logger.warning("the process %d that started this worker is gone: ending", parent)
    _end_now(1)


def _on_signal(number: int, _frame: FrameType | None) -> None:
    _end_now(128 + number)


def _work(launchpad_file: Path, directory: Path, *, query: dict[str, object] | None, until_empty: bool) -> None:
    """Launch matching fireworks one after the other, in launch directories inside ``directory``.

    With ``until_empty``, return when nothing is ready instead of waiting.
    """
    launchpad = DatabaseSettings.from_file(launchpad_file).launchpad(kind=PatientLaunchPad)
    fworker = CampaignWorker(name=worker_name(), query=query)
    fireworks_log = logging.getLogger("launchers.workers.worker.fireworks")
    while True:
        try:
            something_is_ready = launchpad.run_exists(fworker)
        except PyMongoError as error:
            logger.warning("database not answering, trying again: %s", type(error).__name__)
            time.sleep(_DATABASE_RETRY_S)
            continue
        if something_is_ready:
            os.chdir(create_datestamp_dir(str(directory), fireworks_log, prefix="launcher_"))
            _launch(launchpad, fworker)
            os.chdir(directory)
            continue
        if until_empty:
            return
        time.sleep(_IDLE_SLEEP_S)


def _launch(launchpad: LaunchPad, fworker: FWorker) -> None:
    """Run one firework; an error in FireWorks itself ends this process.

    It leaves the firework RUNNING, and `campaign reconcile` can then determine that its process is gone.
    An exception alone would not end the process: FireWorks' ping thread sleeps for an hour.
    """
    try:
        launch_rocket(launchpad, fworker, strm_lvl="INFO")
    except BaseException as error:  # noqa: BLE001 this process ends
        code = LOST_DATABASE if is_outage(error) else 1
        try:
            logger.warning("FireWorks could not end a launch: this worker ends", exc_info=code == 1)
        finally:  # logging itself may have failed: a full disk
            _end_now(code)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``python -m launchers.workers.worker``."""
    parser = argparse.ArgumentParser(prog="python -m launchers.workers.worker", description=__doc__)
    parser.add_argument("--launchpad", type=Path, required=True, help="my_launchpad.yaml")
    parser.add_argument("--directory", type=Path, required=True, help="where launch directories are made")
    parser.add_argument("--query", type=json.loads, default=None, help="MongoDB filter on fireworks, as JSON")
    parser.add_argument("--parent", type=int, default=None, help="end when this process is gone")
    parser.add_argument("--until-empty", action="store_true", help="end when nothing is ready")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    if options.parent is not None:
        threading.Thread(target=_watch_parent, args=(options.parent,), daemon=True).start()
    _work(
        options.launchpad.resolve(), options.directory.resolve(), query=options.query, until_empty=options.until_empty
    )


if __name__ == "__main__":
    main()
