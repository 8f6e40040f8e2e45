"""Data from the ionic steps and k-points of a vasprun.xml: crystals, forces, stress, energies."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnet.sources.vasp_dos import Crystal
from esnet.sources.vasprun_stream import VasprunParts

StepArrays = tuple[Any, Any, Any, Any]
"""Lattice, positions, forces and stress of an ionic step; None for those that are missing."""

_ENERGY = re.compile(rb'<i name="(e_fr_energy|e_0_energy)"[^>]*>\s*([^<]*?)\s*</i>')
_VECTOR = re.compile(rb"<v[^>]*>([^<]*)</v>")
_SAME = 1e-5
"""Largest difference of two coordinates or weights that differ only in their last digit."""
_HALF_MESH = 2
"""A mesh whose points all have the same weight is full or halved by inversion; lines have far fewer points."""
_SHORTEST_LINE = 4
_KILOBAR = 1 / 1602.176634
"""One kB in eV/A^3."""
_SMALLEST_VOLUME = 1.0
"""Smallest plausible volume, A^3/atom; a smaller one indicates a damaged file."""


def fields_of_steps(header: Any, parts: VasprunParts, symbols: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a VaspRun that come from its ionic steps and k-points.

    Parameters
    ----------
    header
        The parsed header of the file.
    parts
        The parts of the file.
    symbols
        Element of each site.
    """
    initial = header.find("structure[@name='initialpos']")
    free = None
    if initial is not None and (rows := initial.findall("varray[@name='selective']/v")):
        free = np.array([[word == "T" for word in (row.text or "").split()] for row in rows])
    start = crystal_of(_varray(initial, "basis"), _varray(initial, "positions"), symbols)
    end = crystal_of(_numbers(parts.step, b"basis"), _numbers(parts.step, b"positions"), symbols)
    forces, stress = _numbers(parts.step, b"forces"), _numbers(parts.step, b"stress")
    last_move = [_arrays(step) for step in (parts.step, *parts.previous[:1])]
    return {
        "initial": start,
        "final": end or start,
        "n_steps": parts.n_steps,
        "largest_force": largest_force(forces, free),
        "largest_stress": None if stress is None else float(np.abs(stress).max()),
        "energy_change": _energy_change(parts),
        "expected_change": expected_change(last_move[1], last_move[0], free) if len(last_move) == 2 else None,
        "on_path": _is_path(header.find("kpoints")),
    }


def crystal_of(
    lattice: NDArray[np.float64] | None, positions: NDArray[np.float64] | None, symbols: tuple[str, ...]
) -> Crystal | None:
    """Return the crystal, or None if arrays are missing or do not match the symbols."""
    if lattice is None or positions is None or lattice.shape != (3, 3) or positions.shape != (len(symbols), 3):
        return None
    crystal = Crystal(symbols, lattice, positions)
    is_cell = np.isfinite(lattice).all() and np.isfinite(positions).all() and crystal.volume > _SMALLEST_VOLUME
    return crystal if is_cell else None


def largest_force(forces: NDArray[np.float64] | None, free: NDArray[np.bool_] | None = None) -> float | None:
    """Return the largest force on an atom along the directions that are ``free`` (None: all), eV/A."""
    if forces is None or forces.ndim != 2 or not len(forces):
        return None
    if free is not None and free.shape == forces.shape:
        forces = forces * free
    return float(np.linalg.norm(forces, axis=1).max())


def expected_change(before: StepArrays, after: StepArrays, free: NDArray[np.bool_] | None = None) -> float | None:
    """Return the energy, in eV per cell, that a relaxation may still gain, estimated from its last step.

    This quantity, rather than the energies of two steps, is what VASP's conjugate gradients (IBRION = 2) compare with a
    positive EDIFFG: half the squared gradient divided by the curvature along the last move. As in VASP, a strain is
    converted to a length in A by multiplying it with the square root of the number of atoms. None if an array is
    missing or the curvature is not positive.

    Parameters
    ----------
    before, after
        Lattice (A), fractional positions, forces (eV/A) and stress (kB) of the last two ionic steps.
    free
        Directions in which the atoms may move; all if None.
    """
    cells, places, forces, stresses = zip(before, after, strict=True)
    n = 0 if places[1] is None else len(places[1])
    if not (_are(cells, (3, 3)) and _are(places, (n, 3)) and _are(forces, (n, 3))):
        return None
    if free is not None and free.shape == (n, 3):
        forces = tuple(pull * free for pull in forces)
    middle = (cells[0] + cells[1]) / 2
    if not abs(np.linalg.det(middle)) > n * _SMALLEST_VOLUME:
        return None
    moved = (places[1] - places[0] - np.round(places[1] - places[0])) @ middle
    strain = np.linalg.solve(middle, cells[1] - cells[0])
    if not strain.any():
        work = [np.zeros((3, 3))] * 2  # the cell is fixed
    elif _are(stresses, (3, 3)):
        work = [abs(np.linalg.det(cell)) * _KILOBAR * stress for cell, stress in zip(cells, stresses, strict=True)]
    else:
        return None
    slopes = [np.vdot(pull, moved) + np.vdot(press, strain) for pull, press in zip(forces, work, strict=True)]
    if not slopes[0] > slopes[1]:
        return None
    length = np.vdot(moved, moved) + n * np.vdot(strain, strain)
    gradient = np.vdot(forces[1], forces[1]) + np.vdot(work[1], work[1]) / n
    return float(gradient * length / (slopes[0] - slopes[1]) / 2)


