"""Relaxation of ions and cell."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from workflows.gpaw_vasp.results import IonicStep
from workflows.gpaw_vasp.settings import Settings

STRESS_TOLERANCE = 0.5
"""Largest component of the stress, in kB, at which a cell counts as relaxed.

A soft metal (bulk modulus 200 kB) is then within 0.25 % of its volume: docs/explanation/engine-benchmark.md.
"""

CELL_STIFFNESS = 2.5
"""Initial second derivative of the energy with respect to a strain for BFGS, in eV/A^3.

It is three times a bulk modulus of 1.3 Mbar, typical of metals: the first step neither overshoots much in a stiff
crystal nor is too small in a soft one.
"""

ATOM_STIFFNESS = 70.0
"""The same for a displacement, eV/A^2 (ASE's default)."""

MAX_STEP = 0.1
"""Longest move in one step: of an atom in A; of a strain, MAX_STEP / sqrt(CELL_STIFFNESS * V / ATOM_STIFFNESS)."""

Solve = Callable[[np.ndarray, np.ndarray], IonicStep]
Stop = Callable[[], bool]


@dataclass(frozen=True)
class Relaxation:
    """How a relaxation ended.

    Attributes
    ----------
    steps
        All geometries, the last one relaxed if ``reached``.
    reached
        Whether the criteria were met before NSW steps were used up.
    """

    steps: tuple[IonicStep, ...]
    reached: bool


def relax(settings: Settings, solve: Solve, *, stop: Stop = lambda: False) -> Relaxation:
    """Relax with BFGS, whether IBRION is 1, 2 or 3, in at most NSW steps.

    An unconverged electronic solution ends it without success. ``solve`` computes a geometry from (cell, fractional
    positions); ``stop`` is called after each step and may end the relaxation.
    """
    poscar = settings.poscar
    atoms = Atoms(poscar.symbols, cell=poscar.cell, scaled_positions=poscar.positions, pbc=True)
    # One Hessian for atoms and cell: the cell is scaled so that its stiffness matches that of an atom.
    scale = float(np.sqrt(CELL_STIFFNESS * atoms.get_volume() / ATOM_STIFFNESS))
    target = FrechetCellFilter(atoms, exp_cell_factor=scale) if settings.moves_cell else atoms
    optimizer = BFGS(target, logfile=None, maxstep=MAX_STEP, alpha=ATOM_STIFFNESS)
    steps: list[IonicStep] = []
    while True:
        step = solve(np.array(atoms.cell), atoms.get_scaled_positions(wrap=False))
        steps.append(step)
        if not step.converged:
            return Relaxation(steps=tuple(steps), reached=False)
        # Parsers of VASP's files regard a run that needs all NSW steps as unconverged.
        if _is_relaxed(settings, steps) and len(steps) < max(settings.nsw, 2):
            return Relaxation(steps=tuple(steps), reached=True)
        if len(steps) >= settings.nsw or stop():
            return Relaxation(steps=tuple(steps), reached=False)
        voigt = -step.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / 1602.1766208
        atoms.calc = SinglePointCalculator(atoms, energy=step.energy.free, forces=step.forces, stress=voigt)
        optimizer.step()


def _is_relaxed(settings: Settings, steps: list[IonicStep]) -> bool:
    """Return whether EDIFFG is met: forces (negative, eV/A) or the last energy change (positive, eV).

    With ISIF = 3 the stress must be small too.
    """
    last = steps[-1]
    if settings.ediffg < 0:
        met = float(np.linalg.norm(last.forces, axis=1).max()) <= -settings.ediffg
    else:
        met = len(steps) > 1 and abs(last.energy.extrapolated - steps[-2].energy.extrapolated) <= settings.ediffg
    return met and (not settings.moves_cell or float(abs(last.stress).max()) <= STRESS_TOLERANCE)
