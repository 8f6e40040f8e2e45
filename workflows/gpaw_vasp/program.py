"""The command ``vasp-gpaw``: one run in one directory."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.gpaw_vasp.errors import InputRefused
from workflows.gpaw_vasp.version import gpaw_version, version_string

if TYPE_CHECKING:
    from workflows.gpaw_vasp.results import RunResult
    from workflows.gpaw_vasp.settings import Settings

REFUSED_EXIT_CODE = 2
REPORTS = ("OUTCAR", "OSZICAR", "vasprun.xml", "DOSCAR", "XDATCAR", "CONTCAR")


def main(arguments: list[str] | None = None) -> int:
    """Run in the working directory; return 0 if files are written, converged or not, and 2 for refused inputs."""
    parser = argparse.ArgumentParser(
        prog="vasp-gpaw",
        description="Reads INCAR, POSCAR, KPOINTS and POTCAR or POTCAR.spec in the working directory, computes with"
        " GPAW (plane waves, PAW, PBE), and writes vasprun.xml, OUTCAR, OSZICAR, CONTCAR, DOSCAR and XDATCAR in VASP's"
        " formats, marked as GPAW's.",
    )
    parser.add_argument("--version", action="version", version=f"vasp-gpaw {version_string()} (not VASP)")
    parser.add_argument("--directory", type=Path, default=Path(), help="where the inputs are (default: here)")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        run(options.directory)
    except InputRefused as refusal:
        message = f"vasp-gpaw: {refusal}\nvasp-gpaw: nothing was computed\n"
        sys.stdout.write(message)
        sys.stderr.write(message)
        return REFUSED_EXIT_CODE
    return 0


def run(directory: Path) -> RunResult:
    """Run the calculation defined by the input files in a directory; the output files are written there.

    Raises
    ------
    InputRefused
        If an input requests something that is not available; nothing is computed or written then.
    """
    from workflows.gpaw_vasp.settings import read_settings

    if not directory.is_dir() or not os.access(directory, os.W_OK):
        raise InputRefused(f"{directory} is not a folder that can be written to")
    settings = read_settings(directory)
    if gpaw_version() == "absent":
        raise InputRefused("GPAW is not installed: install the extra 'gpaw' of esnet-campaign")
    # Files of an earlier run must not be mistaken for those of this one.
    for name in REPORTS:
        (directory / name).unlink(missing_ok=True)
    (directory / "CONTCAR").touch()
    return _compute(settings, directory)


def _echo(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _compute(settings: Settings, directory: Path) -> RunResult:
    import numpy as np

    from workflows.gpaw_vasp.calculator import GpawCalculator
    from workflows.gpaw_vasp.contcar import write_contcar
    from workflows.gpaw_vasp.oszicar import Oszicar
    from workflows.gpaw_vasp.outcar import OutcarWriter
    from workflows.gpaw_vasp.relaxation import relax
    from workflows.gpaw_vasp.results import IonicStep, RunResult, ScfStep

    _echo(f" running on    1 total cores\n vasp-gpaw {version_string()}, not VASP\n {settings.smearing_text()}\n")
    outcar, oszicar = OutcarWriter(directory / "OUTCAR", settings), Oszicar(directory / "OSZICAR", echo=_echo)
    calculator = GpawCalculator(settings, directory)

    def on_scf(number: int, scf: ScfStep) -> None:
        outcar.scf_step(number, scf)
        oszicar.scf_step(number, scf)

    def solve(cell: np.ndarray, positions: np.ndarray) -> IonicStep:
        step = calculator.compute(cell, positions, on_scf=on_scf)
        outcar.ionic_step(step)
        oszicar.ionic_step(step, spin=settings.ispin == 2)
        write_contcar(directory / "CONTCAR", settings.poscar, step)
        return step

    try:
        outcar.header()
        result = RunResult(notes=[settings.smearing_text()])
        if settings.relaxes:
            relaxation = relax(settings, solve, stop=lambda: stop_requested(directory))
            result.steps, result.relaxed = list(relaxation.steps), relaxation.reached
            if relaxation.reached:
                _echo(" reached required accuracy - stopping structural energy minimisation\n")
        else:
            result.steps = [solve(settings.poscar.cell, settings.poscar.positions)]
        result.electrons = calculator.electronic_structure()
        result.notes += calculator.notes()
        _write_reports(settings, result, directory)
        outcar.finish(result)
    finally:
        outcar.close()
        oszicar.close()
    return result


def _write_reports(settings: Settings, result: RunResult, directory: Path) -> None:
    from workflows.gpaw_vasp.contcar import write_xdatcar
    from workflows.gpaw_vasp.dos import density_of_states
    from workflows.gpaw_vasp.doscar import write_doscar
    from workflows.gpaw_vasp.vasprun import write_vasprun

    if result.electrons is None:
        raise ValueError("the electronic structure is missing")
    dos = density_of_states(result.electrons, settings)
    write_doscar(directory / "DOSCAR", settings, result.electrons, dos)
    write_xdatcar(directory / "XDATCAR", settings.poscar, result.steps)
    write_vasprun(directory / "vasprun.xml", settings, result, dos)


def stop_requested(directory: Path) -> bool:
    """Return whether a STOPCAR requests a stop after this ionic step (LSTOP or LABORT = .TRUE.)."""
    from workflows.gpaw_vasp.incar import parse_incar

    stopcar = directory / "STOPCAR"
    if not stopcar.exists():
        return False
    tags = parse_incar(stopcar.read_text(encoding="utf-8"))
    return tags.get("LSTOP") is True or tags.get("LABORT") is True
