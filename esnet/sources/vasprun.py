"""Read the projected DOS of a VASP run from vasprun.xml or vaspout.h5, without pymatgen.

>>> dos = read_dos("vasprun.xml.gz")  # doctest: +SKIP
>>> dos.features(normalisation="atom").shape  # doctest: +SKIP
(2, 1500, 9)
"""

import os
from pathlib import Path

from esnet.sources.vasp_dos import VaspDos, VaspReadError, VaspRun
from esnet.sources.vaspout import read_vaspout, read_vaspout_settings
from esnet.sources.vasprun_xml import read_vasprun, read_vasprun_settings

__all__ = ["OUTPUT_NAMES", "VaspDos", "VaspReadError", "VaspRun", "read_dos", "read_run"]

_COMPRESSIONS = ("", ".gz", ".bz2", ".xz", ".lzma", ".zst")
OUTPUT_NAMES = tuple(f"{name}{ending}" for name in ("vasprun.xml", "vaspout.h5") for ending in _COMPRESSIONS)
"""Names of the output files that can be read, in order of preference if a folder has several."""

_HDF5 = ".h5"


def read_dos(path: str | os.PathLike[str]) -> VaspDos:
    """Read the projected DOS from the output file of a VASP run.

    The features equal those of ``project_dos(Vasprun(path).complete_dos)`` but are computed several times faster, since
    only the header, the last ionic step and the DOS of a vasprun.xml are parsed (measured by
    ``benchmarks/features.py``). Orbitals are identified by name, whereas pymatgen goes by position. Parts that are not
    needed are not checked: malformed XML among the eigenvalues goes unnoticed, but a file that does not end with
    ``</modeling>`` is refused.

    Parameters
    ----------
    path
        vasprun.xml or vaspout.h5 (any name that contains ``.h5``), plain or compressed with gzip, bzip2, xz, lzma or
        zstandard (which needs pyarrow).

    Returns
    -------
    VaspDos
        Energies in eV, densities in states/eV; `VaspDos.features` returns the network's channels.

    Raises
    ------
    VaspReadError
        If the file is missing, truncated, damaged or malformed, or has no projected DOS; the message names the file.
        It is a subclass of DosError. `VaspDos.features` checks that the projections are complete and lm-resolved.
    """
    path = Path(path)
    return read_vaspout(path) if _HDF5 in path.name else read_vasprun(path)


def read_run(path: str | os.PathLike[str]) -> VaspRun:
    """Read the description of a VASP run (elements, total energy, settings), with or without a DOS.

    Raises
    ------
    VaspReadError
        If the file is missing, truncated, damaged or malformed.
    """
    path = Path(path)
    return read_vaspout_settings(path) if _HDF5 in path.name else read_vasprun_settings(path)
