"""Node-local scratch: calculations run on a disk of the node, and their files are copied back to the launch folder.

custodian copies them back if Python ends normally. Other endings are handled here: before a signal takes effect, by
copying; for a kill, by copies of the main outputs every few minutes and by the next calculation on that node, which
copies the rest.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO

from monty.tempfile import ScratchDir

from workflows.command_line import unset_message, unset_variables
from workflows.engine import EngineError, node_settings
from workflows.settings import DftSettings

logger = logging.getLogger(__name__)

#: Files copied while a calculation runs, for restarts, the ledger and people.
_OUTPUTS = ("CONTCAR", "OUTCAR", "OSZICAR", "vasprun.xml", "vasp.out", "std_err.txt", "custodian.json", "INCAR")
_COPY_EVERY_S = 300.0
_PREFIX = "esnet-campaign-"
#: Names the launch folder; its lock shows whether the process that made it is alive.
_OWNER = "launch_folder"
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: A folder without this file is just being made, or its process was killed at that moment.
_BEING_MADE_S = 3600.0


def scratch_root(settings: DftSettings, *, make: bool = True) -> Path | None:
    """Return the folder on this machine in which calculations run; None for their launch folders.

    It is the campaign's ``dft.scratch``, otherwise atomate2's CUSTODIAN_SCRATCH_DIR on this machine.

    Parameters
    ----------
    make
        Whether to create it; if False, only check whether that is possible.

    Raises
    ------
    EngineError
        If the folder cannot be used here.
    """
    text = settings.scratch or node_settings().CUSTODIAN_SCRATCH_DIR
    if not text:
        return None
    named = f"the scratch folder {text!r}"
    if unset := unset_variables(text):
        raise EngineError(f"{named}: {unset_message(unset)}")
    folder = Path(os.path.expanduser(os.path.expandvars(text)))
    if not folder.is_absolute():
        raise EngineError(f"{named} is a relative path; right: an absolute one, or a variable, e.g. $TMPDIR")
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        there = next(place for place in (folder, *folder.parents) if place.exists())
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise EngineError(f"{named} cannot be written to on this machine: {error.strerror} ({folder})") from None
    return folder


@contextlib.contextmanager
def node_scratch(root: Path | None, launch: Path, *, every_s: float = _COPY_EVERY_S) -> Iterator[str | None]:
    """Yield a folder on this node for the calculation of a launch folder, for custodian; None without scratch.

    Parameters
    ----------
    root
        Parent folder. If None, no scratch.
    launch
        Launch folder, to which files are copied back.
    every_s
        Time between copies of the main outputs, in s.
    """
    if root is None:
        yield None
        return
    _bring_back_lost(root)
    # from an earlier launch in this folder, on another node or a disk that was emptied since
    (launch / ScratchDir.SCR_LINK).unlink(missing_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    with (folder / _OWNER).open("w", encoding="utf-8") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        owner.write(str(launch))
        owner.flush()
        stop = threading.Event()
        copies = threading.Thread(target=_copy_every, args=(folder, launch, every_s, stop), daemon=True)
        copies.start()
        try:
            with _copied_on_signals(folder, launch):
                yield str(folder)
        finally:
            stop.set()
            copies.join()
            # usually done by custodian
            if _bring_back(folder, launch):
                shutil.rmtree(folder, ignore_errors=True)


def _bring_back_lost(root: Path) -> None:
    """Copy back the files that killed processes of this user left on this node."""
    for folder in root.glob(f"{_PREFIX}*"):
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            with (folder / _OWNER).open(encoding="utf-8") as owner:
                if not _is_free(owner):
                    continue
                launch = Path(owner.read())
                if _bring_back(folder, launch):
                    logger.info("brought back from %s what a killed calculation of %s had left", folder, launch)
                    shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > _BEING_MADE_S:
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            logger.warning("%s cannot be brought back: %s", folder, error)


def _is_free(owner: IO[str]) -> bool:
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _run_folder(folder: Path, launch: Path) -> Path | None:
    """Return custodian's folder for that launch, from the link that it makes there and removes after copying back."""
    link = launch / ScratchDir.SCR_LINK
    try:
        target = link.readlink()
    except OSError:
        return None
    return target if target.parent == folder and target.is_dir() else None


def _bring_back(folder: Path, launch: Path) -> bool:
    """Copy everything back to the launch folder; return False on failure, so that it must be kept."""
    if not launch.is_dir():
        return launch.parent.is_dir()  # deleted, or its disk is currently unavailable
    run = _run_folder(folder, launch)
    if run is None:
        return True
    try:
        shutil.copytree(run, launch, dirs_exist_ok=True)
        (launch / ScratchDir.SCR_LINK).unlink(missing_ok=True)
    except (OSError, shutil.Error) as error:
        logger.warning("the files of %s stay in %s: %s", launch, run, error)
        return False
    return True


def _copy_every(folder: Path, launch: Path, every_s: float, stop: threading.Event) -> None:
    while not stop.wait(every_s):
        if (run := _run_folder(folder, launch)) is not None:
            for name in _OUTPUTS:
                with contextlib.suppress(OSError):
                    _copy_output(run / name, launch / name)


def _copy_output(source: Path, target: Path) -> None:
    """Copy a possibly growing output unless the launch folder has a copy as recent; custodian copies last."""
    written = source.stat().st_mtime
    if target.exists() and target.stat().st_mtime >= written:
        return
    unfinished = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, unfinished)
        os.utime(unfinished, (written, written))
        if source.exists() and not (target.exists() and target.stat().st_mtime > written):
            unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _copied_on_signals(folder: Path, launch: Path) -> Iterator[None]:
    """Copy everything back before a signal takes effect; signals that raise lead to custodian's own copy."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in _SIGNALS}

    def on_signal(number: int, frame: FrameType | None) -> None:
        before = previous[signal.Signals(number)]
        signal.signal(number, before)
        _bring_back(folder, launch)
        if callable(before):
            before(number, frame)
        else:
            os.kill(os.getpid(), number)

    taken = [number for number in _SIGNALS if _would_end(previous[number])]
    for number in taken:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, previous[number])


def _would_end(handler: object) -> bool:
    return handler not in (None, signal.SIG_IGN, signal.default_int_handler)
