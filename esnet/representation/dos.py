"""Projected densities of states on the fixed grid that the network reads.

Energies are in eV, densities in states/eV. The grid, the orbital order and the rule for calculations with one
spin are those of Mok et al., J. Mater. Chem. A 11 (2023), DOI 10.1039/D3TA01767B.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from esnet.files.errors import UserError

Normalisation = Literal["atom", "element", "none"]
_UNITS = {"atom": "states/(eV atom)", "element": "states/(eV element)"}
EnergyReference = Literal["absolute", "fermi"]

ENERGY_MIN = -20.0
ENERGY_MAX = 10.0
N_GRID = 1500
ENERGY_GRID: NDArray[np.float64] = np.linspace(ENERGY_MIN, ENERGY_MAX, N_GRID)
"""Energies of the features in eV; both ends are included (step 30/1499 eV)."""

ORBITALS = ("s", "px", "py", "pz", "dxy", "dyz", "dxz", "dx2-y2", "dz2")
N_ORBITALS = len(ORBITALS)
SPINS = ("up", "down")
DOS_SHAPE = (len(SPINS), N_GRID, N_ORBITALS)

# VASP up to 5.4.1 and pymatgen use different names for the same orbital
_ALIASES = {"dx2": "dx2-y2", "dx2_y2": "dx2-y2", "x2-y2": "dx2-y2", "dx2y2": "dx2-y2"}
_SHELLS = {shell: tuple(name for name in ORBITALS if name.startswith(shell)) for shell in "spd"}


class DosError(UserError, ValueError):
    """The density of states cannot be converted to features; the message says why."""


def project_dos(
    complete_dos: Any, *, normalisation: Normalisation = "atom", energy_reference: EnergyReference = "absolute"
) -> NDArray[np.float32]:
    """Convert pymatgen's CompleteDos to the 18 channels that the network reads.

    Parameters
    ----------
    complete_dos
        pymatgen ``CompleteDos`` with lm-resolved site projections (VASP: LORBIT=11).
    normalisation
        Divisor of the sum over sites: the number of atoms (``atom``), so that a supercell gives the same features as
        its primitive cell; the number of distinct elements (``element``), as in the authors' scripts; or ``none``.
    energy_reference
        ``absolute`` keeps the energies as written by VASP; ``fermi`` shifts the Fermi level to 0 eV.

    Returns
    -------
    ndarray
        Densities, float32, shape (2, 1500, 9): spin (up, down), energy (`ENERGY_GRID`), orbital (`ORBITALS`). They are
        linearly interpolated inside the calculated window and 0 outside. For a calculation with one spin, the other
        spin has the same values with the opposite sign (the paper's rule). f orbitals are left out.

    Raises
    ------
    DosError
        If lm-resolved projections are missing for a site, the name of an orbital is unknown, a shell is incomplete,
        energies do not increase, or a value is not finite.
    ValueError
        If an option is not one of those listed.
    """
    # imported here, since this module is loaded by actors, each of which SciPy would delay by half a second
    from scipy.interpolate import interp1d

    check_options(normalisation=normalisation, energy_reference=energy_reference)

    energies = _energies(complete_dos)
    if energy_reference == "fermi":
        energies = energies - _efermi(complete_dos)
    sums = _sum_over_sites(complete_dos, len(energies)) / _divisor(complete_dos.structure, normalisation)
    onto_grid = interp1d(energies, sums, kind="linear", axis=1, bounds_error=False, fill_value=0.0)
    return np.asarray(onto_grid(ENERGY_GRID), dtype=np.float32)


def source_spacing(complete_dos: Any) -> float:
    """Return the mean spacing of the calculated energies in eV.

    Interpolation adds no information: features from a source much coarser than 0.02 eV are smoother than the grid
    suggests, so the spacing is stored with them.

    Raises
    ------
    DosError
        If there are fewer than two energies, or they are not finite or do not increase.
    """
    energies = _energies(complete_dos)
    return float((energies[-1] - energies[0]) / (len(energies) - 1))


def check_options(*, normalisation: str, energy_reference: str) -> None:
    """Raise ValueError for unknown options of `project_dos`, listing the known ones."""
    for name, value, choices in (
        ("normalisation", normalisation, get_args(Normalisation)),
        ("energy_reference", energy_reference, get_args(EnergyReference)),
    ):
        if value not in choices:
            raise ValueError(f"{name}={value!r}: must be one of {', '.join(choices)}")


def _energies(complete_dos: Any) -> NDArray[np.float64]:
    energies = np.asarray(complete_dos.energies, dtype=np.float64)
    if energies.ndim != 1 or len(energies) < 2:
        raise DosError(f"energies have shape {energies.shape}; at least two on one axis are needed")
    if not np.isfinite(energies).all() or not (np.diff(energies) > 0).all():
        raise DosError("energies must be finite and increase from each point to the next")
    return energies


def _efermi(complete_dos: Any) -> float:
    efermi = float(complete_dos.efermi)
    if not np.isfinite(efermi):
        raise DosError(f"efermi is {efermi}: energy_reference='fermi' needs a finite Fermi level")
    return efermi


def dos_unit(normalisation: str | None) -> str:
    """Return the unit of densities with the given normalisation."""
    return _UNITS.get(str(normalisation), "states/eV")


def _divisor(structure: Any, normalisation: Normalisation) -> int:
    if normalisation == "atom":
        return len(structure)
    return len(structure.composition.elements) if normalisation == "element" else 1


def _sum_over_sites(complete_dos: Any, n_energies: int) -> NDArray[np.float64]:
    """Return the sum of the site projections with the one-spin rule applied, shape (2, n_energies, 9)."""
    pdos: Mapping[Any, Mapping[Any, Mapping[Any, Any]]] = complete_dos.pdos or {}
    if len(pdos) != len(complete_dos.structure):
        raise DosError(
            f"projections for {len(pdos)} of {len(complete_dos.structure)} sites; "
            "the calculation needs lm-resolved projections on every site (VASP: LORBIT=11)"
        )
    total = np.zeros((len(SPINS), n_energies, N_ORBITALS))
    spins_seen: set[int] = set()
    for number, orbitals in enumerate(pdos.values()):
        named = {_orbital_name(orbital): densities for orbital, densities in orbitals.items()}
        _check_shells(named, number)
        for name, densities in named.items():
            if name.startswith("f"):
                continue
            for spin, values in densities.items():
                row = 0 if int(spin) == 1 else 1
                spins_seen.add(row)
                total[row, :, ORBITALS.index(name)] += _checked(values, n_energies, number, name)
    if len(spins_seen) == 1:
        (only,) = spins_seen
        total[1 - only] = -total[only]
    return total


def _orbital_name(orbital: Any) -> str:
    """Return the name of an orbital in the paper's spelling, from pymatgen's enum or from text."""
    name = str(getattr(orbital, "name", orbital))
    name = _ALIASES.get(name, name)
    if name not in ORBITALS and not name.startswith("f"):
        raise DosError(
            f"orbital {name!r} is not one of {', '.join(ORBITALS)}: projections must be lm-resolved (VASP: LORBIT=11)"
        )
    return name


def _check_shells(named: Mapping[str, Any], site: int) -> None:
    """Refuse an incomplete shell; a complete shell may be absent (VASP stops at the highest l of the POTCARs)."""
    if "s" not in named:
        raise DosError(f"site {site} has no s projection; found {sorted(named)}")
    for orbitals in _SHELLS.values():
        missing = [name for name in orbitals if name not in named]
        if missing and len(missing) < len(orbitals):
            raise DosError(f"site {site} lacks {', '.join(missing)}; found {sorted(named)}")


def _checked(values: Any, n_energies: int, site: int, orbital: str) -> NDArray[np.float64]:
    densities = np.asarray(values, dtype=np.float64)
    if densities.shape != (n_energies,):
        raise DosError(f"site {site}, {orbital}: {densities.shape} densities for {n_energies} energies")
    if not np.isfinite(densities).all():
        raise DosError(f"site {site}, {orbital}: a density is not finite")
    return densities
