"""Expected cost of a calculation, fitted to finished ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from ase.data import atomic_numbers

#: Mean costs of the published campaign (DOI 10.1039/D3TA01767B), CPU-s.
PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S = 108.506, 3107.0
#: Mean costs with GPAW, quality fast, of 88 alloys with 2 atoms (docs/explanation/choosing-tables.md), CPU-s.
GPAW_FAST_DOS_CPU_S, GPAW_FAST_RELAX_CPU_S = 11.1, 25.0

_NOBLE_GASES = (2, 10, 18, 36, 54, 86)
_FILLED_4F, _FILLED_5F = 72, 104
#: With fewer calculations, sizes are not fitted: all are expected to cost the mean.
_MIN_FIT = 8
#: Weight of the prior that cost does not depend on size, in observations.
_RIDGE = 1.0
#: A larger cell never costs less, and no part of DFT scales worse than with the fourth power.
_EXPONENTS = (0.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Size of a finished calculation (atoms and valence electrons per cell), and its cost in CPU-s over all
    attempts.
    """

    n_sites: int
    n_electrons: int
    cpu_s: float


def valence_electrons(composition: Mapping[str, float]) -> int:
    """Return the number of electrons of a cell outside noble-gas cores and filled f shells.

    Parameters
    ----------
    composition
        Element symbol -> number of atoms in the cell.

    Notes
    -----
    Close to the number of electrons in PAW data sets, without needing any: Al 3, Cu 11, Pd 10, In 13, Au 11.
    """
    return round(sum(count * _valence(atomic_numbers[symbol]) for symbol, count in composition.items()))


def _valence(number: int) -> int:
    core = max((gas for gas in _NOBLE_GASES if gas < number), default=0)
    in_f = 14 if (core == 54 and number >= _FILLED_4F) or (core == 86 and number >= _FILLED_5F) else 0
    return number - core - in_f


@dataclass(frozen=True)
class CostModel:
    """Expected CPU-seconds of one kind of calculation, ``scale * n_sites**a * n_electrons**b``.

    Attributes
    ----------
    scale
        CPU-s.
    exponents
        Exponents of the numbers of atoms and of valence electrons.
    n_learnt
        Number of finished calculations it was fitted to; 0: the user's estimate, for any size.
    """

    scale: float
    exponents: tuple[float, float] = (0.0, 0.0)
    n_learnt: int = 0

    @classmethod
    def fit(cls, ended: Sequence[Ended], *, default_cpu_s: float) -> Self:
        """Fit to finished calculations.

        Parameters
        ----------
        ended
            Finished calculations; those without cost are left out.
        default_cpu_s
            Expected cost until calculations have finished, CPU-s.

        Notes
        -----
        Ridge regression of log(cost) on the centred logs of both sizes, with exponents between 0 and 4; the total
        expected cost of the finished calculations equals their actual cost (N. Duan, J. Am. Stat. Assoc. 78, 605
        (1983), smearing estimate). With fewer than 8 finished calculations, all are expected to cost their mean.
        """
        costs = np.array([item.cpu_s for item in ended if item.cpu_s > 0.0])
        if not len(costs):
            return cls(default_cpu_s)
        if len(costs) < _MIN_FIT:
            return cls(float(costs.mean()), n_learnt=len(costs))
        sizes = np.log([[item.n_sites, max(item.n_electrons, 1)] for item in ended if item.cpu_s > 0.0])
        centred = sizes - sizes.mean(axis=0)
        logs = np.log(costs)
        exponents = np.linalg.solve(centred.T @ centred + _RIDGE * np.eye(2), centred.T @ (logs - logs.mean()))
        exponents = exponents.clip(*_EXPONENTS)
        scale = costs.sum() / np.exp(sizes @ exponents).sum()
        return cls(float(scale), (float(exponents[0]), float(exponents[1])), len(costs))

    def estimate(self, *, n_sites: int, n_electrons: int) -> float:
        """Return the expected cost in CPU-s."""
        return float(self.scale * n_sites ** self.exponents[0] * max(n_electrons, 1) ** self.exponents[1])
