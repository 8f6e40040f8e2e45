"""Real calculations through the files: projections, convergence as VASP's parsers see it, a killed run."""

import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.gpaw

Cell = tuple[list[str], np.ndarray, np.ndarray]
RunProgram = Callable[..., Path]


@pytest.fixture
def l10_pdhg() -> Cell:
    """PdHg, L1_0: tetragonal, so that pz differs from px and py."""
    return ["Pd", "Hg"], np.diag([3.06, 3.06, 3.86]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture
def b19_cdau() -> Cell:
    """CdAu, B19: orthorhombic (Pmma), four atoms, glide planes."""
    positions = [[0.25, 0.0, 0.31], [0.75, 0.0, 0.69], [0.25, 0.5, 0.81], [0.75, 0.5, 0.19]]
    return ["Cd", "Cd", "Au", "Au"], np.diag([4.975, 3.184, 4.86]), np.array(positions)


@pytest.fixture
def l12_cu3au() -> Cell:
    """Cu3Au, L1_2: three copper atoms on equivalent sites."""
    positions = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return ["Au", "Cu", "Cu", "Cu"], np.eye(3) * 3.786, positions


def parse(directory: Path) -> object:
    from pymatgen.io.vasp import Vasprun

    return Vasprun(str(directory / "vasprun.xml"), parse_potcar_file=False)


def projected(directory: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Return energies, pDOS (atoms, 9, energies; both spins added) and Fermi level as pymatgen reads them."""
    dos = parse(directory).complete_dos
    table = [[sum(channels.values()) for channels in dos.pdos[site].values()] for site in dos.structure]
    return np.array(dos.energies), np.array(table), float(dos.efermi)


@pytest.mark.parametrize("crystal", ["b2_cdau", "l10_pdhg", "b19_cdau"])
def test_symmetrised_projections_equal_a_run_without_symmetry(
    crystal: str, request: pytest.FixtureRequest, run_vasp_gpaw: RunProgram
) -> None:
    cell = request.getfixturevalue(crystal)
    mesh = (3, 3, 3) if crystal == "b2_cdau" else (3, 3, 2) if crystal == "l10_pdhg" else (3, 3, 1)
    options = {"mesh": mesh, "EDIFF": 1e-7, "EMIN": -15, "EMAX": 15}
    symmetric = run_vasp_gpaw(f"{crystal}-symmetric", cell, ISYM=2, **options)
    full = run_vasp_gpaw(f"{crystal}-full", cell, ISYM=-1, **options)
    energies, with_symmetry, fermi = projected(symmetric)
    _, without, fermi_full = projected(full)
    assert fermi == pytest.approx(fermi_full, abs=1e-3)
    assert len(parse(symmetric).actual_kpoints) < len(parse(full).actual_kpoints)
    occupied = energies < fermi
    # Electrons in each orbital of each atom, and the shape of each channel.
    step = energies[1] - energies[0]
    charges, charges_full = (table[..., occupied].sum(axis=-1) * step for table in (with_symmetry, without))
    assert charges == pytest.approx(charges_full, abs=2e-3)
    assert with_symmetry[..., occupied] == pytest.approx(without[..., occupied], abs=0.02 * without.max())


def test_a_cubic_site_has_degenerate_p_and_t2g_and_eg_orbitals(b2_cdau: Cell, run_vasp_gpaw: RunProgram) -> None:
    directory = run_vasp_gpaw("b2_cdau-symmetric", b2_cdau, ISYM=2, EDIFF=1e-7, EMIN=-15, EMAX=15)
    _, table, _ = projected(directory)  # s py pz px dxy dyz dz2 dxz dx2-y2
    for site in table:
        for group in ([1, 2, 3], [4, 5, 7], [6, 8]):
            assert site[group] == pytest.approx(np.repeat(site[group[:1]], len(group), axis=0), abs=1e-5)
        assert abs(site[4] - site[6]).max() > 0.1


def test_equivalent_sites_agree_and_charges_are_sensible(l12_cu3au: Cell, run_vasp_gpaw: RunProgram) -> None:
    from pymatgen.io.vasp import Outcar

    directory = run_vasp_gpaw("l12_cu3au", l12_cu3au, EMIN=-15, EMAX=15)
    energies, table, fermi = projected(directory)
    totals = np.stack([table[:, :1].sum(axis=1), table[:, 1:4].sum(axis=1), table[:, 4:].sum(axis=1)], axis=1)
    assert totals[2] == pytest.approx(totals[1], abs=1e-5)
    assert totals[3] == pytest.approx(totals[1], abs=1e-5)
    vasprun, outcar = parse(directory), Outcar(str(directory / "OUTCAR"))
    electrons = vasprun.parameters["NELECT"]
    assert electrons == 44  # 4 x 11
    total = vasprun.tdos.get_densities()
    step = energies[1] - energies[0]
    assert total[energies <= fermi].sum() * step == pytest.approx(electrons, abs=1.0)
    inside = table[..., energies <= fermi].sum() * step
    assert 0.75 * electrons < inside < electrons
    for charge in outcar.charge:
        assert 8.0 < charge["d"] < 10.0
    assert sum(charge["tot"] for charge in outcar.charge) == pytest.approx(inside, abs=1.0)


def test_emmet_reads_a_run_and_keeps_the_nine_orbitals(b2_cdau: Cell, run_vasp_gpaw: RunProgram) -> None:
    tasks = pytest.importorskip("emmet.core.tasks")
    directory = run_vasp_gpaw("spin", b2_cdau, ISPIN=2, MAGMOM=[0.6, 0.6])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        document = tasks.TaskDoc.from_directory(directory, parse_dos=True)
    ours = [str(item.message) for item in caught if "POTCAR" not in str(item.message)]
    ours = [text for text in ours if "deprecat" not in text.lower() and "OLD_ERROR_HANDLING" not in text]
    assert not ours
    assert document.state == "successful"
    assert "gpaw" in document.calcs_reversed[0].vasp_version
    assert document.calcs_reversed[0].run_type.value == "PBE"
    dos = parse(directory).complete_dos
    assert all(
        len(dos.pdos[site]) == 9 and len(channel) == 2 for site in dos.structure for channel in dos.pdos[site].values()
    )


def test_a_run_out_of_electronic_steps_is_seen_as_unconverged(b2_cdau: Cell, run_vasp_gpaw: RunProgram) -> None:
    handlers = pytest.importorskip("custodian.vasp.handlers")
    directory = run_vasp_gpaw("nelm", b2_cdau, NELM=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vasprun = parse(directory)
        assert handlers.UnconvergedErrorHandler().check(str(directory))
    assert not vasprun.converged_electronic
    assert vasprun.nionic_steps == 1
    assert len(vasprun.ionic_steps[0]["electronic_steps"]) == 3
    assert np.isfinite(vasprun.ionic_steps[0]["forces"]).all()


def test_a_relaxation_out_of_steps_is_seen_as_unconverged(b2_cdau: Cell, run_vasp_gpaw: RunProgram) -> None:
    from pymatgen.io.vasp import Oszicar, Poscar

    symbols, lattice, positions = b2_cdau
    options = {"NSW": 2, "IBRION": 2, "ISIF": 3, "EDIFFG": -0.03}
    directory = run_vasp_gpaw("nsw", (symbols, lattice * 1.03, positions), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vasprun = parse(directory)
    assert vasprun.converged_electronic
    assert not vasprun.converged_ionic
    assert len(Oszicar(str(directory / "OSZICAR")).ionic_steps) == 2
    assert "reached required accuracy" not in (directory / "OUTCAR").read_text()
    contcar = Poscar.from_file(str(directory / "CONTCAR")).structure
    assert contcar.volume == pytest.approx(vasprun.final_structure.volume, rel=1e-6)
    assert contcar.volume < 0.99 * vasprun.initial_structure.volume


def test_a_killed_run_leaves_its_steps_but_no_vasprun(b2_cdau: Cell, run_vasp_gpaw: RunProgram, tmp_path: Path) -> None:
    source = run_vasp_gpaw("nelm", b2_cdau, NELM=3)
    for name in ("POSCAR", "KPOINTS"):
        (tmp_path / name).write_text((source / name).read_text())
    (tmp_path / "INCAR").write_text((source / "INCAR").read_text().replace("NELM = 3", "NELM = 60"))
    (tmp_path / "vasprun.xml").write_text("of an earlier run")
    process = subprocess.Popen(
        [sys.executable, "-m", "workflows.gpaw_vasp", "--directory", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    try:
        while "DAV:" not in (oszicar.read_text() if (oszicar := tmp_path / "OSZICAR").exists() else ""):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "vasprun.xml").exists()
    assert "Iteration" in (tmp_path / "OUTCAR").read_text()


def test_stop_asked_for_ends_a_relaxation_after_its_step(b2_cdau: Cell, tmp_path: Path) -> None:
    from workflows.gpaw_vasp.program import stop_requested

    assert not stop_requested(tmp_path)
    (tmp_path / "STOPCAR").write_text("LSTOP = .TRUE.\n")
    assert stop_requested(tmp_path)
