"""A plane-wave basis whose energy is a smooth function of the cell.

With a sharp cutoff, stars of plane waves enter and leave the basis as a cell changes. The energy then has small steps,
the stress (computed with the current basis) is not the slope of the energy (Pulay stress), and a relaxation ends where
these errors happen to cancel, depending on its start.

Here plane waves up to ENCUT are unchanged, and those in a band of width w above it are included with a kinetic energy
that rises steeply,

    T(e) = e + A w x^3,    x = max(0, (e - ENCUT) / w),    e = |k + G|^2 / 2 < ENCUT + w,

so that they are empty where they enter or leave. The stress includes the corresponding term, so it is the slope of the
energy. The idea is that of ABINIT's ``ecutsm`` and of Bernasconi et al., J. Phys. Chem. Solids 56, 501 (1995); the
energy lies between those of sharp cutoffs at ENCUT and at ENCUT + w. Measurements: docs/explanation/engine.md.

GPAW's classes are imported inside the functions: importing this module is cheap.
"""

import functools
from typing import Any

import numpy as np

HARTREE = 27.211386245981  # eV
BOHR = 0.529177210903  # A

SMOOTH_BAND = 60.0
"""Width w of the band above ENCUT in which the kinetic energy rises, eV."""

STEEPNESS = 300.0
"""A: by how many times w the kinetic energy is raised at the end of the band."""


def _kinetic_excess(energies: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the increase of the kinetic energies (G,) of plane waves, and its derivative.

    All in hartree: ``energies`` e = |k + G|^2 / 2, ``cutoff`` is the end of the band, ENCUT + w, the excess is T(e) - e
    and its derivative that with respect to e.
    """
    width = SMOOTH_BAND / HARTREE
    x = np.maximum(0.0, (energies - (cutoff - width)) / width)
    return STEEPNESS * width * x**3, 3 * STEEPNESS * x**2


def smooth_plane_waves(cutoff: float) -> Any:
    """Return the ``mode`` for GPAW: plane waves with the smooth cutoff (ENCUT, eV)."""
    return _mode_class()(cutoff + SMOOTH_BAND)


@functools.cache
def _mode_class() -> Any:
    from gpaw.dft import PW
    from gpaw.new.pw.builder import PWDFTComponentsBuilder

    class SmoothBuilder(PWDFTComponentsBuilder):
        def create_hamiltonian_operator(self, blocksize: int = 10) -> Any:
            return _hamiltonian_class()(self.grid, self.dtype, self.xp)

    class SmoothPW(PW):
        def __init__(self, ecut: float) -> None:
            super().__init__(ecut)
            self.name = "pw"  # GPAW derives it from the class's name

        def dft_components_builder(self, atoms: Any, params: Any, *, log: Any = None, comm: Any = None) -> Any:
            return SmoothBuilder(atoms, params, log=log, comm=comm)

    return SmoothPW


@functools.cache
def _hamiltonian_class() -> Any:
    from gpaw.new.c import pw_precond
    from gpaw.new.pw.hamiltonian import PWHamiltonian

    def precondition(psit: Any, residual: Any, out: Any, ekin_n: Any = None) -> Any:
        pw = psit.desc
        doubled = 2 * (pw.ekin_G + _kinetic_excess(pw.ekin_G, pw.ecut)[0])
        if ekin_n is None:
            ekin_n = psit.norm2("kinetic")
        for row, target, ekin in zip(residual.data, out.data, ekin_n, strict=True):
            pw_precond(doubled, row, ekin, target)
        return ekin_n

    class SmoothHamiltonian(PWHamiltonian):
        def apply_local_potential(self, vt_R: Any, psit_nG: Any, out: Any) -> None:
            super().apply_local_potential(vt_R, psit_nG, out)
            pw = psit_nG.desc
            out.data += psit_nG.data * _kinetic_excess(pw.ekin_G, pw.ecut)[0]

        def create_preconditioner(self, blocksize: int, xp: Any = np) -> Any:
            return precondition

    return SmoothHamiltonian


def excess_stress(dft: Any) -> np.ndarray:
    """Return the stress (3, 3) due to the raised kinetic energy, missing from GPAW's stress.

    In eV/A^3, with ASE's sign, symmetrised, for a ``gpaw.new.calculation.DFT`` with wave functions.
    """
    ibzwfs = dft.ibzwfs
    total = np.zeros((3, 3))
    for wfs in ibzwfs:
        pw = wfs.psit_nX.desc
        slope = _kinetic_excess(pw.ekin_G, pw.ecut)[1]
        filling = wfs.weight * wfs.spin_degeneracy * wfs.occ_n
        density = filling @ abs(wfs.psit_nX.data) ** 2
        real = 2 if np.issubdtype(pw.dtype, np.floating) else 1
        total -= real * pw.dv * np.einsum("G,Gv,Gw->vw", density * slope, pw.G_plus_k_Gv, pw.G_plus_k_Gv)
    cell = np.asarray(dft.density.nt_sR.desc.cell_cv)
    stress = np.zeros((3, 3))
    rotations = ibzwfs.ibz.symmetries.rotation_scc
    for rotation in rotations:
        turn = (np.linalg.inv(cell) @ rotation @ cell).T
        stress += turn.T @ total @ turn
    volume = abs(float(np.linalg.det(cell)))
    return stress / len(rotations) / volume * HARTREE / BOHR**3
