"""The full relaxation of a structure as a jobflow flow."""

from collections.abc import Mapping
from typing import Any

from jobflow import Flow
from pymatgen.core import Structure

from workflows.engine import EngineCommand
from workflows.identity import job_uuid
from workflows.inputs.outside_settings import store_large_objects
from workflows.settings import DftSettings
from workflows.vasp import relax_maker


def relaxation_flow(
    structure: Structure,
    settings: DftSettings,
    *,
    vasp_command: EngineCommand | None = None,
    key: str | None = None,
    start: Structure | None = None,
    incar: Mapping[str, Any] | None = None,
) -> Flow:
    """Return the flow of a relaxation of ions and cell: one atomate2 job, whose output is an emmet TaskDoc.

    Parameters
    ----------
    structure
        The unrelaxed crystal; its lattice sets the k-points.
    vasp_command
        Command of the engine on this machine. If None, atomate2's default.
    key
        See `workflows.dos.dos_flow`.
    start
        Geometry of an earlier try to continue from, with the k-points of `structure`, since the energy of a crystal
        must not depend on where a job was killed. If None, `structure`.
    incar
        INCAR tags in addition to the settings' own.
    """
    maker = relax_maker(structure, settings, vasp_command=vasp_command, incar=incar, start=start)
    relax = maker.make(structure if start is None else start)
    store_large_objects(relax)
    if key is not None:
        relax.set_uuid(job_uuid(f"{key}:relaxation"))
    return Flow([relax], output=relax.output, name="relaxation")
