"""OUTCAR: the lines required by pymatgen's Outcar and custodian's monitors, and a note on the actual engine."""

import resource
import time
from pathlib import Path

import numpy as np

from workflows.gpaw_vasp.results import ElectronicStructure, IonicStep, RunResult, ScfStep
from workflows.gpaw_vasp.settings import Settings
from workflows.gpaw_vasp.version import gpaw_version, version_string

RULE = "-" * 104


class OutcarWriter:
    """Writes the OUTCAR during the calculation."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._settings = settings
        self._ionic = 1
        self._started = time.monotonic()

    def header(self) -> None:
        """Write what is computed, and with which engine."""
        settings = self._settings
        size = " x ".join(str(count) for count in settings.mesh.size)
        self._write(
            f" vasp-gpaw.{version_string()} GPAW {gpaw_version()} plane waves, PAW, PBE: NOT VASP\n"
            " running on    1 total cores\n\n"
            f"{''.join(f' POTCAR:    {title}{chr(10)}' for title in settings.titles)}\n"
            f" k-point mesh: {settings.mesh.style} {size}\n"
            f" smearing: {settings.smearing_text()}\n"
            f" tags without an effect here: {' '.join(settings.ignored) or 'none'}\n\n"
            f"   ENCUT  = {settings.encut:8.1f} eV\n"
            f"   EDIFF  = {settings.ediff:.1E}   stopping-criterion for ELM\n"
            f"   EDIFFG = {settings.ediffg:.1E}   stopping-criterion for IOM\n"
            f"   ISPIN  = {settings.ispin:6d}    spin polarized calculation?\n"
            f"   NSW    = {settings.nsw:6d}    number of steps for IOM\n"
            f"   IBRION = {settings.ibrion:6d}    ionic relax (1, 2 and 3 all mean BFGS here)\n"
            f"   ISIF   = {settings.isif:6d}    stress and relaxation\n"
            f"   LORBIT = {settings.lorbit:6d}\n\n"
        )

    def note(self, text: str) -> None:
        """Write a remark."""
        self._write(f" vasp-gpaw: {text}\n")

    def scf_step(self, number: int, scf: ScfStep) -> None:
        """Write one electronic step; custodian watches its entropy."""
        self._write(
            f"\n{'-' * 41} Iteration {self._ionic:6d}({number:4d})  {'-' * 39}\n\n"
            f"  entropy T*S    EENTRO ={scf.entropy:18.8f}\n"
            f"  free energy    TOTEN  ={scf.free:18.8f} eV\n"
        )

    def ionic_step(self, step: IonicStep) -> None:
        """Write forces, stress and energies of a geometry."""
        if step.converged:
            self._write(f"\n{'-' * 24} aborting loop because EDIFF is reached {'-' * 40}\n\n")
        else:
            self._write("\n vasp-gpaw: EDIFF was not reached in NELM electronic steps\n\n")
        voigt = step.stress[[0, 1, 2, 0, 1, 2], [0, 1, 2, 1, 2, 0]]
        drift = step.forces.sum(axis=0)
        self._write(
            "  in kB  " + "".join(f"{item:12.5f}" for item in voigt) + "\n"
            f"  external pressure = {np.trace(step.stress) / 3:11.2f} kB  Pullay stress =        0.00 kB\n\n"
            f"  volume of cell : {step.volume:12.4f}\n"
            "      direct lattice vectors\n" + "".join(_vector(row) for row in step.cell) + "\n"
            " POSITION                                       TOTAL-FORCE (eV/Angst)\n"
            f" {RULE[:83]}\n"
            + "".join(_vector([*position, *force]) for position, force in zip(step.cartesian, step.forces, strict=True))
            + f" {RULE[:83]}\n"
            f"    total drift:                          {drift[0]:14.6f}{drift[1]:14.6f}{drift[2]:14.6f}\n\n"
            "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n" + _energies(step.energy)
        )
        self._ionic += 1

    def finish(self, result: RunResult) -> None:
        """Write the bands' summary, the charges, the energies and the time used."""
        bands, last = result.electrons, result.steps[-1]
        if result.relaxed:
            self._write("\n reached required accuracy - stopping structural energy minimisation\n")
        if bands is None:
            raise ValueError("OUTCAR: the electronic structure is missing")
        self._write(_dimensions(bands))
        charges = bands.site_charges()
        self._write(f" E-fermi : {bands.fermi:9.4f}     XC(G=0):   0.0000     alpha+bet :  0.0000\n\n")
        if self._settings.lorbit >= 10:
            self._write(_site_table(" total charge     ", charges.sum(axis=0)))
            if bands.spins == 2:
                self._write(_site_table(" magnetization (x)", charges[0] - charges[1]))
        self._write(
            f"\n number of electron {bands.electrons:15.7f} magnetization {last.moment:15.7f}\n\n"
            + _energies(last.energy)
        )
        for note in result.notes:
            self.note(note)
        self._write(_timing(time.monotonic() - self._started))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


def _vector(values: list[float] | np.ndarray) -> str:
    return " ".join(f"{item:12.6f}" for item in values) + "\n"


def _energies(scf: ScfStep) -> str:
    return (
        "  ---------------------------------------------------\n"
        f"  free  energy   TOTEN  = {scf.free:18.8f} eV\n\n"
        f"  energy  without entropy={scf.without_entropy:18.8f}  energy(sigma->0) ={scf.extrapolated:18.8f}\n\n"
    )


def _dimensions(bands: ElectronicStructure) -> str:
    points = len(bands.weights)
    waves = "".join(
        f" k-point {number:5d} :{k[0]:9.4f}{k[1]:8.4f}{k[2]:8.4f}  plane waves: {count:7d}\n"
        for number, (k, count) in enumerate(zip(bands.kpoints, bands.plane_waves, strict=True), start=1)
    )
    return (
        f"\n   k-points           NKPTS = {points:6d}   k-points in BZ     NKDIM = {points:6d}"
        f"   number of bands    NBANDS= {bands.eigenvalues.shape[2]:6d}\n"
        f"   total plane-waves  NPLWV = {bands.grid_points:6d}\n"
        f"   NELECT = {bands.electrons:12.4f}    total number of electrons\n"
        f"\n\n\n{RULE}\n\n\n{waves}\n"
        f" maximum and minimum number of plane-waves per node :"
        f" {max(bands.plane_waves):8d} {min(bands.plane_waves):8d}\n\n"
    )


def _site_table(name: str, values: np.ndarray) -> str:
    rows = [*values, values.sum(axis=0)]
    labels = [f"{number:5d}   " for number in range(1, len(values) + 1)] + ["tot     "]
    lines = [
        label + "".join(f"{item:8.3f}" for item in [*row, row.sum()]) for label, row in zip(labels, rows, strict=True)
    ]
    rule = "-" * 42
    return (
        f"\n{name}\n\n# of ion       s       p       d       tot\n{rule}\n"
        + "\n".join([*lines[:-1], rule, lines[-1]])
        + "\n"
    )


def _timing(elapsed: float) -> str:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (
        "\n\n General timing and accounting informations for this job:\n"
        " ========================================================\n\n"
        f"                  Total CPU time used (sec): {usage.ru_utime + usage.ru_stime:12.3f}\n"
        f"                            User time (sec): {usage.ru_utime:12.3f}\n"
        f"                          System time (sec): {usage.ru_stime:12.3f}\n"
        f"                         Elapsed time (sec): {elapsed:12.3f}\n\n"
        f"                   Maximum memory used (kb): {float(usage.ru_maxrss):12.0f}.\n"
        "                   Average memory used (kb):          N/A\n"
    )
