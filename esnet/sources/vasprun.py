"""The projected DOS of a VASP run, from vasprun.xml or vaspout.h5, without pymatgen.

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
"""Names of the files that are read, in the order in which one is chosen where a folder has several."""

_HDF5 = ".h5"


def read_dos(path: str | os.PathLike[str]) -> VaspDos:
    """Read the projected DOS from the output file of a VASP run.

    The features are those of ``project_dos(Vasprun(path).complete_dos)``, several times faster: of a vasprun.xml only
    the header, the last ionic step and the DOS are parsed (``benchmarks/features.py`` measures it). Orbitals are taken
    by their names, where pymatgen goes by position. Parts that are not needed are not looked at: XML that is malformed
    inside the eigenvalues goes unnoticed, a file that does not end with ``</modeling>`` does not.

    Parameters
    ----------
    path
        vasprun.xml or vaspout.h5 (a name with ``.h5`` in it), plain or compressed by gzip, bzip2, xz, lzma or
        zstandard (which needs pyarrow).

    Returns
    -------
    VaspDos
        Energies in eV, densities in states/eV; `VaspDos.features` gives the network's channels.

    Raises
    ------
    VaspReadError
        A DosError: if the file is absent, truncated, damaged or malformed, or has no DOS with projections; the message
        names the file. That projections are complete and lm-resolved is checked by `VaspDos.features`.
    """
    path = Path(path)
    return read_vaspout(path) if _HDF5 in path.name else read_vasprun(path)


def read_run(path: str | os.PathLike[str]) -> VaspRun:
    """Read the description of a VASP run (elements, total energy, settings), with or without a DOS.

    Raises
    ------
    VaspReadError
        If the file is absent, truncated, damaged or malformed.
    """
    path = Path(path)
    return read_vaspout_settings(path) if _HDF5 in path.name else read_vasprun_settings(path)
