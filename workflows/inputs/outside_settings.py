"""Keeps settings in a user's home and environment from changing the physics of a campaign file.

atomate2 reads ``~/.atomate2.yaml`` and ``ATOMATE2_...``. Of these the tags in `PARALLEL` pass, which say how a machine
is used, and the command and the scratch folder, which say where; everything else is as the product sets it. The
settings used and those left out are recorded with each attempt.
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
"""atomate2's settings that say where something lies on a machine; they pass as they are."""

MAX_ERRORS = 5
"""Errors that custodian corrects before it gives up, atomate2's default."""

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
    # only files of VASP: compressing everything would take the firework's own away
    "VASP_ZIP_FILES": "atomate",
    "VASP_INHERIT_INCAR": False,
    # the features are made of pymatgen's DOS
    "VASP_USE_EMMET_MODELS": False,
}
"""The other settings of atomate2 that a VASP job reads, as every campaign has them."""

_WITHOUT_ARGUMENT = ("VASP_ZIP_FILES",)
"""Those of them that atomate2's jobs read when they run, and take no argument for."""

_users: dict[str, Any] = {}
"""The user's values of these settings, while `fixed_settings` replace them."""

TASK_DOCUMENT = {
    **{"store_additional_json": False, "store_volumetric_data": None, "volume_change_warning_tol": 0.2},
    **{"run_bader": False, "run_ddec6": False, "use_emmet_models": False},
}
"""How an output is read (emmet's TaskDoc), whatever atomate2's and emmet's settings are."""

INPUT_SET = {"sym_prec": 0.1, "bandgap_tol": 1e-4, "inherit_incar": False}
"""What atomate2's input sets would take from its settings."""


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What atomate2's settings on this machine ask for.

    Attributes
    ----------
    incar
        Tags of VASP_INCAR_UPDATES that pass.
    left_out
        Settings, and tags of VASP_INCAR_UPDATES, that do not.
    """

    incar: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return both in words that MongoDB stores."""
        left_out = [f"{name}: {value!r}"[:200] for name, value in self.left_out.items()]
        return {"passed": self.incar, "left_out": left_out}


def outside(engine: Engine, *, given: Collection[str] = ()) -> Outside:
    """Read what atomate2's settings on this machine ask for.

    Parameters
    ----------
    engine
        Which program reads the tags.
    given
        Tags that the campaign file has: these count, and not the machine's.
    """
    from atomate2 import SETTINGS

    passed: dict[str, Any] = {}
    left_out: dict[str, Any] = {}
    # NCORE and NPAR say the same, so one in the campaign file also takes the place of the other
    taken = {*given, *({"NCORE", "NPAR"} if {"NCORE", "NPAR"}.intersection(given) else ())}
    for name, value in SETTINGS.VASP_INCAR_UPDATES.items():
        tag = str(name).upper()
        try:
            if tag not in PARALLEL or tag in taken:
                raise IncarTagError("not the machine's to say")
            passed[tag] = check_tag(tag, value, Door(retry=False, gpaw=engine == "gpaw"))
        except IncarTagError:
            left_out[f"VASP_INCAR_UPDATES.{tag}"] = value
    if {"NCORE", "NPAR"} <= passed.keys():  # they say the same to VASP
        left_out["VASP_INCAR_UPDATES.NPAR"] = passed.pop("NPAR")
    for name, fixed in _FIXED.items():
        value = _users.get(name, getattr(SETTINGS, name))
        if name != "VASP_INCAR_UPDATES" and value != fixed:
            left_out[name] = value
    # if our own default differs from atomate2's, only the user's setting counts
    left_out = {name: value for name, value in left_out.items() if name.partition(".")[0] in SETTINGS.model_fields_set}
    return Outside(incar=passed, left_out=left_out)


def has_settings_file() -> bool:
    """Whether atomate2 may find settings here; without any, its import of some seconds is not worth it."""
    named = any(name.upper().startswith("ATOMATE2_") for name in os.environ)
    return named or Path("~/.atomate2.yaml").expanduser().exists()


@contextmanager
def fixed_settings() -> Iterator[None]:
    """Let atomate2's jobs find the product's settings in place of the user's, where they take no argument for them."""
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
    """Put the DOS of a VASP job into the JobStore's store of large objects, whatever atomate2 thinks of it.

    atomate2 decides that when it is imported, by VASP_USE_EMMET_MODELS, and a DOS in the document itself is larger
    than MongoDB takes.
    """
    from pymatgen.electronic_structure.dos import DOS, CompleteDos, Dos

    # jobflow has no public way to change it: the decorator of atomate2's makers has set it
    kinds = list(job._kwargs.get("data") or [])
    job._kwargs["data"] = [*kinds, *(kind for kind in (DOS, Dos, CompleteDos) if kind not in kinds)]
