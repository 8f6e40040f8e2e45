"""vaspout.h5, the HDF5 output of VASP 6 (if VASP was built with HDF5), read with h5py.

The layout is the one that pymatgen's ``Vaspout`` reads: ``results/electron_dos`` with ``energies``, ``efermi`` and
``dospar`` (sites, spins, orbitals, energies), the orbitals' names in ``results/projectors/lchar``, the structure in
``results/positions``, INCAR tags in ``input/incar``, energies in ``intermediate/ion_dynamics``.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from esnet.files.errors import require
from esnet.sources.vasp_dos import Crystal, SiteElements, VaspDos, VaspReadError, VaspRun
from esnet.sources.vasprun_steps import StepArrays, crystal_of, expected_change, largest_force
from esnet.sources.vasprun_stream import is_plain, read_all
from esnet.sources.vasprun_xml import elements_of

_TITEL = re.compile(r"^\s*TITEL\s*=(.*)$", re.MULTILINE)
_ZVAL = re.compile(r"^.*\bZVAL\s*=\s*([\d.]+)", re.MULTILINE)
_SIGMA_TO_0 = "energy(sigma->0)"


def read_vaspout(path: Path) -> VaspDos:
    """Read the projected DOS of a vaspout.h5, compressed or not; see `esnet.sources.vasprun.read_dos`.

    Raises
    ------
    VaspReadError
        If the file is not HDF5, is truncated, or has no projected DOS.
    """
    with _opened(path) as file:
        return VaspDos(**_run_fields(file, path), **_dos(file, path))


def read_vaspout_settings(path: Path) -> VaspRun:
    """Read the description of a run from a vaspout.h5, with or without DOS; see `esnet.sources.vasprun.read_run`."""
    with _opened(path) as file:
        return VaspRun(**_run_fields(file, path))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    h5py = require("h5py", extra="esnet")
    try:
        # an uncompressed file is not read completely: apart from the DOS, it may contain gigabytes of projections
        with h5py.File(path if is_plain(path) else read_all(path), "r") as file:
            yield file
    except (KeyError, IndexError, TypeError, ValueError, MemoryError) as error:
        if isinstance(error, VaspReadError):
            raise
        raise VaspReadError(f"{path}: is not a complete vaspout.h5: {error}") from error
    except (OSError, RuntimeError) as error:
        raise VaspReadError(f"{path}: is not an HDF5 file, or is truncated ({error})") from error


def _run_fields(file: Any, path: Path) -> dict[str, Any]:
    """Return the fields of a VaspRun."""
    positions = file["results/positions"]
    types = elements_of(path, map(_text, positions["ion_types"][()]))
    counts = [int(count) for count in positions["number_ion_types"][()]]
    symbols = tuple(element for element, count in zip(types, counts, strict=True) for element in [element] * count)
    incar = {name: _tag(value[()]) for name, value in file["input/incar"].items()} if "input/incar" in file else {}
    return {
        "path": path,
        "structure": SiteElements(symbols),
        "energy": _total_energy(file),
        "converged": None,
        "incar": incar,
        "parameters": incar,
        "types": types,
        **_potcars(file),
        "version": _version(file),
        **_steps(file, symbols),
    }


def _steps(file: Any, symbols: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a VaspRun that come from its ionic steps and k-points."""
    dynamics = file.get("intermediate/ion_dynamics", {})
    lattices, positions, forces, stress, energies = (
        np.asarray(dynamics[name][()], dtype=np.float64) if name in dynamics else None
        for name in ("lattice_vectors", "position_ions", "forces", "stress", "energies")
    )
    ends: list[Crystal | None] = [None, None]
    if lattices is not None and positions is not None and len(lattices) and len(positions):
        ends = [crystal_of(lattices[step], positions[step], symbols) for step in (0, -1)]
    if ends[1] is None:
        at_end = file["results/positions"]
        lattice = np.asarray(at_end["lattice_vectors"][()], dtype=np.float64) * float(at_end["scale"][()])
        ends = [crystal_of(lattice, np.asarray(at_end["position_ions"][()], dtype=np.float64), symbols)] * 2
    changes = [] if energies is None else [abs(energies[-1, 0] - row[0]) for row in energies[-3:-1]]
    last_two: list[StepArrays] = []
    if lattices is not None and positions is not None and forces is not None:
        last_two = [
            (lattices[step], positions[step], forces[step], None if stress is None else stress[step])
            for step in range(len(lattices))[-2:]
        ]
    mode = _text(file["input/kpoints/mode"][()]) if "input/kpoints/mode" in file else ""
    return {
        "initial": ends[0],
        "final": ends[1],
        "n_steps": 1 if energies is None else len(energies),
        "largest_force": None if forces is None or not len(forces) else largest_force(forces[-1]),
        "largest_stress": None if stress is None or not len(stress) else float(np.abs(stress[-1]).max()),
        "energy_change": float(min(changes)) if changes else None,
        "expected_change": expected_change(last_two[0], last_two[1]) if len(last_two) == 2 else None,
        "on_path": mode[:1].lower() == "l",
    }


