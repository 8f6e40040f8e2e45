"""Data that a campaign keeps of a finished calculation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymatgen.core import Structure

from workflows.inputs.used_inputs import ASKED, check_inputs, used_hubbards, used_potcars

#: INCAR tags that change the smearing, and thus the shape of a DOS.
SMEARING_TAGS = frozenset({"ISMEAR", "SIGMA"})
#: INCAR tags that replace a KPOINTS file.
_KPOINT_TAGS = frozenset({"KSPACING", "KGAMMA"})


@dataclass(frozen=True, kw_only=True)
class Calculation:
    """One finished calculation.

    Attributes
    ----------
    energy
        Total energy in eV of the whole cell (VASP's ``energy(sigma->0)``), on the engine's own scale.
    structure
        Final structure.
    cpu_s
        CPU-seconds over all cores, from the engine's OUTCAR.
    vasp_version
        Version string of the output; contains ``gpaw`` for GPAW.
    corrections
        Corrections by custodian: ``{"errors": [...], "actions": [...]}`` each.
    smearing_changed
        Whether one of them changed the smearing, or a DOS could not use the tetrahedron method.
    kpoints_changed
        Whether one of them changed the k-points.
    notes
        Notes on its inputs for readers of the result.
    potcars
        TITEL and hash of each POTCAR.
    hubbards
        Non-zero Hubbard U in eV by element.
    directory
        Location of the files, as host:path.
    """

    energy: float
    structure: Structure
    cpu_s: float
    vasp_version: str
    corrections: list[dict[str, Any]] = field(default_factory=list)
    smearing_changed: bool = False
    kpoints_changed: bool = False
    notes: list[str] = field(default_factory=list)
    potcars: list[dict[str, Any]] = field(default_factory=list)
    hubbards: dict[str, float] = field(default_factory=dict)
    directory: str | None = None


def corrections_of(custodian_log: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Return the corrections in the custodian log of an emmet TaskDoc, one dictionary each, in order."""
    corrections: list[dict[str, Any]] = []
    for job in custodian_log or []:
        corrections.extend(
            {"errors": list(correction.get("errors") or []), "actions": correction.get("actions") or []}
            for correction in job.get("corrections") or []
        )
    return corrections


def changes_smearing(corrections: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a correction set one of `SMEARING_TAGS`."""
    return any(bool(SMEARING_TAGS & set(change)) for _, change in _changes(corrections))


def changes_kpoints(corrections: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a correction changed KPOINTS (another centre or mesh), or the tags that replace it."""
    return any(
        what == "KPOINTS" or (what == "INCAR" and bool(_KPOINT_TAGS & set(change))) or change.get("dest") == "KPOINTS"
        for what, change in _changes(corrections)
    )


def _changes(corrections: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the input changed by each action of custodian (INCAR, KPOINTS ...), and its new values."""
    for correction in corrections:
        for action in correction["actions"]:
            if not isinstance(action, Mapping):
                continue
            for change in action.get("action", {}).values():
                if isinstance(change, Mapping):
                    yield str(action.get("dict") or action.get("file")), change


def calculation_from_task(task: Mapping[str, Any]) -> Calculation:
    """Read the fields that a campaign keeps from an emmet TaskDoc, as stored by jobflow (a plain dictionary).

    Raises
    ------
    ValueError
        If the document has no energy or structure; names its directory.
    InputChangedError
        If the engine read other inputs than requested (`workflows.inputs.used_inputs.check_inputs`).
    """
    output = task.get("output") or {}
    calculations = task.get("calcs_reversed") or []
    if output.get("energy") is None or output.get("structure") is None or not calculations:
        raise ValueError(f"the task document of {task.get('dir_name')} has no energy or no final structure")
    structure = output["structure"]
    if not isinstance(structure, Structure):
        structure = Structure.from_dict(structure)
    corrections = corrections_of(task.get("custodian"))
    check_inputs(task, corrections)
    asked = task.get(ASKED) or {}
    return Calculation(
        energy=float(output["energy"]),
        structure=structure,
        cpu_s=cpu_seconds(task),
        vasp_version=str(calculations[0].get("vasp_version")),
        corrections=corrections,
        smearing_changed=changes_smearing(corrections) or _without_tetrahedra(asked.get("incar") or {}),
        kpoints_changed=changes_kpoints(corrections),
        notes=list(asked.get("notes") or []),
        potcars=used_potcars(task),
        hubbards=used_hubbards(task),
        directory=task.get("dir_name"),
    )


def _without_tetrahedra(asked: Mapping[str, Any]) -> bool:
    """Whether a DOS was requested with another smearing than usual."""
    return "NEDOS" in asked and asked.get("ISMEAR") != -5


def cpu_seconds(task: Mapping[str, Any]) -> float:
    """Return the CPU-seconds of all ranks in a TaskDoc; OUTCAR's "Total CPU time used" is that of one."""
    total = (task.get("run_stats") or {}).get("overall") or {}
    return float(total.get("total_time") or 0.0) * max(1, int(total.get("cores") or 1))


def is_successful(task: Mapping[str, Any]) -> bool:
    """Whether emmet found the calculation of a TaskDoc complete and converged."""
    return str(task.get("state")) in ("successful", "TaskState.SUCCESS")
