"""Results of a calculation as plain arrays, so that the writers are independent of GPAW."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class ScfStep:
    """One electronic step; energies in eV.

    Attributes
    ----------
    free
        Free energy, entropy term included (VASP's F or TOTEN).
    entropy
        The entropy term -T S that is part of ``free``.
    extrapolated
        Energy extrapolated to no smearing (VASP's E0).
    density_error
        Electrons by which the density changed (nan in the first step).
    eigenstates_error
        Residual of the wave functions, eV^2 for each electron.
    """

    free: float
    entropy: float
    extrapolated: float
    density_error: float = float("nan")
    eigenstates_error: float = float("nan")

    @property
    def without_entropy(self) -> float:
        """Energy without the entropy term, eV."""
        return self.free - self.entropy


@dataclass(frozen=True)
class IonicStep:
    """One geometry and its self-consistent solution.

    Attributes
    ----------
    cell : ndarray, shape (3, 3)
        Lattice vectors as rows, A.
    positions : ndarray, shape (N, 3)
        Fractional coordinates.
    forces : ndarray, shape (N, 3)
        eV/A.
    stress : ndarray, shape (3, 3)
        kB with VASP's sign: positive if the cell tends to expand.
    scf
        All electronic steps.
    converged
        Whether the last of them met the criteria.
    moment
        Total magnetic moment, Bohr magnetons.
    """

    cell: np.ndarray
    positions: np.ndarray
    forces: np.ndarray
    stress: np.ndarray
    scf: tuple[ScfStep, ...]
    converged: bool
    moment: float = 0.0

    @property
    def energy(self) -> ScfStep:
        """The last electronic step, whose energies are those of the geometry."""
        return self.scf[-1]

    @property
    def cartesian(self) -> np.ndarray:
        """Cartesian positions, A, shape (N, 3)."""
        return np.asarray(self.positions @ self.cell)

    @property
    def volume(self) -> float:
        """Volume of the cell, A^3."""
        return float(abs(np.linalg.det(self.cell)))


@dataclass(frozen=True)
class ElectronicStructure:
    """Bands of the last geometry.

    Attributes
    ----------
    kpoints : ndarray, shape (K, 3)
        Irreducible points, fractional.
    weights : ndarray, shape (K,)
        Their weights; the sum is 1.
    eigenvalues : ndarray, shape (S, K, B)
        eV, absolute (zero: the mean electrostatic potential of the cell).
    occupations : ndarray, shape (S, K, B)
        1 if full, for any S.
    projections : ndarray, shape (S, K, B, N, 9)
        Symmetrised weights inside the PAW spheres, in VASP's order s py pz px dxy dyz dz2 dxz x2-y2.
    fermi
        Fermi level, eV.
    electrons
        Valence electrons in the cell.
    grid_points
        Points of the FFT grid.
    plane_waves : ndarray, shape (K,)
        Size of the basis at each k-point.
    """

    kpoints: np.ndarray
    weights: np.ndarray
    eigenvalues: np.ndarray
    occupations: np.ndarray
    projections: np.ndarray
    fermi: float
    electrons: float
    grid_points: int
    plane_waves: np.ndarray

    @property
    def spins(self) -> int:
        """Number of spin channels, 1 or 2."""
        return int(self.eigenvalues.shape[0])

    @property
    def degeneracy(self) -> int:
        """Electrons in a full band of one spin channel: 2 without spin, else 1."""
        return 3 - self.spins

    def site_charges(self) -> np.ndarray:
        """Return the s, p and d electrons inside each PAW sphere (S, N, 3)."""
        charges = self.degeneracy * np.einsum("skb,k,skbao->sao", self.occupations, self.weights, self.projections)
        parts = [charges[..., :1], charges[..., 1:4], charges[..., 4:]]
        return np.stack([part.sum(axis=-1) for part in parts], axis=-1)


@dataclass
class RunResult:
    """Results of one run for the writers.

    Attributes
    ----------
    steps
        The ionic steps, at least one.
    electrons
        The bands of the last one.
    relaxed
        Whether a relaxation met its criteria; None if none was requested.
    notes
        Differences from VASP, in words.
    """

    steps: list[IonicStep] = field(default_factory=list)
    electrons: ElectronicStructure | None = None
    relaxed: bool | None = None
    notes: list[str] = field(default_factory=list)
