"""The output files, written from made-up numbers, are what pymatgen, custodian and emmet read in them."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from workflows.gpaw_vasp.contcar import write_contcar, write_xdatcar
from workflows.gpaw_vasp.dos import ORBITALS, density_of_states, occupation
from workflows.gpaw_vasp.doscar import write_doscar
from workflows.gpaw_vasp.incar import Tags
from workflows.gpaw_vasp.kpoints import KMesh
from workflows.gpaw_vasp.oszicar import Oszicar
from workflows.gpaw_vasp.outcar import OutcarWriter
from workflows.gpaw_vasp.poscar import Poscar
from workflows.gpaw_vasp.relaxation import STRESS_TOLERANCE, relax
from workflows.gpaw_vasp.results import ElectronicStructure, IonicStep, RunResult, ScfStep
from workflows.gpaw_vasp.settings import Settings, build_settings
from workflows.gpaw_vasp.vasprun import write_vasprun

CELL = np.diag([3.3, 3.4, 3.5])
POSITIONS = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])


def settings_for(**tags: object) -> Settings:
    pytest.importorskip("gpaw_data", reason="gpaw-data is not installed (extra 'gpaw')")
    poscar = Poscar("Cd1 Au1", ("Cd", "Au"), CELL, POSITIONS)
    everything: Tags = {"LORBIT": 11, "NEDOS": 301, "NELM": 30, "ISMEAR": 0, "SIGMA": 0.1, "GGA": "PE"} | tags  # type: ignore[assignment]
    titles = ["PAW_PBE Cd GPAW", "PAW_PBE Au GPAW"]
    return build_settings(everything, ignored=[], poscar=poscar, titles=titles, mesh=KMesh((2, 2, 2)))


def ionic_step(*, energy: float = -4.5, scf: int = 5, converged: bool = True, stress: float = 0.0) -> IonicStep:
    steps = tuple(ScfStep(energy + 0.1 / (i + 1), -0.002, energy + 0.1 / (i + 1) + 0.001, 1e-3) for i in range(scf))
    forces = np.array([[0.01, 0.0, -0.02], [-0.01, 0.0, 0.02]])
    return IonicStep(CELL, POSITIONS, forces, np.eye(3) * stress, steps, converged, moment=1.25)


def bands(settings: Settings) -> ElectronicStructure:
    generator = np.random.default_rng(7)
    spins, points, count = settings.ispin, 4, 18
    eigenvalues = np.sort(generator.uniform(-8, 9, (spins, points, count)), axis=-1)
    weights = np.array([0.125, 0.375, 0.375, 0.125])
    fermi = fermi_level(eigenvalues, weights, settings)
    return ElectronicStructure(
        kpoints=generator.uniform(-0.5, 0.5, (points, 3)),
        weights=weights,
        eigenvalues=eigenvalues,
        occupations=occupation((fermi - eigenvalues) / settings.width, settings),
        projections=generator.uniform(0, 0.06, (spins, points, count, 2, 9)),
        fermi=fermi,
        electrons=settings.nelect,
        grid_points=4096,
        plane_waves=np.array([200, 201, 202, 203]),
    )


def fermi_level(eigenvalues: np.ndarray, weights: np.ndarray, settings: Settings) -> float:
    from scipy.optimize import brentq

    def excess(fermi: float) -> float:
        filled = occupation((fermi - eigenvalues) / settings.width, settings)
        return float(np.einsum("skb,k->", filled, weights) * (3 - settings.ispin) - settings.nelect)

    return float(brentq(excess, -30, 30, xtol=1e-12))


def write_all(directory: Path, settings: Settings, steps: list[IonicStep], relaxed: bool | None = None) -> None:
    result = RunResult(steps=steps, electrons=bands(settings), relaxed=relaxed)
    dos = density_of_states(bands(settings), settings)
    outcar, oszicar = OutcarWriter(directory / "OUTCAR", settings), Oszicar(directory / "OSZICAR", echo=lambda _: None)
    outcar.header()
    for step in steps:
        for number, scf in enumerate(step.scf, start=1):
            outcar.scf_step(number, scf)
            oszicar.scf_step(number, scf)
        outcar.ionic_step(step)
        oszicar.ionic_step(step, spin=settings.ispin == 2)
    write_contcar(directory / "CONTCAR", settings.poscar, steps[-1])
    write_contcar(directory / "POSCAR", settings.poscar, steps[0])
    write_xdatcar(directory / "XDATCAR", settings.poscar, steps)
    write_doscar(directory / "DOSCAR", settings, bands(settings), dos)
    write_vasprun(directory / "vasprun.xml", settings, result, dos)
    outcar.finish(result)
    outcar.close()
    oszicar.close()
    (directory / "INCAR").write_text("".join(f"{name} = {value}\n" for name, value in settings.tags.items()))
    (directory / "KPOINTS").write_text("mesh\n0\nGamma\n2 2 2\n0 0 0\n")


@pytest.fixture(params=[1, 2], ids=["no-spin", "spin"])
def spin(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_pymatgen_reads_everything_without_a_warning(tmp_path: Path, spin: int) -> None:
    from pymatgen.electronic_structure.core import Orbital, Spin
    from pymatgen.io.vasp import Oszicar as OszicarFile
    from pymatgen.io.vasp import Outcar, Poscar, Vasprun, Xdatcar

    settings = settings_for(ISPIN=spin)
    write_all(tmp_path, settings, [ionic_step()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vasprun = Vasprun(str(tmp_path / "vasprun.xml"), parse_potcar_file=False)
        outcar = Outcar(str(tmp_path / "OUTCAR"))
        oszicar = OszicarFile(str(tmp_path / "OSZICAR"))
        contcar = Poscar.from_file(str(tmp_path / "CONTCAR"))
    expected = bands(settings)
    assert len(Xdatcar(str(tmp_path / "XDATCAR")).structures) == 1
    assert "gpaw" in vasprun.vasp_version
    assert (tmp_path / "OUTCAR").read_text().splitlines()[0].endswith("NOT VASP")
    assert vasprun.run_type == "PBE"
    assert vasprun.is_spin == (spin == 2)
    assert vasprun.final_energy == pytest.approx(ionic_step().energy.extrapolated)
    assert oszicar.final_energy == pytest.approx(vasprun.final_energy)
    assert outcar.final_energy == pytest.approx(vasprun.final_energy)
    assert outcar.efermi == pytest.approx(expected.fermi, abs=1e-3)
    assert outcar.nelect == pytest.approx(settings.nelect)
    assert outcar.run_stats["Total CPU time used (sec)"] > 0
    assert outcar.drift
    assert len(outcar.charge) == 2
    assert len(outcar.magnetization) == (2 if spin == 2 else 0)
    assert contcar.structure.lattice.abc == pytest.approx((3.3, 3.4, 3.5))
    dos = vasprun.complete_dos
    grid = density_of_states(expected, settings)
    for site_number, site in enumerate(dos.structure):
        assert len(dos.pdos[site]) == 9
        for orbital_number, orbital in enumerate(Orbital[name.replace("x2-y2", "dx2_y2")] for name in ORBITALS):
            for spin_number, channel in enumerate([Spin.up, Spin.down][:spin]):
                found = dos.pdos[site][orbital][channel]
                assert found == pytest.approx(grid.partial[site_number, spin_number, :, orbital_number], abs=1e-6)


def test_eigenvalues_and_kpoints_come_back(tmp_path: Path, spin: int) -> None:
    from pymatgen.electronic_structure.core import Spin
    from pymatgen.io.vasp import Vasprun

    settings = settings_for(ISPIN=spin)
    write_all(tmp_path, settings, [ionic_step()])
    vasprun = Vasprun(str(tmp_path / "vasprun.xml"), parse_potcar_file=False)
    expected = bands(settings)
    assert vasprun.eigenvalues[Spin.up][..., 0] == pytest.approx(expected.eigenvalues[0], abs=1e-5)
    assert vasprun.eigenvalues[Spin.up][..., 1] == pytest.approx(expected.occupations[0], abs=1e-5)
    assert np.array(vasprun.actual_kpoints) == pytest.approx(expected.kpoints, abs=1e-7)
    assert sum(vasprun.actual_kpoints_weights) == pytest.approx(1)
    assert vasprun.kpoints.kpts[0] == (2, 2, 2)


@pytest.mark.parametrize(
    ("scf", "scf_converged", "ions", "relaxed", "electronic", "ionic"),
    [(5, True, 3, True, True, True), (30, False, 3, False, False, True), (5, True, 8, False, True, False)],
    ids=["converged", "electrons-not", "ions-not"],
)
def test_convergence_is_seen_as_it_was(
    tmp_path: Path, scf: int, scf_converged: bool, ions: int, relaxed: bool, electronic: bool, ionic: bool
) -> None:
    from pymatgen.io.vasp import Vasprun

    settings = settings_for(NSW=8, IBRION=2, ISIF=3)
    steps = [ionic_step() for _ in range(ions - 1)] + [ionic_step(scf=scf, converged=scf_converged)]
    write_all(tmp_path, settings, steps, relaxed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of unconverged runs, as it should
        vasprun = Vasprun(str(tmp_path / "vasprun.xml"), parse_potcar_file=False)
    assert vasprun.converged_electronic is electronic
    assert vasprun.converged_ionic is ionic
    assert ("reached required accuracy" in (tmp_path / "OUTCAR").read_text()) is relaxed


def test_emmet_makes_a_task_document_of_it(tmp_path: Path, spin: int) -> None:
    tasks = pytest.importorskip("emmet.core.tasks")
    write_all(tmp_path, settings_for(ISPIN=spin, NSW=5, IBRION=2, ISIF=3), [ionic_step(), ionic_step()], True)
    document = tasks.TaskDoc.from_directory(tmp_path, parse_dos=True)
    assert document.state == "successful"
    assert "gpaw" in document.calcs_reversed[0].vasp_version
    assert document.output.energy == pytest.approx(ionic_step().energy.extrapolated)
    assert next(iter(document.run_stats.values())).total_time > 0
    assert document.input.pseudo_potentials.functional == "PBE"


def test_custodian_sees_the_entropy_and_the_energies_of_each_step(tmp_path: Path) -> None:
    handlers = pytest.importorskip("custodian.vasp.handlers")
    write_all(tmp_path, settings_for(NSW=5, IBRION=2, ISIF=3), [ionic_step(), ionic_step()], True)
    large = handlers.LargeSigmaHandler(e_entropy_tol=0.0005)
    assert large.check(str(tmp_path))
    assert large.entropy_per_atom == pytest.approx(0.001)
    assert not handlers.LargeSigmaHandler(e_entropy_tol=0.002).check(str(tmp_path))
    assert not handlers.PotimErrorHandler().check(str(tmp_path))
    assert not handlers.UnconvergedErrorHandler().check(str(tmp_path))


def test_the_integrated_dos_holds_all_electrons_and_stops_at_the_fermi_level(spin: int) -> None:
    for ismear in (-5, -1, 0, 1, 2):
        settings = settings_for(ISPIN=spin, ISMEAR=ismear, NEDOS=4001)
        structure = bands(settings)
        dos = density_of_states(structure, settings)
        at_fermi = sum(np.interp(structure.fermi, dos.energies, channel) for channel in dos.integrated)
        assert at_fermi == pytest.approx(settings.nelect, abs=0.05), ismear
        step = dos.energies[1] - dos.energies[0]
        assert dos.total.sum() * step == pytest.approx(2 * 18, rel=1e-2)


@hypothesis_settings(deadline=None)
@given(st.integers(3, 60))
def test_a_coarse_grid_loses_no_electrons(points: int) -> None:
    settings = settings_for(NEDOS=points, EMIN=-10.0, EMAX=12.0)
    structure = bands(settings)
    dos = density_of_states(structure, settings)
    step = dos.energies[1] - dos.energies[0]
    assert dos.total.sum() * step == pytest.approx(36, abs=1e-6)
    filled = structure.degeneracy * np.einsum("skbao,k->ao", structure.projections, structure.weights)
    assert dos.partial.sum(axis=(1, 2)) * step == pytest.approx(filled, abs=1e-6)


def test_doscar_has_the_columns_of_vasp(tmp_path: Path, spin: int) -> None:
    settings = settings_for(ISPIN=spin)
    write_all(tmp_path, settings, [ionic_step()])
    lines = (tmp_path / "DOSCAR").read_text().splitlines()
    assert len(lines) == 5 + 3 * 302
    assert len(lines[7].split()) == 1 + 2 * spin
    assert len(lines[6 + 302].split()) == 1 + 9 * spin


def test_an_interrupted_write_leaves_no_vasprun(tmp_path: Path) -> None:
    settings = settings_for()
    result = RunResult(steps=[ionic_step()], electrons=bands(settings))
    dos = density_of_states(bands(settings), settings)
    broken = Settings(**{**settings.__dict__, "titles": ("one title only",)})
    with pytest.raises(ValueError, match="zip"):
        write_vasprun(tmp_path / "vasprun.xml", broken, result, dos)
    assert not (tmp_path / "vasprun.xml").exists()


def solver(modulus: float, volume: float) -> Callable[[np.ndarray, np.ndarray], IonicStep]:
    """Return a crystal that is a spring: energy 1/2 modulus (V - V0)^2 / V0, pressure to match (kB)."""

    def solve(cell: np.ndarray, positions: np.ndarray) -> IonicStep:
        now = abs(np.linalg.det(cell))
        pressure = -modulus * (now - volume) / volume
        energy = 0.5 * modulus * (now - volume) ** 2 / volume / 1602.1766208
        scf = (ScfStep(energy, 0.0, energy),)
        return IonicStep(cell, positions, np.zeros((2, 3)), np.eye(3) * pressure, scf, True)

    return solve


@hypothesis_settings(deadline=None)
@given(st.floats(150, 4000), st.floats(0.9, 1.1))
def test_soft_and_stiff_cells_relax_to_the_same_volume_from_both_sides(modulus: float, start: float) -> None:
    settings = settings_for(NSW=60, IBRION=2, ISIF=3, EDIFFG=-0.03)
    volume = start * abs(np.linalg.det(CELL))
    relaxation = relax(settings, solver(modulus, volume))
    assert relaxation.reached
    assert len(relaxation.steps) <= 12
    assert abs(relaxation.steps[-1].stress).max() <= STRESS_TOLERANCE
    assert relaxation.steps[-1].volume == pytest.approx(volume, rel=1.1 * STRESS_TOLERANCE / modulus)


def test_a_relaxation_that_runs_out_of_steps_is_not_called_relaxed() -> None:
    settings = settings_for(NSW=2, IBRION=2, ISIF=3, EDIFFG=-0.03)
    relaxation = relax(settings, solver(1000, 30))
    assert not relaxation.reached
    assert len(relaxation.steps) == 2


def test_ions_only_leaves_the_cell_alone() -> None:
    settings = settings_for(NSW=5, IBRION=1, ISIF=2, EDIFFG=-0.03)
    relaxation = relax(settings, solver(1000, 30))
    assert relaxation.reached
    assert relaxation.steps[-1].cell == pytest.approx(CELL)
