"""The 90 moments by pymatgen's own methods, for comparison with ours."""

import numpy as np
from pymatgen.electronic_structure.core import Orbital, OrbitalType, Spin
from pymatgen.electronic_structure.dos import CompleteDos, Dos

from esnet.representation.dos import ENERGY_GRID, ORBITALS

ENUM_NAMES = {"dx2-y2": "dx2_y2"}


def band_of_one_orbital(complete_dos, name, energies):
    """CompleteDos on ``energies`` with a single orbital, so that pymatgen's shell is one channel of ours."""
    orbital = Orbital[ENUM_NAMES.get(name, name)]
    pdos = {
        site: {
            orbital: {
                spin: np.interp(energies, complete_dos.energies, densities, left=0.0, right=0.0)
                for spin, densities in orbitals[orbital].items()
            }
        }
        for site, orbitals in complete_dos.pdos.items()
        if orbital in orbitals
    }
    total = {spin: np.zeros(len(energies)) for spin in complete_dos.densities}
    return CompleteDos(complete_dos.structure, Dos(complete_dos.efermi, energies, total), pdos)


def moments_of_pymatgen(complete_dos, energies):
    """The 90 moments by pymatgen, each spin and orbital for itself; NaN where it divides by nothing."""
    values = []
    for spin in (Spin.up, Spin.down):
        for name in ORBITALS:
            band = band_of_one_orbital(complete_dos, name, energies)
            if not band.pdos or not any(
                channel[spin].any() for orbitals in band.pdos.values() for channel in orbitals.values()
            ):
                values += [np.nan] * 5
                continue
            options = {"band": OrbitalType[name[0]], "spin": spin}
            values += [
                band.get_band_filling(**options),
                band.get_band_center(**options),
                band.get_band_width(**options),
                band.get_band_skewness(**options),
                band.get_band_kurtosis(**options),
            ]
    return np.array(values)


def own_energies(complete_dos):
    """The calculation's own energies inside our window, and the window's ends where they were calculated."""
    energies = complete_dos.energies
    low, high = max(ENERGY_GRID[0], energies[0]), min(ENERGY_GRID[-1], energies[-1])
    return np.concatenate([[low], energies[(energies > low) & (energies < high)], [high]])
