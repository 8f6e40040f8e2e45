"""DOSCAR."""

from pathlib import Path

import numpy as np

from workflows.gpaw_vasp.dos import Dos
from workflows.gpaw_vasp.results import ElectronicStructure
from workflows.gpaw_vasp.settings import Settings
from workflows.gpaw_vasp.vasprun import projected
from workflows.gpaw_vasp.version import version_string


def write_doscar(path: Path, settings: Settings, bands: ElectronicStructure, dos: Dos) -> None:
    """Write total and, with LORBIT, projected densities of states, states/eV.

    With two spins the columns of each orbital are up, down.
    """
    atoms = len(settings.poscar.symbols)
    volume = abs(float(np.linalg.det(settings.poscar.cell))) / atoms
    lengths = np.linalg.norm(settings.poscar.cell, axis=1) * 1e-10
    head = f"{dos.energies[-1]:16.8f}{dos.energies[0]:16.8f}{settings.nedos:5d}{bands.fermi:16.8f}{1.0:16.8f}\n"
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{atoms:4d}{atoms:4d}{1 if settings.lorbit >= 10 else 0:4d}{0:4d}\n")
        file.write("".join(f"{item:15.7E}" for item in [volume, *lengths, 0.5e-15]) + "\n")
        file.write(f"  {settings.width:.5E}\n  CAR \n vasp-gpaw {version_string()}, not VASP\n")
        file.write(head)
        np.savetxt(file, np.column_stack([dos.energies, *dos.total, *dos.integrated]), fmt=_columns(bands.spins * 2))
        if settings.lorbit < 10:
            return
        _, partial = projected(dos, settings)
        for site in partial:
            columns = site.transpose(1, 2, 0).reshape(settings.nedos, -1)
            file.write(head)
            np.savetxt(file, np.column_stack([dos.energies, columns]), fmt=_columns(columns.shape[1]))


def _columns(count: int) -> str:
    return "%11.4f " + " ".join(["%12.4E"] * count)
