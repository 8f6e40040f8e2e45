"""custodian's error handlers, prevented from ending a run that they cannot correct.

A handler ends a run when it has no correction left. Many of VASP's messages have one or two corrections (LREAL=False,
PREC=Accurate), which the campaign's INCAR contains from the start, and many are warnings: VASP continues and converges.
"""

import copy
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from custodian.custodian import ErrorHandler
from custodian.utils import backup
from custodian.vasp.handlers import VASP_BACKUP_FILES, FrozenJobErrorHandler, StdErrHandler, VaspErrorHandler
from custodian.vasp.interpreter import VaspModder
from custodian.vasp.io import load_vasprun
from pymatgen.io.vasp import Incar, Kpoints, Poscar

from workflows.engine_ending import cause_of_ending, exit_code_here
from workflows.whole_files import WholeFilesValidator

logger = logging.getLogger(__name__)

_CHANGED = ("INCAR", "KPOINTS", "POSCAR")
#: Handlers of messages, whose findings need not prevent convergence.
_OF_MESSAGES = (VaspErrorHandler, StdErrHandler)
#: Endings of a run that are not explained by other causes.
_OWN_ENDINGS = frozenset({None, "engine_crash", "input_refused"})


class RemedyHandler(ErrorHandler):  # type: ignore[misc, unused-ignore]
    """Wrapper of a custodian handler that reports an error only if its correction would change something.

    Parameters
    ----------
    handler
        The custodian handler.
    """

    def __init__(self, handler: ErrorHandler) -> None:
        self.handler = handler
        self.is_monitor = handler.is_monitor
        self.is_terminating = handler.is_terminating
        self.raises_runtime_error = handler.raises_runtime_error
        self._helpless: list[str] = []
        self._has_acted = False

    def __repr__(self) -> str:
        """Return the name of custodian's handler, which custodian writes into its errors."""
        return type(self.handler).__name__

    @property
    def helpless_codes(self) -> list[str]:
        """Codes of the errors found by the last `check` that it cannot correct."""
        return self._helpless

    @property
    def has_acted(self) -> bool:
        """Whether it has corrected something since the last `check`."""
        return self._has_acted

    def check(self, directory: str = "./") -> bool:
        """Whether there is an error with a correction that would change something."""
        known, self._has_acted, self._helpless = self._helpless, False, []
        if not self.handler.check(directory=directory):
            return False
        codes, changes = _tried_out(self.handler, Path(directory))
        if not changes:
            self._helpless = codes
        if self._helpless != known and self._helpless:  # a run is checked every few minutes
            logger.warning("%s: found %s, which cannot be corrected further", self, ", ".join(codes))
        return changes

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Correct the error with custodian's handler."""
        self._has_acted = True
        done: dict[str, Any] = self.handler.correct(directory=directory)
        return done


class LastResortHandler(ErrorHandler):  # type: ignore[misc, unused-ignore]
    """Handles, at the end of a run, the errors that custodian's handlers cannot correct.

    With a complete and converged output they are only warnings. Otherwise another ALGO is tried once if messages
    concern the electronic minimisation; then the run ends with their codes.

    Parameters
    ----------
    handlers
        Handlers called before this one.
    """

    is_monitor = False

    def __init__(self, handlers: Sequence[RemedyHandler]) -> None:
        self.handlers = list(handlers)
        self._has_tried = False

    def __repr__(self) -> str:
        """Return the names of the handlers whose findings were not corrected."""
        return " and ".join(repr(handler) for handler in self._helpless()) or type(self).__name__

    def _helpless(self) -> list[RemedyHandler]:
        return [handler for handler in self.handlers if handler.helpless_codes]

    def check(self, directory: str = "./") -> bool:
        """Whether such an error stopped the run."""
        if not self._helpless() or any(handler.has_acted for handler in self.handlers) or _ended_well(directory):
            return False
        # a killed run, or one without memory or disk space, is recognised by its exit code and moved to another machine
        return cause_of_ending(Path(directory), exit_code_here()) in _OWN_ENDINGS

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Try another ALGO once."""
        helpless = self._helpless()
        codes = [code for handler in helpless for code in handler.helpless_codes]
        of_messages = any(isinstance(handler.handler, _OF_MESSAGES) for handler in helpless)
        if self._has_tried or not of_messages or not _has_electronic_step(Path(directory)):
            return {"errors": codes, "actions": None}
        self._has_tried = True
        incar = Incar.from_file(os.path.join(directory, "INCAR"))
        algo = str(incar.get("ALGO", "Normal")).lower()[:1]
        # ALGO=All is incompatible with the tetrahedron method
        other = "All" if incar.get("ISMEAR", 1) >= 0 and algo not in "ac" else "Fast" if algo == "n" else "Normal"
        actions = [{"dict": "INCAR", "action": {"_set": {"ALGO": other}}}]
        backup(VASP_BACKUP_FILES, directory=directory)
        VaspModder(directory=directory).apply_actions(actions)
        return {"errors": codes, "actions": actions}


def error_handlers() -> tuple[ErrorHandler, ...]:
    """Return atomate2's error handlers, none of which ends a run that it cannot correct.

    They are new each time, since they count their corrections and a worker computes several crystals.
    """
    from atomate2.vasp.run import DEFAULT_HANDLERS

    # a job frozen for hours will not recover
    frozen = [handler for handler in DEFAULT_HANDLERS if isinstance(handler, FrozenJobErrorHandler)]
    others = [handler for handler in DEFAULT_HANDLERS if not isinstance(handler, FrozenJobErrorHandler)]
    wrapped = [RemedyHandler(copy.deepcopy(handler)) for handler in others]
    return (*wrapped, *map(copy.deepcopy, frozen), LastResortHandler(wrapped))


def _tried_out(handler: ErrorHandler, folder: Path) -> tuple[list[str], bool]:
    """Return the error codes of a handler's correction, and whether it would change anything, without affecting the
    run.
    """
    with tempfile.TemporaryDirectory(prefix="correction-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the correction itself repeats them
        there = Path(scratch)
        for path in folder.iterdir():
            if path.name in _CHANGED:
                shutil.copyfile(path, there / path.name)
            elif path.is_file():
                (there / path.name).symlink_to(path.resolve())
        names = {path.name for path in there.iterdir()}
        done = copy.deepcopy(handler).correct(directory=scratch)
        codes = [str(code) for code in done.get("errors") or []]
        if not done.get("actions"):
            return codes, False
        removed = any(not os.path.lexists(there / name) for name in names)
        return codes, removed or _inputs(folder) != _inputs(there)


def _inputs(folder: Path) -> tuple[Any, ...]:
    """Return the content that a correction may change, independent of its formatting."""
    kpoints = folder / "KPOINTS"
    return (
        dict(Incar.from_file(folder / "INCAR")),
        Kpoints.from_file(kpoints).as_dict() if kpoints.is_file() else None,
        Poscar.from_file(folder / "POSCAR").structure,
    )


def _ended_well(directory: str) -> bool:
    """Whether the output is complete and converged."""
    if WholeFilesValidator().check(directory):
        return False
    try:
        return bool(load_vasprun(os.path.join(directory, "vasprun.xml")).converged)
    except Exception:  # noqa: BLE001 pymatgen has no exception class for unreadable files
        return False


def _has_electronic_step(folder: Path) -> bool:
    try:
        said = (folder / "OSZICAR").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return re.search(r"^\s*(?:DAV|RMM|CGA|SDA|EIG|DMP|DIA):", said, flags=re.MULTILINE) is not None
