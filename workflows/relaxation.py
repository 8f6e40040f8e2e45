"""The full relaxation of a structure as a jobflow flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.settings import DftSettings

if TYPE_CHECKING:
    from jobflow import Flow
    from pymatgen.core import Structure


def relaxation_flow(
    structure: Structure,
    settings: DftSettings,
    *,
    vasp_command: str | None = None,
    key: str | None = None,
) -> Flow:
    """Relaxation of ions and cell.

    Parameters
    ----------
    structure
        Where it starts.
    settings
        The campaign's DFT settings.
    vasp_command
        Command line that computes on this machine; None is atomate2's own.
    key
        See `workflows.dos.dos_flow`.

    Returns
    -------
    jobflow.Flow
        One atomate2 relaxation job, whose output is an emmet TaskDoc.
    """
    from jobflow import Flow

    from workflows.identity import job_uuid
    from workflows.vasp import relax_maker

    relax = relax_maker(structure, settings, vasp_command=vasp_command).make(structure)
    if key is not None:
        relax.set_uuid(job_uuid(f"{key}:relaxation"))
    return Flow([relax], output=relax.output, name="relaxation")
