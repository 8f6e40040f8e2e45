"""CONTCAR and XDATCAR."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workflows.gpaw_vasp.poscar import Poscar
from workflows.gpaw_vasp.results import IonicStep


def poscar_text(poscar: Poscar, cell: np.ndarray, positions: np.ndarray) -> str:
    """Return a structure in VASP 5 format; the cell (3, 3) in A, the positions (N, 3) fractional."""
    lines = [poscar.comment or "unknown system", "1.0", *_lattice(cell), *_species(poscar), "Direct"]
    lines += ["".join(f"{item:21.16f}" for item in row) for row in positions]
    return "\n".join(lines) + "\n"


def write_contcar(path: Path, poscar: Poscar, step: IonicStep) -> None:
    """Write a geometry atomically, so that CONTCAR is always complete."""
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(poscar_text(poscar, step.cell, step.positions), encoding="utf-8")
    os.replace(scratch, path)


def write_xdatcar(path: Path, poscar: Poscar, steps: Sequence[IonicStep]) -> None:
    """Write the path of a relaxation, each step with its own cell."""
    lines: list[str] = []
    for number, step in enumerate(steps, start=1):
        lines += [poscar.comment or "unknown system", "           1", *_lattice(step.cell), *_species(poscar)]
        lines.append(f"Direct configuration={number:6d}")
        lines += ["".join(f"{item:12.8f}" for item in row) for row in step.positions]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lattice(cell: np.ndarray) -> list[str]:
    return ["".join(f"{item:21.16f}" for item in row) for row in cell]


def _species(poscar: Poscar) -> list[str]:
    groups = poscar.groups()
    names, counts = [symbol for symbol, _ in groups], [str(count) for _, count in groups]
    return ["   ".join(names), "   ".join(counts)]
