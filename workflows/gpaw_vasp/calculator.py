"""The GPAW calculation of a run: set up once, then applied to one geometry after another."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from workflows.gpaw_vasp.basis import excess_stress, smooth_plane_waves
from workflows.gpaw_vasp.projections import lm_weights
from workflows.gpaw_vasp.results import ElectronicStructure, IonicStep, ScfStep
from workflows.gpaw_vasp.settings import Settings

HARTREE = 27.211386245981  # eV
EV_PER_A3_IN_KB = 1602.1766208
LOG_FILE = "engine.log"
"""GPAW's own log. Its name contains none of the words by which emmet sorts files."""

logger = logging.getLogger(__name__)

_FRESH_STARTS = 2
"""Number of restarts of a geometry's electronic minimisation after a failure of the eigenvalue solver."""

OnScf = Callable[[int, ScfStep], None]


class GpawCalculator:
    """Self-consistent solutions for one composition, k-mesh and basis."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings = settings
        self._log = directory / LOG_FILE
        self._calc: Any = None

    def compute(self, cell: np.ndarray, positions: np.ndarray, *, on_scf: OnScf) -> IonicStep:
        """Solve one geometry, starting from the wave functions of the previous one.

        Parameters
        ----------
        cell : ndarray, shape (3, 3)
            Lattice vectors as rows, A.
        positions : ndarray, shape (N, 3)
            Fractional coordinates.
        on_scf
            Called after each electronic step with its number, from 1, and its energies.

        Returns
        -------
        IonicStep
            Includes forces and stress even if the electronic steps ran out (``converged`` is then False).
        """
        from gpaw import KohnShamConvergenceError

        atoms = Atoms(self.settings.poscar.symbols, cell=cell, scaled_positions=positions, pbc=True)
        if self.settings.ispin == 2:
            atoms.set_initial_magnetic_moments(self.settings.magmom)
        steps: list[ScfStep] = []

        def collect(context: Any) -> None:
            steps.append(_scf_step(context))
            on_scf(len(steps), steps[-1])

        converged = True
        for fresh_start in range(_FRESH_STARTS + 1):
            if self._calc is None:
                self._calc = self._create()
            self._calc.hooks["scf_step"] = collect
            try:
                for _ in self._calc.iconverge(atoms):
                    pass
            except KohnShamConvergenceError:
                converged = False
            except np.linalg.LinAlgError:
                # LAPACK sometimes finds no eigenvectors in the nearly dependent Davidson basis of a bad start
                if fresh_start == _FRESH_STARTS:
                    raise
                logger.warning("the Davidson eigenvalue problem was not solved: starting from new wave functions")
                self._calc = None
                steps.clear()
                continue
            break
        return self._ionic_step(atoms, tuple(steps), converged=converged)

    def electronic_structure(self) -> ElectronicStructure:
        """Return the bands of the last geometry.

        Returns
        -------
        ElectronicStructure
            With symmetrised projections.
        """
        dft = self._calc.dft
        ibzwfs = dft.ibzwfs
        shape = (ibzwfs.nspins, len(ibzwfs.ibz), ibzwfs.nbands)
        eigenvalues, occupations = np.zeros(shape), np.zeros(shape)
        basis = np.zeros(shape[1], dtype=int)
        for wfs in ibzwfs:
            eigenvalues[wfs.spin, wfs.k] = wfs.eig_n * HARTREE
            occupations[wfs.spin, wfs.k] = wfs.occ_n
            basis[wfs.k] = wfs.psit_nX.desc.shape[0]
        fermi = float(ibzwfs.fermi_level) * HARTREE
        if self.settings.midgap:
            fermi = _midgap(eigenvalues, occupations, fermi)
        return ElectronicStructure(
            kpoints=np.array(ibzwfs.ibz.kpt_kc),
            weights=np.array(ibzwfs.ibz.weight_k),
            eigenvalues=eigenvalues,
            occupations=occupations,
            projections=lm_weights(dft),
            fermi=fermi,
            electrons=float(dft.density.nvalence),
            grid_points=int(np.prod(dft.density.nt_sR.desc.size_c)),
            plane_waves=basis,
        )

    def notes(self) -> list[str]:
        """Return remarks on the last solution, for the OUTCAR."""
        images = self._calc.dft.ibzwfs.ibz.bz2bz_Ks
        if images is not None and (np.asarray(images) == -1).any():
            return ["the mesh of k-points is less symmetric than the crystal: use a Gamma-centred one"]
        return []

    def _create(self) -> Any:
        from gpaw.dft import GPAW

        settings = self.settings
        occupations: dict[str, Any] = {"name": settings.smearing, "width": settings.width}
        if settings.smearing == "methfessel-paxton":
            occupations["order"] = settings.order
        return GPAW(
            mode=smooth_plane_waves(settings.encut),
            xc="PBE",
            kpts=settings.mesh.points(),
            spinpol=settings.ispin == 2,
            occupations=occupations,
            symmetry=_symmetry_options(settings.isym),
            eigensolver="davidson",
            mixer=_mixer_options(settings),
            convergence=_convergence_criteria(settings.ediff, settings.nelect, least=settings.nelmin),
            maxiter=settings.nelm,
            nbands=_band_count(settings),
            txt=str(self._log),
            legacy_gpaw=False,
        )

    def _ionic_step(self, atoms: Any, scf: tuple[ScfStep, ...], *, converged: bool) -> IonicStep:
        dft = self._calc.dft
        if not converged:
            dft.calculate_energy()
            dft.magmoms()
        forces = dft.calculate_forces()
        voigt = dft.calculate_stress()
        stress = voigt[[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3) + excess_stress(dft)
        return IonicStep(
            cell=np.array(atoms.cell),
            positions=atoms.get_scaled_positions(wrap=False),
            forces=np.array(forces),
            stress=-stress * EV_PER_A3_IN_KB,
            scf=scf,
            converged=converged,
            moment=float(dft.results["magmom"]),
        )


def _scf_step(context: Any) -> ScfStep:
    energies = context.energies
    return ScfStep(
        free=float(energies.total_free) * HARTREE,
        entropy=float(energies._energies["entropy"]) * HARTREE,
        extrapolated=float(energies.total_extrapolated) * HARTREE,
        density_error=float(context.dens.error),
        eigenstates_error=float(context.wfs.eigensolver.error),
    )


def _symmetry_options(isym: int) -> dict[str, Any]:
    """Return GPAW's symmetry settings for ISYM: -1 none, 0 time reversal only, else all, glides included."""
    if isym == -1:
        return {"point_group": False, "time_reversal": False}
    if isym == 0:
        return {"point_group": False}
    return {"symmorphic": False}