def _are(arrays: Sequence[Any], shape: tuple[int, ...]) -> bool:
    return all(array is not None and array.shape == shape and np.isfinite(array).all() for array in arrays)


def total_energy(step: bytes) -> float | None:
    """Return e_0_energy of a step, eV per cell, with pymatgen's correction.

    Some versions of VASP write a wrong e_0_energy after the last electronic step; the difference of the two energies
    within that step is correct (see pymatgen's ``Vasprun.final_energy``).
    """
    electronic, _, last = step.rpartition(b"</scstep>")
    energies = _energies(last)
    if energies is None:
        return None
    inside = _energies(electronic.rpartition(b"<scstep")[2])
    if inside is None:
        return energies[b"e_0_energy"]
    corrected = round(inside[b"e_0_energy"] - inside[b"e_fr_energy"] + energies[b"e_fr_energy"], 8)
    return corrected if abs(energies[b"e_0_energy"] - corrected) > 1e-7 else energies[b"e_0_energy"]


def _energies(text: bytes) -> dict[bytes, float] | None:
    energies = {name: _float(value) for name, value in _ENERGY.findall(text)}
    return energies if len(energies) == 2 and np.isfinite(list(energies.values())).all() else None


def _arrays(step: bytes) -> StepArrays:
    return _numbers(step, b"basis"), _numbers(step, b"positions"), _numbers(step, b"forces"), _numbers(step, b"stress")


def _energy_change(parts: VasprunParts) -> float | None:
    last, *earlier = [_energies(step.rpartition(b"</scstep>")[2]) for step in (parts.step, *parts.previous)]
    if last is None:
        return None
    changes = [abs(last[b"e_fr_energy"] - step[b"e_fr_energy"]) for step in earlier if step is not None]
    return min(changes, default=None)


def _is_path(kpoints: Any) -> bool:
    """Return whether the k-points lie on lines, judged by VASP's line mode or by the points themselves."""
    if kpoints is None:
        return False
    generation = kpoints.find("generation")
    if generation is not None:
        return bool(generation.get("param") == "listgenerated")
    points, weights = _varray(kpoints, "kpointlist"), _varray(kpoints, "weights")
    if points is None or weights is None or len(points) != len(weights):
        return False
    # k-points with zero weight do not contribute to the DOS
    counted = weights[:, 0] > 0
    points, weights = points[counted], weights[counted, 0]
    if len(points) < _SHORTEST_LINE or np.ptp(weights) > _SAME * weights.max():
        return False
    lengths = [len(np.unique(np.round(column / _SAME) % round(1 / _SAME))) for column in points.T]
    whole_mesh = math.prod(lengths)
    return whole_mesh == max(lengths) or whole_mesh > _HALF_MESH * len(points)


def _varray(element: Any, name: str) -> NDArray[np.float64] | None:
    rows = [] if element is None else element.findall(f".//varray[@name='{name}']/v")
    return _table([row.text or "" for row in rows])


def _numbers(text: bytes, name: bytes) -> NDArray[np.float64] | None:
    """Return the last ``<varray>`` of this name."""
    start = text.rfind(b'<varray name="%s"' % name)
    end = text.find(b"</varray>", start)
    return (
        None
        if start < 0 or end < 0
        else _table([row.decode("ascii", "replace") for row in _VECTOR.findall(text, start, end)])
    )


def _table(rows: list[str]) -> NDArray[np.float64] | None:
    numbers = [[_float(word) for word in row.split()] for row in rows]
    return np.array(numbers) if numbers and len({len(row) for row in numbers}) == 1 and numbers[0] else None


def _float(word: bytes | str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")
