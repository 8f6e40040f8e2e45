"""Synthetic samples for tests and benchmarks: random bands, and formation energies computed from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from esnet.dataset.sample import DosKind, Sample
from esnet.representation.dos import DOS_SHAPE, ENERGY_GRID, N_ORBITALS

if TYPE_CHECKING:
    from pymatgen.core import Structure

ELEMENTS = ("Al", "Ti", "Fe", "Ni", "Cu", "Zn", "Pd", "Ag", "Pt", "Au")
PROTOTYPES = ("B1", "B2", "B3", "L1_2", "D0_3")
EFERMI = 0.0
"""Energy around which the bands lie, eV."""

_VOLUME = 15.0
"""Volume of a crystal with a d band of half width `_WIDTH`, A^3/atom."""
_WIDTH = 2.5
"""Half width of the band, eV."""
_SITES = {
    1: [[0.5, 0.5, 0.5]],
    2: [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]],
    3: [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]],
}
_STATES = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0])
_EFFECT = dict(zip(ELEMENTS, np.linspace(-0.4, 0.4, len(ELEMENTS)), strict=True))


def synthetic_samples(
    n_materials: int, *, seed: int = 0, kinds: tuple[DosKind, ...] = ("is_dos", "rs_dos")
) -> Iterator[Sample]:
    """Yield samples one by one, without keeping them in memory.

    Each material has a semi-elliptic s, p and d band for each spin (zero outside, like a real band), with centres and
    widths that depend on its two elements and a random part. The formation energy decreases with the width of the d
    band, as in Friedel's model of d-band cohesion, and has a term for each element. The RS-DOS has the bands that
    determine the energy; in the IS-DOS they are randomly shifted and narrowed, so predictions from it are worse. The
    crystals are consistent with the bands: the closer the atoms, the wider the d band (Harrison).

    Parameters
    ----------
    n_materials
        Number of materials.
    seed
        Random seed; material k depends on the seed, but not on ``n_materials``.
    kinds
        Kinds of DOS to yield for each material.
    """
    for number in range(n_materials):
        rng = np.random.default_rng((seed, number))
        first, second = sorted(rng.choice(ELEMENTS, 2, replace=False).tolist())
        ratio = int(rng.integers(1, 4))
        bands = _Bands.random(rng)
        energy = -0.25 * bands.widths[2] + (ratio * _EFFECT[first] + _EFFECT[second]) / (ratio + 1)
        unrelaxed = bands.changed(rng)
        prototype = PROTOTYPES[int(rng.integers(len(PROTOTYPES)))]
        initial, relaxed = (_crystal(first, second, ratio, state.widths[2]) for state in (unrelaxed, bands))
        for kind in kinds:
            yield Sample(
                id=f"synthetic-{number:06d}:{kind}",
                material=f"synthetic-{number:06d}",
                kind=kind,
                dos=(bands if kind == "rs_dos" else unrelaxed).dos(),
                composition={first: float(ratio), second: 1.0},
                energy=float(energy),
                efermi=EFERMI,
                spacing=0.02,
                chemsys=f"{first}-{second}",
                prototype=prototype,
                provenance={"source": "synthetic", "seed": seed, "number": number},
                initial_structure=initial,
                relaxed_structure=relaxed,
            )


def _crystal(first: str, second: str, ratio: int, width: float) -> Structure:
    """Return a crystal with ``ratio`` atoms of the first element per atom of the second, as B2, AlB2 or L1_2.

    ``width`` is the half width of its d band, eV.
    """
    from pymatgen.core import Lattice, Structure

    edge = (_VOLUME * (ratio + 1)) ** (1 / 3) * (
        width / _WIDTH
    ) ** -0.2  # the width decreases with the 5th power of the distance
    lattice = Lattice.cubic(edge)
    if ratio == 2:
        short = edge / 3 ** (1 / 6) * 2 ** (1 / 3)  # c/a = 1 at the volume of the cube
        lattice = Lattice.hexagonal(short, short)
    return Structure(lattice, [*[first] * ratio, second], [*_SITES[ratio], [0.0, 0.0, 0.0]])


@dataclass(frozen=True)
class _Bands:
    """An s, a p and a d band: centres and half widths in eV, spin splitting in eV, weights of the orbitals."""

    centers: NDArray[np.float64]
    widths: NDArray[np.float64]
    splitting: float
    weights: NDArray[np.float64]

    @classmethod
    def random(cls, rng: np.random.Generator) -> _Bands:
        """Return the bands of a relaxed crystal."""
        return cls(
            centers=np.array([-7.0, -3.0, -2.0]) + rng.normal(0.0, 0.5, 3),
            widths=np.array([2.0, 3.0, 2.5]) * rng.uniform(0.6, 1.4, 3),
            splitting=float(rng.uniform(0.0, 0.6)),
            weights=_STATES * rng.uniform(0.8, 1.2, N_ORBITALS),
        )

    def changed(self, rng: np.random.Generator) -> _Bands:
        """Return the bands of the unrelaxed crystal."""
        return replace(
            self, centers=self.centers + rng.normal(0.0, 0.15, 3), widths=self.widths * rng.normal(1.0, 0.05, 3)
        )

    def dos(self) -> NDArray[np.float32]:
        """Return the densities, shape (2, 1500, 9), states/eV."""
        shells = np.repeat([0, 1, 2], [1, 3, 5])
        dos = np.empty(DOS_SHAPE, dtype=np.float32)
        for row, sign in enumerate((-0.5, 0.5)):
            distance = (ENERGY_GRID[:, None] - self.centers - sign * self.splitting) / self.widths
            bands = np.sqrt(np.clip(1.0 - distance**2, 0.0, None)) * (2.0 / (np.pi * self.widths))
            dos[row] = bands[:, shells] * self.weights
        return dos
