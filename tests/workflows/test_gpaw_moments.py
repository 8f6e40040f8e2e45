"""Moments of a real run of the project's own engine must be pymatgen's, spin by spin and orbital by orbital."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pymatgen_moments import moments_of_pymatgen, own_energies

from esnet.representation.dos import ENERGY_GRID, project_dos
from esnet.representation.moments import MOMENTS, moments

pytestmark = pytest.mark.gpaw

Cell = tuple[list[str], np.ndarray, np.ndarray]
RunProgram = Callable[..., Path]


def test_moments_of_a_gpaw_run_are_those_of_pymatgen(b2_cdau: Cell, run_vasp_gpaw: RunProgram) -> None:
    from pymatgen.io.vasp import Vasprun

    directory = run_vasp_gpaw("spin", b2_cdau, ISPIN=2, MAGMOM=[0.6, 0.6])
    complete_dos = Vasprun(str(directory / "vasprun.xml"), parse_potcar_file=False).complete_dos
    found = moments(project_dos(complete_dos), efermi=complete_dos.efermi)
    assert found.mask.all()

    # the same grid and window: float32 features are all that lies between
    assert found.values == pytest.approx(moments_of_pymatgen(complete_dos, ENERGY_GRID), rel=1e-5, abs=1e-6)

    # the engine's own energies in the window: straight lines between them, sampled at other places, are between
    energies = own_energies(complete_dos)
    own = moments_of_pymatgen(complete_dos, energies).reshape(18, 5)
    step = float(np.diff(complete_dos.energies).mean())
    for place, name in enumerate(MOMENTS[:3]):
        assert found.values[place::5] == pytest.approx(own[:, place], abs=0.5 * step), name
    for place, name in enumerate(MOMENTS[3:], start=3):
        assert found.values[place::5] == pytest.approx(own[:, place], rel=0.02, abs=0.02), name
