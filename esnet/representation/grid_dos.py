"""A density of states on the network's grid, for inspection or as input of a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from esnet.representation.dos import ENERGY_GRID, ORBITALS, DosError, EnergyReference, Normalisation, dos_unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

_SHELLS = "spd"


@dataclass(frozen=True, kw_only=True)
class GridDos:
    """A projected density of states on the fixed grid of the network, with its source.

    Attributes
    ----------
    name
        Name of the source: the path of a file, the formula of a ``CompleteDos``, or the id of a candidate.
    composition
        Element symbol -> number of atoms in the cell.
    channels
        Densities in `unit`, float32, shape (2, 1500, 9): spin (up, down), energy, orbital (s, px, py, pz, dxy, dyz,
        dxz, dx2-y2, dz2). For a calculation with one spin, the second row is the first one with the opposite sign.
    efermi
        Fermi level on the axis of `energies`, eV; None if unknown.
    normalisation
        Divisor of the sum over sites: number of ``atom``, number of distinct ``element``, or ``none``.
    energy_reference
        ``absolute`` energies, or relative to the ``fermi`` level.
    engine
        ``vasp`` or ``gpaw``; None if unknown.
    structure
        The crystal as a pymatgen structure; None if unknown.

    Examples
    --------
    >>> import esnet
    >>> dos = esnet.read_dos("vasprun.xml")
    >>> dos.channels.shape, dos.composition
    ((2, 1500, 9), {'Al': 1.0, 'Pd': 1.0})
    """

    name: str
    composition: Mapping[str, float]
    channels: NDArray[np.float32]
    efermi: float | None
    normalisation: Normalisation
    energy_reference: EnergyReference
    engine: str | None = None
    structure: "Structure | None" = None

    def __repr__(self) -> str:
        return f"<GridDos {self.name!r}, {self.unit}>"

    @property
    def energies(self) -> NDArray[np.float64]:
        """Energies of the grid from -20 to 10 eV, absolute or relative to the Fermi level, shape (1500,)."""
        return ENERGY_GRID

    @property
    def unit(self) -> str:
        """Unit of the densities, e.g. ``states/(eV atom)``."""
        return dos_unit(self.normalisation)

    @property
    def is_spin_polarised(self) -> bool:
        """Whether the calculation had two spin channels."""
        return not np.array_equal(self.channels[0], -self.channels[1])

    def total(self, orbitals: str | Sequence[str] | None = None) -> NDArray[np.float64]:
        """Return the sum over both spins and over orbitals.

        Parameters
        ----------
        orbitals
            A shell (``s``, ``p``, ``d``), an orbital (``dz2``), or a list of these, each orbital counted once. If None,
            all nine.

        Returns
        -------
        ndarray
            Densities in `unit`, shape (1500,).

        Raises
        ------
        DosError
            If there is no such shell or orbital.

        Examples
        --------
        >>> import esnet
        >>> dos = esnet.read_dos("vasprun.xml")
        >>> d_band = dos.total("d")
        >>> bool((d_band <= dos.total()).all()), d_band.shape
        (True, (1500,))
        """
        wanted = [orbitals] if isinstance(orbitals, str) else list(_SHELLS if orbitals is None else orbitals)
        places: set[int] = set()
        for name in wanted:
            found = {place for place, orbital in enumerate(ORBITALS) if name in (orbital, orbital[0])}
            if not found:
                raise DosError(f"orbitals: found {name!r}; right: a shell (s, p, d) or one of {', '.join(ORBITALS)}")
            places |= found
        # for a calculation with one spin, the first row contains the states of both spins
        rows = self.channels if self.is_spin_polarised else self.channels[:1]
        summed: NDArray[np.float64] = np.abs(rows[:, :, sorted(places)]).sum(axis=(0, 2), dtype=np.float64)
        return summed
