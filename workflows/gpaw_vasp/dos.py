"""Densities of states on VASP's energy grid."""

from dataclasses import dataclass

import numpy as np
from scipy.special import erf, eval_hermite, expit, factorial

from workflows.gpaw_vasp.results import ElectronicStructure
from workflows.gpaw_vasp.settings import Settings

ORBITALS = ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2")
"""VASP's order and names."""


@dataclass(frozen=True)
class Dos:
    """Densities of states; energies in eV, densities in states/eV of the whole cell.

    Attributes
    ----------
    energies : ndarray, shape (E,)
        From EMIN to EMAX, absolute.
    total : ndarray, shape (S, E)
        Without spin, both spins are in the one channel.
    integrated : ndarray, shape (S, E)
        Electrons up to each energy.
    partial : ndarray, shape (N, S, E, 9)
        Inside the PAW spheres, in the order of :data:`ORBITALS`.
    """

    energies: np.ndarray
    total: np.ndarray
    integrated: np.ndarray
    partial: np.ndarray


def density_of_states(bands: ElectronicStructure, settings: Settings) -> Dos:
    """Broaden the bands with the occupation function of the calculation.

    As in VASP each value is the number of states between an energy and the one before it, divided by the
    step, so a coarse grid loses no electrons, and the integrated DOS at the Fermi level is the number of
    electrons.

    Parameters
    ----------
    bands
        Eigenvalues, weights and projections.
    settings
        Smearing and grid: NEDOS points from EMIN to EMAX (default: 1 eV around all bands).
    """
    emin = bands.eigenvalues.min() - 1.0 if settings.emin is None else settings.emin
    emax = bands.eigenvalues.max() + 1.0 if settings.emax is None else settings.emax
    energies = np.linspace(emin, emax, settings.nedos)
    step = energies[1] - energies[0]
    edges = np.concatenate([[energies[0] - step], energies])
    spins, points, count, atoms, _ = bands.projections.shape
    weights = np.repeat(bands.weights, count) * bands.degeneracy
    total = np.zeros((spins, settings.nedos))
    integrated = np.zeros_like(total)
    partial = np.zeros((atoms, spins, settings.nedos, 9))
    for spin in range(spins):
        levels = bands.eigenvalues[spin].ravel()
        filled = occupation((edges[:, None] - levels) / settings.width, settings) * weights
        density = np.diff(filled, axis=0) / step
        total[spin] = density.sum(axis=1)
        integrated[spin] = filled[1:].sum(axis=1)
        projections = bands.projections[spin].reshape(points * count, atoms * 9)
        partial[:, spin] = (density @ projections).reshape(-1, atoms, 9).transpose(1, 0, 2)
    return Dos(energies=energies, total=total, integrated=integrated, partial=partial)


def occupation(x: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the occupation of a level ``x`` = (E_F - e) / width below the Fermi level.

    0 to 1 (a little outside for Methfessel-Paxton). Source: Methfessel and Paxton, Phys. Rev. B 40, 3616 (1989),
    equations 13 to 16.
    """
    if settings.smearing == "fermi-dirac":
        return np.asarray(expit(x))
    filled = 0.5 * (1 + erf(x))
    for n in range(1, settings.order + 1):
        factor = (-1) ** n / (factorial(n) * 4**n * np.sqrt(np.pi))
        # S_N(x') with x' = -x, and odd Hermite polynomials change sign with it.
        filled = filled - factor * eval_hermite(2 * n - 1, x) * np.exp(-np.minimum(x**2, 700.0))
    return np.asarray(filled)
