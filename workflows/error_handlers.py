"""custodian's error handlers, without the power to end a run that they cannot help.

A handler ends a run when it has no correction left. Many of VASP's messages have one or two corrections (LREAL=False,
PREC=Accurate), which the campaign's INCAR has from the beginning, and many are warnings: VASP continues and converges.
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
#: Handlers that read messages: their findings need not keep a run from converging.
_OF_MESSAGES = (VaspErrorHandler, StdErrHandler)
#: Ends of a run that its messages do not explain.
_OWN_ENDINGS = frozenset({None, "engine_crash", "input_refused"})


class RemedyHandler(ErrorHandler):  # type: ignore[misc, unused-ignore]
    """One of custodian's handlers, which finds an error only where its correction would change something.

    Parameters
    ----------
    handler
        custodian's.
    """

    def __init__(self, handler: ErrorHandler) -> None:
        self.handler = handler
        self.is_monitor = handler.is_monitor
        self.is_terminating = handler.is_terminating
        self.raises_runtime_error = handler.raises_runtime_error
        self._helpless: list[str] = []
        self._has_acted = False

    def __repr__(self) -> str:
        """Name of custodian's handler: custodian writes it into its errors."""
        return type(self.handler).__name__

    @property
    def helpless_codes(self) -> list[str]:
        """Codes of the errors that the last `check` found and can do nothing about."""
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
        if self._helpless != known and self._helpless:  # a run is looked at every few minutes
            logger.warning("%s: found %s, which cannot be corrected further", self, ", ".join(codes))
        return changes

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Correct it, as custodian's handler does."""
        self._has_acted = True
        done: dict[str, Any] = self.handler.correct(directory=directory)
        return done


class LastResortHandler(ErrorHandler):  # type: ignore[misc, unused-ignore]
    """Looks at the end of a run at the errors that custodian's handlers can do nothing about.

    A complete and converged output makes warnings of them. Otherwise another ALGO is tried once, where messages of the
    electronic minimisation are the trouble; then the run ends with their codes.

    Parameters
    ----------
    handlers
        Those that have looked before.
    """

    is_monitor = False

    def __init__(self, handlers: Sequence[RemedyHandler]) -> None:
        self.handlers = list(handlers)
        self._has_tried = False

    def __repr__(self) -> str:
        """Names of the handlers whose findings it could not correct."""
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
        """Try another ALGO, once."""
        helpless = self._helpless()
        codes = [code for handler in helpless for code in handler.helpless_codes]
        of_messages = any(isinstance(handler.handler, _OF_MESSAGES) for handler in helpless)
        if self._has_tried or not of_messages or not _has_electronic_step(Path(directory)):
            return {"errors": codes, "actions": None}
        self._has_tried = True
        incar = Incar.from_file(os.path.join(directory, "INCAR"))
        algo = str(incar.get("ALGO", "Normal")).lower()[:1]
        # ALGO=All and tetrahedra do not go together
        other = "All" if incar.get("ISMEAR", 1) >= 0 and algo not in "ac" else "Fast" if algo == "n" else "Normal"
        actions = [{"dict": "INCAR", "action": {"_set": {"ALGO": other}}}]
        backup(VASP_BACKUP_FILES, directory=directory)
        VaspModder(directory=directory).apply_actions(actions)
        return {"errors": codes, "actions": actions}


def error_handlers() -> tuple[ErrorHandler, ...]:
    """atomate2's error handlers, none of which ends a run that it cannot help.

    New ones each time: they count what they have corrected, and a worker computes one crystal after another.
    """
    from atomate2.vasp.run import DEFAULT_HANDLERS

    # of a job that has stood still for hours nothing is to be hoped for
    frozen = [handler for handler in DEFAULT_HANDLERS if isinstance(handler, FrozenJobErrorHandler)]
    others = [handler for handler in DEFAULT_HANDLERS if not isinstance(handler, FrozenJobErrorHandler)]
    wrapped = [RemedyHandler(copy.deepcopy(handler)) for handler in others]
    return (*wrapped, *map(copy.deepcopy, frozen), LastResortHandler(wrapped))


def _tried_out(handler: ErrorHandler, folder: Path) -> tuple[list[str], bool]:
    """Error codes of a handler's correction, and whether it would change anything; the run itself is left alone."""
    with tempfile.TemporaryDirectory(prefix="correction-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the correction itself says them again
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
    """What a correction may change, in a form that does not depend on how it is written."""
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