def _convergence_criteria(ediff: float, electrons: float, *, least: int = 2) -> dict[str, float]:
    """Return GPAW's criteria for EDIFF.

    Parameters
    ----------
    ediff
        eV for the whole cell, as in VASP.
    electrons
        Valence electrons in the cell.
    least
        NELMIN: smallest number of electronic steps.

    Returns
    -------
    dict
        ``energy`` in eV per electron over three steps; ``density`` in electrons per electron; ``eigenstates`` in eV^2
        per electron. Forces and stress, of first order in the errors of density and wave functions, improve with
        smaller EDIFF.
    """
    tight = min(1.0, ediff / 1e-5)
    criteria: dict[str, float] = {
        "energy": ediff / electrons,
        "density": max(1e-4 * tight**0.5, 1e-6),
        "eigenstates": max(4e-7 * tight, 4e-10),
    }
    # The energy criterion alone needs three steps.
    return criteria | ({"minimum iterations": least} if least > 3 else {})


def _mixer_options(settings: Settings) -> dict[str, Any]:
    """Return GPAW's mixing for ALGO and AMIX.

    GPAW's default mixing is used unless the INCAR requests cautious mixing: ALGO = All, Damped or Conjugate, or an AMIX
    below 0.2 (written by custodian for a retry). With one spin this is a small linear step with a long memory. With two
    spins, charge and magnetisation are mixed separately: cases that do not converge are mostly metals near the Stoner
    criterion, whose magnetisation sloshes (fcc Rh: no convergence in 5 x 200 steps with either of the others).
    """
    amix = settings.tags.get("AMIX")
    if not (settings.algo[:1].upper() in "ADC" or (isinstance(amix, int | float) and amix < 0.2)):
        return {}
    if settings.ispin == 2:
        return {"name": "multi", "method": "dif"}
    return {"name": "pulay", "beta": 0.03, "nmaxold": 8, "weight": 100}


def _band_count(settings: Settings) -> int:
    """Return the number of bands: NBANDS, or VASP's default, or more if a DOS is requested.

    A DOS gets six empty bands per atom and two more, which reach about 10 eV above the Fermi level; in small cells they
    cost little.
    """
    if settings.nbands is not None:
        return settings.nbands
    atoms, electrons = len(settings.poscar.symbols), settings.nelect
    count = max(int(electrons + 2.5) // 2 + max(atoms // 2, 3), int(0.6 * electrons))
    if settings.ispin == 2:
        count += max(int(sum(settings.magmom) + 1) // 2, 0)
    if settings.lorbit and not settings.relaxes:
        count = max(count, int(electrons + 1) // 2 + 6 * atoms + 2)
    return count


def _midgap(eigenvalues: np.ndarray, occupations: np.ndarray, fermi: float) -> float:
    """Return the middle of the gap (EFERMI = MIDGAP), or the Fermi level where there is none, eV.

    Eigenvalues (S, K, B) in eV; occupations (S, K, B) are 1 where full.
    """
    full, empty = occupations > 1 - 1e-3, occupations < 1e-3
    if not (full | empty).all() or not full.any() or not empty.any():
        return fermi
    top, bottom = float(eigenvalues[full].max()), float(eigenvalues[empty].min())
    return (top + bottom) / 2 if bottom > top else fermi
