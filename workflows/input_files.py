"""Write the input files of a calculation for inspection, with only the symbols of POTCARs."""

import warnings
from pathlib import Path

from pymatgen.core import Structure

from workflows.engine import CalculationKind
from workflows.settings import DftSettings
from workflows.vasp import relax_maker, static_maker


def write_input_files(structure: Structure, settings: DftSettings, kind: CalculationKind, folder: Path) -> list[str]:
    """Write INCAR, KPOINTS, POSCAR and POTCAR.spec of one calculation; no POTCAR is needed, and none is written.

    Parameters
    ----------
    folder
        Folder, created if necessary.

    Returns
    -------
    list of str
        Names of the files.
    """
    from atomate2.vasp.files import write_vasp_input_set

    make = relax_maker if kind == "relaxation" else static_maker
    maker = make(structure, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pymatgen, about POTCARs; the checks report problems
        write_vasp_input_set(
            structure,
            maker.input_set_generator,
            directory=folder,
            potcar_spec=True,
            clean_prev=False,  # would be the input files of the current folder
            **maker.write_input_set_kwargs,
        )
    return sorted(path.name for path in folder.iterdir())
