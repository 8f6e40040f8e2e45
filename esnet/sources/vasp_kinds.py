"""Determine the kind of calculation of a VASP run from its tags."""

import math
from typing import Literal

from esnet.sources.vasp_dos import VaspRun

RunKind = Literal[
    "static",
    "relaxation",
    "non-self-consistent",
    "band structure",
    "molecular dynamics",
    "phonons or response",
    "transition state",
    "many-body",
]

GIVES_DOS = frozenset[RunKind]({"static", "non-self-consistent", "relaxation"})
"""Kinds of runs whose DOS can be used; `esnet.sources.vasp_folder` decides which are."""

_RELAX = (1, 2, 3)
_MANY_BODY = ("CHI", "GW", "G0W0", "EVGW", "QPGW", "SCGW", "BSE", "TDHF", "TIMEEV", "ACFDT", "RPA", "CRPA")
_FORCE_MARGIN = 1.02
"""Tolerance factor, since VASP compares more digits of the forces than it writes."""
_ROUGHLY = 3.0
"""The remaining energy is an estimate: below this multiple of EDIFFG, a small last energy change suffices."""
_STILL = 0.1
"""Largest force, eV/A, for which a relaxation with one ionic step (and thus no energy change) counts as converged."""


def kind_of(run: VaspRun) -> RunKind:
    """Return the kind of calculation of a run; missing tags have VASP's default values."""
    tags = run.tags
    nsw, algorithm = whole(tags.get("NSW"), 0), str(tags.get("ALGO", "")).strip().upper()
    ibrion = whole(tags.get("IBRION"), 0 if nsw > 1 else -1)
    if ibrion in (5, 6, 7, 8) or is_true(tags.get("LEPSILON")) or is_true(tags.get("LCALCEPS")):
        return "phonons or response"
    if ibrion in (40, 44) or whole(tags.get("IMAGES"), 0) > 0:
        return "transition state"
    if algorithm.startswith(_MANY_BODY):
        return "many-body"
    if run.on_path:
        return "band structure"
    once = algorithm == "EXACT" and whole(tags.get("NELM"), 60) == 1
    if whole(tags.get("ICHARG"), 0) >= 10 or once or algorithm in ("NONE", "NOTHING", "EIGENVAL"):
        return "non-self-consistent"
    if ibrion == 0 and nsw > 0:
        return "molecular dynamics"
    return "relaxation" if ibrion in _RELAX and nsw > 1 else "static"


def not_converged(run: VaspRun) -> str | None:
    """Return why the energy of a run, or the last crystal of a relaxation, is not converged; None if it is.

    Relaxations are judged by EDIFFG. If it is negative, by the last forces. If it is positive, by the last change of
    the energy and, for conjugate gradients (IBRION = 2), by the expected further decrease of the energy, as in VASP,
    since a line search may end with a long step. With selective dynamics, forces along fixed directions are ignored.
    """
    if run.converged is False:
        return "is not converged (electronic steps reached NELM, or ionic steps NSW)"
    if kind_of(run) != "relaxation":
        return None
    tags = run.tags
    criterion = number(tags.get("EDIFFG"), 10 * number(tags.get("EDIFF"), 1e-4))
    force, change, left = run.largest_force, run.energy_change, run.expected_change
    steps = f"relaxation stopped before it converged, after {run.n_steps} of at most {tags.get('NSW')} steps"
    if criterion < 0 and force is not None and not force <= -criterion * _FORCE_MARGIN:
        return (
            f"{steps}: the largest force is {force:.3f} eV/A, EDIFFG = {criterion:g} asks for less than {-criterion:g}"
        )
    if criterion > 0 and change is not None:
        if left is not None and whole(tags.get("IBRION"), 0) == 2:
            if left > _ROUGHLY * criterion or min(left, change) > criterion:
                return f"{steps}: its energy may still fall by {left:.4f} eV, EDIFFG = {criterion:g} asks for less"
        elif change > criterion:
            return f"{steps}: the energy changed by {change:.4f} eV at last, EDIFFG = {criterion:g} asks for less"
    if criterion > 0 and change is None and force is not None and not force <= _STILL:
        return f"{steps}: the largest force is {force:.3f} eV/A, and one step shows no change of the energy"
    return None


def is_true(value: object) -> bool:
    """Return the value of a logical tag, which vaspout.h5 may store as text."""
    if isinstance(value, str):
        return value.strip(" .").upper().startswith("T")
    return bool(value)


def number(value: object, default: float) -> float:
    """Return the value of a tag, or the default if it is missing or overflowed its column (``****``)."""
    try:
        found = float(value) if value is not None else default  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return default
    return found if math.isfinite(found) else default


def whole(value: object, default: int) -> int:
    """Return a tag as an integer, like `number`."""
    return int(number(value, default))
