"""The mesh of k-points: a KPOINTS file, or KSPACING and KGAMMA."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workflows.gpaw_vasp.errors import InputRefused
from workflows.gpaw_vasp.incar import Value, logical, number

Style = Literal["Gamma", "Monkhorst-Pack"]


@dataclass(frozen=True)
class KMesh:
    """A regular mesh, as VASP builds it.

    Attributes
    ----------
    size
        Divisions along the three reciprocal vectors.
    style
        ``Gamma``: k = (i + s) / N. ``Monkhorst-Pack``: k = (i + s + (1 - N) / 2) / N, which excludes Gamma if N is
        even.
    shift
        s, in units of the mesh's own steps.
    """

    size: tuple[int, int, int]
    style: Style = "Gamma"
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def points(self) -> np.ndarray:
        """Return all points (N1 * N2 * N3, 3) of the mesh in units of the reciprocal vectors, in (-1/2, 1/2]."""
        axes = []
        for count, shift in zip(self.size, self.shift, strict=True):
            start = (1 - count) / 2 if self.style == "Monkhorst-Pack" else 0.0
            axes.append((np.arange(count) + shift + start) / count)
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        folded = grid - np.floor(grid + 0.5 - 1e-9)
        return np.where(abs(folded) < 1e-12, 0.0, folded)


def read_mesh(kpoints: str | None, tags: Mapping[str, Value], cell: np.ndarray) -> KMesh:
    """Build the mesh requested by the inputs.

    Parameters
    ----------
    kpoints
        Text of the KPOINTS file. If None, KSPACING (default 0.5 1/A) and KGAMMA apply.
    cell : ndarray, shape (3, 3)
        Lattice vectors in A, as rows.

    Raises
    ------
    InputRefused
        If the file lists points or lines or cannot be read, or KSPACING is not positive.
    """
    lengths = np.linalg.norm(np.linalg.inv(np.asarray(cell, dtype=float)), axis=0)  # 1/A, without 2 pi
    if kpoints is None:
        spacing = number(tags, "KSPACING", 0.5)
        if spacing <= 0:
            raise InputRefused(f"INCAR: KSPACING = {spacing} must be positive (1/A), for example 0.3")
        counts = [max(1, math.ceil(2 * math.pi * length / spacing - 1e-9)) for length in lengths]
        style: Style = "Gamma" if logical(tags, "KGAMMA", default=True) else "Monkhorst-Pack"
        return KMesh(size=(counts[0], counts[1], counts[2]), style=style)
    return _from_file(kpoints.splitlines(), lengths)


def _from_file(lines: list[str], lengths: np.ndarray) -> KMesh:
    if len(lines) < 4:
        raise InputRefused(f"KPOINTS: {len(lines)} lines found, at least 4 are needed for a mesh")
    first = lines[1].split()
    if not first or first[0] != "0":
        raise InputRefused(
            f"KPOINTS: line 2 says {lines[1].strip()!r}: lists and lines of k-points are refused; write 0 there"
            " and a Gamma or Monkhorst-Pack mesh"
        )
    mode = lines[2].strip()[:1].lower()
    if mode == "a":
        length = _numbers(lines[3], 1, "line 4")[0]
        counts = [max(1, int(length * item + 0.5)) for item in lengths]
        return KMesh(size=(counts[0], counts[1], counts[2]))
    if mode not in ("g", "m"):
        raise InputRefused(
            f"KPOINTS: line 3 says {lines[2].strip()!r}: only Gamma, Monkhorst-Pack and Automatic meshes are known"
        )
    size = _numbers(lines[3], 3, "line 4")
    if any(item != int(item) or item < 1 for item in size):
        raise InputRefused(f"KPOINTS: line 4 says {lines[3].strip()!r}: three whole numbers of at least 1 are needed")
    has_shift = len(lines) > 4 and lines[4].strip() != ""
    shift = _numbers(lines[4], 3, "line 5") if has_shift else [0.0, 0.0, 0.0]
    return KMesh(
        size=(int(size[0]), int(size[1]), int(size[2])),
        style="Gamma" if mode == "g" else "Monkhorst-Pack",
        shift=(shift[0], shift[1], shift[2]),
    )


def _numbers(line: str, count: int, where: str) -> list[float]:
    try:
        values = [float(word) for word in line.split()[:count]]
    except ValueError:
        values = []
    if len(values) < count:
        raise InputRefused(f"KPOINTS: {where} says {line.strip()!r}; numbers needed: {count}")
    return values
