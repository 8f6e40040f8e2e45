"""Prevent settings in a user's home and environment from changing the physics of a campaign file.

atomate2 reads ``~/.atomate2.yaml`` and ``ATOMATE2_...``. Of these, the tags in `PARALLEL`, the command and the scratch
folder, which depend on the machine, are used; everything else is fixed by this program. The settings used and those
left out are recorded with each attempt.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.inputs.incar_tags import PARALLEL, Door, IncarTagError, check_tag
from workflows.settings import Engine

if TYPE_CHECKING:
    from jobflow import Job

PASSES = frozenset({"VASP_CMD", "VASP_GAMMA_CMD", "CUSTODIAN_SCRATCH_DIR"})
"""Settings of atomate2 for paths and commands of a machine, which are used unchanged."""

MAX_ERRORS = 5
"""Number of errors that custodian corrects before it gives up, atomate2's default."""

_FIXED: dict[str, Any] = {
    "SYMPREC": 0.1,
    "BANDGAP_TOL": 1e-4,
    "VASP_INCAR_UPDATES": {},
    "VASP_VOLUME_CHANGE_WARNING_TOL": 0.2,
    "VASP_HANDLE_UNSUCCESSFUL": "error",
    "VASP_CUSTODIAN_MAX_ERRORS": MAX_ERRORS,
    "VASP_STORE_VOLUMETRIC_DATA": None,
    "VASP_STORE_ADDITIONAL_JSON": False,
    "VASP_RUN_BADER": False,
    "VASP_RUN_DDEC6": False,
    "DDEC6_ATOMIC_DENSITIES_DIR": None,
    # only VASP's files: compressing everything would remove the firework's own
    "VASP_ZIP_FILES": "atomate",
    "VASP_INHERIT_INCAR": False,
    # features are made from pymatgen's DOS
    "VASP_USE_EMMET_MODELS": False,
}
"""Values, the same for every campaign, of atomate2's other settings that a VASP job reads."""

_WITHOUT_ARGUMENT = ("VASP_ZIP_FILES",)
"""Those that atomate2's jobs read at run time, without an argument for them."""

_users: dict[str, Any] = {}
"""The user's values of these settings while `fixed_settings` replaces them."""

TASK_DOCUMENT = {
    **{"store_additional_json": False, "store_volumetric_data": None, "volume_change_warning_tol": 0.2},
    **{"run_bader": False, "run_ddec6": False, "use_emmet_models": False},
}
"""How outputs are parsed (emmet's TaskDoc), independent of atomate2's and emmet's settings."""

INPUT_SET = {"sym_prec": 0.1, "bandgap_tol": 1e-4, "inherit_incar": False}
"""Arguments that atomate2's input sets would otherwise take from its settings."""


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Requests of atomate2's settings on this machine.

    Attributes
    ----------
    incar
        Tags of VASP_INCAR_UPDATES that are used.
    left_out
        Settings, and tags of VASP_INCAR_UPDATES, that are not.
    """

    incar: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return both in a form that MongoDB stores."""
        left_out = [f"{name}: {value!r}"[:200] for name, value in self.left_out.items()]
        return {"passed": self.incar, "left_out": left_out}


def outside(engine: Engine, *, given: Collection[str] = ()) -> Outside:
    """Read the requests of atomate2's settings on this machine.

    Parameters
    ----------
    engine
        Program that reads the tags.
    given
        Tags in the campaign file, which override the machine's.
    """
    from atomate2 import SETTINGS

    passed: dict[str, Any] = {}
    left_out: dict[str, Any] = {}
    # NCORE and NPAR mean the same, so one in the campaign file also replaces the other
    taken = {*given, *({"NCORE", "NPAR"} if {"NCORE", "NPAR"}.intersection(given) else ())}
    for name, value in SETTINGS.VASP_INCAR_UPDATES.items():
        tag = str(name).upper()
        try:
            if tag not in PARALLEL or tag in taken:
                raise IncarTagError("not the machine's to say")
            passed[tag] = check_tag(tag, value, Door(retry=False, gpaw=engine == "gpaw"))
        except IncarTagError:
            left_out[f"VASP_INCAR_UPDATES.{tag}"] = value
    if {"NCORE", "NPAR"} <= passed.keys():  # they mean the same to VASP
        left_out["VASP_INCAR_UPDATES.NPAR"] = passed.pop("NPAR")
    for name, fixed in _FIXED.items():
        value = _users.get(name, getattr(SETTINGS, name))
        if name != "VASP_INCAR_UPDATES" and value != fixed:
            left_out[name] = value
    # our own defaults that differ from atomate2's do not count, only the user's settings
    left_out = {name: value for name, value in left_out.items() if name.partition(".")[0] in SETTINGS.model_fields_set}
    return Outside(incar=passed, left_out=left_out)


def has_settings_file() -> bool:
    """Whether atomate2 may find settings here; otherwise its import, which takes seconds, can be avoided."""
    named = any(name.upper().startswith("ATOMATE2_") for name in os.environ)
    return named or Path("~/.atomate2.yaml").expanduser().exists()


@contextmanager
def fixed_settings() -> Iterator[None]:
    """Replace the user's settings that atomate2's jobs read at run time by the fixed ones."""
    from atomate2 import SETTINGS

    said = set(SETTINGS.model_fields_set)
    _users.update({name: getattr(SETTINGS, name) for name in _WITHOUT_ARGUMENT})
    try:
        for name in _WITHOUT_ARGUMENT:
            setattr(SETTINGS, name, _FIXED[name])
        yield
    finally:
        for name in _WITHOUT_ARGUMENT:
            setattr(SETTINGS, name, _users.pop(name))
        SETTINGS.__pydantic_fields_set__ &= said  # a later check must not mistake our value for the user's


def store_large_objects(job: Job) -> None:
    """Put the DOS of a VASP job into the JobStore's store of large objects, regardless of atomate2's settings.

    atomate2 decides this at import, from VASP_USE_EMMET_MODELS, and a DOS in the document itself exceeds MongoDB's
    limit.
    """
    from pymatgen.electronic_structure.dos import DOS, CompleteDos, Dos

    # jobflow has no public way to change it: it is set by the decorator of atomate2's makers
    kinds = list(job._kwargs.get("data") or [])
    job._kwargs["data"] = [*kinds, *(kind for kind in (DOS, Dos, CompleteDos) if kind not in kinds)]