def _dos(file: Any, path: Path) -> dict[str, Any]:
    """Return the fields of a VaspDos in addition to those of a VaspRun."""
    results = file["results"]
    dos = results["electron_dos"]
    if "dospar" not in dos:
        raise VaspReadError(f"{path}: has no projected DOS; the calculation needs LORBIT=11")
    names = [_text(name) for name in results["projectors/lchar"][()]]
    partial = np.asarray(dos["dospar"][()], dtype=np.float64)
    energies = np.asarray(dos["energies"][()], dtype=np.float64)
    n_total = len(dos["dos"])
    n_spins = n_total if n_total <= 2 else 1  # four in a non-collinear run
    if partial.ndim != 4 or partial.shape[1] < n_spins or partial.shape[2:] != (len(names), len(energies)):
        raise VaspReadError(
            f"{path}: dospar has shape {partial.shape}, must be (sites, {n_spins} spins, {len(names)} orbitals, "
            f"{len(energies)} energies)"
        )
    pdos = {
        place: {
            name: {1 - 2 * spin: site[spin, orbital] for spin in range(n_spins)} for orbital, name in enumerate(names)
        }
        for place, site in enumerate(partial)
    }
    return {"energies": energies, "efermi": float(dos["efermi"][()]), "pdos": pdos, "n_spins": n_spins}


def _text(value: Any) -> str:
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip()


def _tag(value: Any) -> Any:
    if isinstance(value, bytes):
        return _text(value)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _total_energy(file: Any) -> float | None:
    """Return the energy of the last ionic step for sigma -> 0, eV per cell."""
    dynamics = file.get("intermediate/ion_dynamics")
    if dynamics is None or "energies" not in dynamics or not len(dynamics["energies"]):
        return None
    tags = [_text(tag) for tag in dynamics["energies_tags"][()]]
    return float(dynamics["energies"][-1, tags.index(_SIGMA_TO_0)]) if _SIGMA_TO_0 in tags else None


def _potcars(file: Any) -> dict[str, tuple[Any, ...]]:
    """Return titles and valences of the POTCARs; no valences if pymatgen replaced the POTCAR by its ``spec``."""
    if "input/potcar/content" in file:
        content = _text(file["input/potcar/content"][()])
        return {
            "potcars": tuple(title.strip() for title in _TITEL.findall(content)),
            "valences": tuple(float(valence) for valence in _ZVAL.findall(content)),
        }
    spec = json.loads(_text(file["input/potcar/spec"][()])) if "input/potcar/spec" in file else []
    return {"potcars": tuple(str(each["titel"]).strip() for each in spec), "valences": ()}


def _version(file: Any) -> str:
    version = file.get("version")
    return ".".join(str(version[part][()]) for part in ("major", "minor", "patch")) if version is not None else ""
