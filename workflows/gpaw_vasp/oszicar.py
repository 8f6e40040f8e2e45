"""OSZICAR, and the same lines on standard output, one for each electronic step."""

import math
from collections.abc import Callable
from pathlib import Path

from workflows.gpaw_vasp.results import IonicStep, ScfStep

HEADER = "       N       E                     dE             d eps       ncg     rms          rms(c)\n"

Echo = Callable[[str], None]


class Oszicar:
    """Writes the OSZICAR during the calculation, and also passes each line to ``echo``, for standard output.

    custodian's monitors read the file at the same time.
    """

    def __init__(self, path: Path, *, echo: Echo) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._echo = echo
        self._last_energy = 0.0
        self._last_ionic = 0.0
        self._count = 0

    def scf_step(self, number: int, scf: ScfStep) -> None:
        """Write one electronic step; its number is from 1 within the ionic step."""
        if number == 1:
            self._write(HEADER)
            self._last_energy = 0.0
        change = scf.free - self._last_energy
        self._last_energy = scf.free
        rms, charge = _finite(math.sqrt(max(scf.eigenstates_error, 0.0))), _finite(scf.density_error)
        self._write(
            f"DAV: {number:3d}   {scf.free:19.12E} {change:14.5E} {change:14.5E} {0:5d} {rms:10.3E} {charge:10.3E}\n"
        )

    def ionic_step(self, step: IonicStep, *, spin: bool) -> None:
        """Write the line that ends an ionic step."""
        self._count += 1
        energy = step.energy
        change = energy.extrapolated - self._last_ionic
        self._last_ionic = energy.extrapolated
        moment = f"  mag= {step.moment:9.4f}" if spin else ""
        self._write(f"{self._count:4d} F= {energy.free:.8E} E0= {energy.extrapolated:.8E}  d E ={change:.6E}{moment}\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: str) -> None:
        self._file.write(line)
        self._file.flush()
        self._echo(line)


def _finite(value: float) -> float:
    return value if math.isfinite(value) and abs(value) < 1e30 else 0.0
