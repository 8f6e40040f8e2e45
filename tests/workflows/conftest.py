"""Runs of ``vasp-gpaw`` for the tests of its outputs, each computed once in a session."""

import contextlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

INCAR_STATIC = {
    "GGA": "PE",
    "ENCUT": 400,
    "ISPIN": 1,
    "EDIFF": 1e-5,
    "NELM": 60,
    "NSW": 0,
    "ISMEAR": 0,
    "SIGMA": 0.1,
    "LORBIT": 11,
    "NEDOS": 601,
}

Cell = tuple[list[str], np.ndarray, np.ndarray]
RunProgram = Callable[..., Path]


def write_inputs(directory: Path, cell: Cell, *, mesh: tuple[int, int, int], tags: dict[str, object]) -> None:
    """Write INCAR, POSCAR and a Gamma-centred KPOINTS with pymatgen, as atomate2 does."""
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.vasp import Incar, Kpoints, Poscar

    symbols, lattice, positions = cell
    directory.mkdir(parents=True, exist_ok=True)
    Incar(tags).write_file(str(directory / "INCAR"))
    Poscar(Structure(Lattice(lattice), symbols, positions)).write_file(str(directory / "POSCAR"))
    Kpoints.gamma_automatic(kpts=mesh).write_file(str(directory / "KPOINTS"))


@pytest.fixture
def b2_cdau() -> Cell:
    """CdAu, B2, at its equilibrium."""
    return ["Cd", "Au"], np.eye(3) * 3.376, np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture(scope="session")
def run_vasp_gpaw(tmp_path_factory: pytest.TempPathFactory) -> RunProgram:
    """Run the program in a folder of its own; the same name is computed once only."""
    pytest.importorskip("gpaw", reason="GPAW is not installed (extra 'gpaw')")
    done: dict[str, Path] = {}

    def run(name: str, cell: Cell, *, mesh: tuple[int, int, int] = (3, 3, 3), **tags: object) -> Path:
        from workflows.gpaw_vasp.program import run as run_program

        if name not in done:
            directory = tmp_path_factory.mktemp(name)
            write_inputs(directory, cell, mesh=mesh, tags=INCAR_STATIC | tags)
            with (directory / "vasp.out").open("w") as out, contextlib.redirect_stdout(out):
                run_program(directory)
            done[name] = directory
        return done[name]

    return run


@pytest.fixture(scope="session")
def relaxation_benchmark() -> ModuleType:
    """The module benchmarks/relaxation.py."""
    path = Path(__file__).parents[2] / "benchmarks" / "relaxation.py"
    spec = importlib.util.spec_from_file_location("relaxation_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
