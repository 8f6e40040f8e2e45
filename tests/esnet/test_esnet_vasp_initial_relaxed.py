"""Crystals of samples from VASP runs: each has the cell that its relaxation began with, and the one it ended with."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_esnet_vasp_pairing import PD, POLYMORPHS, RELAX, read, runs_of, write_polymorphs
from typer.testing import CliRunner
from vasp_files import FakeRun, write_vasprun

from esnet.cli.app import app
from esnet.dataset.dataset import Dataset
from esnet.dataset.sample import Sample


def edges(sample: Sample) -> tuple[float | None, float | None]:
    """Edge of the cubic cell before and after."""
    both = (sample.initial_structure, sample.relaxed_structure)
    return tuple(crystal and pytest.approx(crystal.lattice.a, abs=1e-6) for crystal in both)


def assert_cells(samples: list[Sample], places: dict[str, tuple[str, str]]) -> None:
    seen = 0
    for sample in samples:
        name, _ = places.get(sample.id.rpartition(":")[0], (None, None))
        if name is None:
            continue
        elements, sites, edge, *_ = POLYMORPHS[name]
        assert edges(sample) == (edge * 1.04, edge)
        for crystal in (sample.initial_structure, sample.relaxed_structure):
            assert [site.specie.symbol for site in crystal] == list(elements)
            assert crystal.frac_coords.tolist() == [pytest.approx(site) for site in sites]
        seen += 1
    assert seen == 2 * len(POLYMORPHS)


@pytest.mark.parametrize("with_table", [False, True])
def test_a_dos_gets_the_cells_of_another_crystal(tmp_path: Path, with_table: bool):
    folder = tmp_path / "runs"
    places = write_polymorphs(folder, "launchers")
    options = {}
    if with_table:
        options["energies"] = tmp_path / "energies.csv"
        rows = [f"{place},{POLYMORPHS[name][4]}" for place, (name, _) in places.items()]
        options["energies"].write_text("\n".join(["id,formation_energy_per_atom", *rows]))
    samples = read(folder, **options)
    assert_cells(samples, places)
    if not with_table:
        elements = [sample for sample in samples if len(sample.composition) == 1]
        assert [edges(sample) for sample in elements] == [(None, 2.6), (None, 2.5)]  # relaxed elsewhere


def test_a_relaxation_in_two_steps_begins_with_its_second_step(tmp_path: Path):
    write_polymorphs(tmp_path, "flat")
    first = replace(runs_of("AlPd_B2", 0)["relax"], initial_edge=3.4, edge=3.05 * 1.04, energy=-10.2)
    write_vasprun(tmp_path / "first_step" / "vasprun.xml", first)
    cells = {sample.id: edges(sample) for sample in read(tmp_path) if sample.id.startswith("AlPd_B2")}
    assert cells["AlPd_B2_rs:rs_dos"] == (3.4, 3.05)
    assert cells["AlPd_B2_is:is_dos"] == (3.05 * 1.04, 3.05)


def test_of_two_beginnings_of_one_crystal_one_is_taken(tmp_path: Path):
    write_polymorphs(tmp_path, "flat")
    write_vasprun(tmp_path / "again" / "vasprun.xml", replace(runs_of("AlPd_B2", 0)["relax"], initial_edge=2.9))
    cells = {sample.id: edges(sample) for sample in read(tmp_path) if sample.id.startswith("AlPd_B2")}
    assert cells == {"AlPd_B2_is:is_dos": (3.05 * 1.04, 3.05), "AlPd_B2_rs:rs_dos": (None, 3.05)}


def test_a_relaxation_with_a_fine_dos_has_no_beginning(tmp_path: Path):
    write_vasprun(tmp_path / "Pd" / "vasprun.xml", PD)
    fine = FakeRun(elements=("Pd",), edge=2.6, initial_edge=2.7, energy=-5.1, n_energies=601, **RELAX)
    write_vasprun(tmp_path / "relax" / "vasprun.xml", fine)
    (sample,) = [sample for sample in read(tmp_path) if sample.provenance["run"] == "relaxation"]
    assert edges(sample) == (2.7, 2.6)


def test_a_relaxed_crystal_that_a_table_calls_is_dos_is_the_initial_one(tmp_path: Path):
    folder, table = tmp_path / "runs", tmp_path / "energies.csv"
    runs = runs_of("AlPd_B2", 0)
    for name in runs:
        write_vasprun(folder / name / "vasprun.xml", runs[name])
    for mistaken in ("relax", "rs"):
        table.write_text(f"id,formation_energy_per_atom,kind\nis,-0.8,is_dos\n{mistaken},-0.8,is_dos\n")
        cells = {sample.id: edges(sample) for sample in read(folder, energies=table)}
        assert cells == {"is:is_dos": (3.05 * 1.04, 3.05), f"{mistaken}:is_dos": (None, 3.05)}


def test_the_command_writes_no_crystals(tmp_path: Path):
    places = write_polymorphs(tmp_path / "runs", "nested")
    written = tmp_path / "data"
    command = ["dataset", "from-vasp", str(tmp_path / "runs"), str(written)]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    dataset = Dataset.open(written)
    assert dataset.manifest.structures == {"initial": 12, "relaxed": 14}
    place = dataset.ids.index("AlPd_B3/is:is_dos")
    assert places["AlPd_B3/is"] == ("AlPd_B3", "is")
    for which, edge in (("initial", 4.1 * 1.04), ("relaxed", 4.1)):
        (crystal,) = dataset.structures([place], which)
        assert crystal.lattice.a == pytest.approx(edge, abs=1e-6)
    said = CliRunner().invoke(app, ["dataset", "info", str(written)], catch_exceptions=False).output
    assert "12 initial and 14 relaxed ones for 14 samples" in said
