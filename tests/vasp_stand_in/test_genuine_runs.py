"""Outputs of genuine VASP runs through the product's own flows: energies as custodian and emmet read them."""

import gzip
import json
import lzma
from pathlib import Path

import pytest
from emmet.core.tasks import TaskDoc
from jobflow import run_locally
from monty.json import jsanitize
from pymatgen.core import Structure
from pymatgen.io.vasp.outputs import Vasprun

from campaign.hull.corrections import corrected_energies
from workflows.dos import dos_flow
from workflows.engine import engine_command
from workflows.relaxation import relaxation_flow
from workflows.results import calculation_from_task
from workflows.settings import DftSettings

pytestmark = [
    pytest.mark.gpaw,
    # header-only POTCARs are not known to pymatgen, and genuine ones are not beside these outputs
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:jobflow"),
]

VASP = DftSettings(engine="vasp", vasp_command="vasp_std")


def through_the_flow(site, folder, stage):
    """Run the product's flow on the crystal of a genuine run, whose outputs are replayed; return its TaskDoc."""
    structure = Structure.from_str(text_of(folder, "POSCAR"), fmt="poscar")
    site.replay(folder, "-".join(sorted(element.symbol for element in structure.elements)), stage)
    if stage == "static":
        made = dos_flow(structure, VASP, vasp_command=engine_command(VASP, "dos"))
    else:
        made = relaxation_flow(structure, VASP, vasp_command=engine_command(VASP, "relaxation"))
    outputs = run_locally(made, create_folders=True, ensure_success=True, log=False)
    return outputs[made.jobs[0].uuid][1].output


def stored(task):
    """A TaskDoc as jobflow stores it, without what was asked for: a genuine run was asked for something else."""
    document = jsanitize(task, strict=True, enum_values=True)
    document.pop("asked_inputs", None)
    return document


def text_of(folder, name):
    path = folder / f"{name}.gz"
    return gzip.decompress(path.read_bytes()).decode() if path.exists() else (folder / name).read_text()


def own_energies(folder, tmp_path):
    """Final energy of a folder of outputs by pymatgen's Vasprun, which custodian reads, and by emmet."""
    place = tmp_path / "own"
    place.mkdir(exist_ok=True)
    for path in filter(Path.is_file, folder.iterdir()):
        (place / path.name).write_bytes(path.read_bytes())
    if not any(place.glob("CONTCAR*")):
        (place / "CONTCAR").write_text(text_of(folder, "POSCAR"))
    vasprun = Vasprun(next(place.glob("vasprun.xml*")), parse_potcar_file=False, parse_dos=False)
    return float(vasprun.final_energy), TaskDoc.from_directory(place).output.energy


@pytest.fixture
def site(vasp_here, tmp_path, monkeypatch):
    (tmp_path / "launches").mkdir()
    monkeypatch.chdir(tmp_path / "launches")
    return vasp_here


@pytest.mark.parametrize(("number", "energy"), [(1, -10.8504362), (2, -10.84177648)])
def test_the_two_relaxations_of_silicon_have_the_energies_of_atomate2s_own_tests(
    genuine_runs, site, tmp_path, number, energy
):
    folder = genuine_runs / "Si_double_relax" / f"relax_{number}" / "outputs"
    task = through_the_flow(site, folder, "relax")
    assert task.output.energy == energy
    assert own_energies(folder, tmp_path) == (energy, energy)
    kept = calculation_from_task(stored(task))
    assert (kept.energy, kept.vasp_version) == (energy, "6.2.1")


# Fe's first relaxation and that of Al16Cr10 are left out: custodian would have them run again with another smearing
# (LargeSigmaHandler, IncorrectSmearingHandler), and a replay has the same outputs again.
@pytest.mark.parametrize(
    ("name", "stage", "version"),
    [
        ("Fe/GGA_relax_2/outputs", "relax", "5.4.4.18apr17-6-g9f103f2a35"),
        ("Fe/GGA_static/outputs", "static", "5.4.4.18apr17-6-g9f103f2a35"),
        ("Na12Pd4", "relax", "6.2.1"),
        ("NiO", "static", "6.4.1"),
    ],
)
def test_a_genuine_run_keeps_its_energy(genuine_runs, site, tmp_path, name, stage, version):
    folder = genuine_runs / name
    task = through_the_flow(site, folder, stage)
    by_pymatgen, by_emmet = own_energies(folder, tmp_path)
    assert task.output.energy == by_emmet == by_pymatgen
    kept = calculation_from_task(stored(task))
    assert (kept.energy, kept.vasp_version) == (by_emmet, version)
    assert not kept.smearing_changed
    assert kept.cpu_s > 0


def test_vanadium_and_its_oxides_have_the_formation_energies_of_the_materials_project(genuine_runs, site, tmp_path):
    corrected = {}
    for material in ("mp-146", "mp-12957", "mp-18937", "mp-541404"):
        folder = unpacked(genuine_runs / "V-O_mp_workflow" / f"MP_GGA_static_{material}.json.lzma", tmp_path / material)
        task = through_the_flow(site, folder, "static")
        site.forget_replays()
        by_pymatgen, by_emmet = own_energies(folder, tmp_path / material)
        assert task.output.energy == by_emmet == by_pymatgen
        kept = calculation_from_task(stored(task))
        document = {
            "composition": kept.structure.composition.as_dict(),
            "relaxation": {"energy": kept.energy, "structure": kept.structure.as_dict(), "hubbards": kept.hubbards},
        }
        (found,) = corrected_energies([document], "mp2020")
        corrected[kept.structure.composition.reduced_formula] = (kept.structure.composition, found.energy)
    vanadium, oxygen = (corrected[name][1] / corrected[name][0].num_atoms for name in ("V", "O2"))
    formation = {
        name: (energy - cell["V"] * vanadium - cell["O"] * oxygen) / cell.num_atoms
        for name, (cell, energy) in corrected.items()
    }
    assert formation["V2O3"] == pytest.approx(-2.5243, abs=5e-5)
    assert formation["VO2"] == pytest.approx(-2.4602, abs=5e-5)


def unpacked(file, folder):
    """Write the files of a run of the Materials Project into a folder."""
    folder.mkdir()
    with lzma.open(file) as stream:
        run = json.load(stream)
    inputs = {name: run["inputs"].get(name) for name in ("INCAR", "KPOINTS", "POSCAR")}
    outputs = {name: run["outputs"][name] for name in ("CONTCAR", "OUTCAR", "vasprun.xml")}
    for name, text in {**inputs, **outputs}.items():
        if text is not None:
            (folder / name).write_text(text, encoding="latin-1")
    return folder
