"""A DOS gets the energy of its own crystal's relaxation: by tags and crystals, whatever folders are called."""

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner
from vasp_files import FakeRun, kpoints_text, vasprun_text, write_vaspout, write_vasprun

from esnet.cli.app import app
from esnet.dataset.dataset import Dataset
from esnet.dataset.sample import Sample
from esnet.representation.features import Representation
from esnet.sources.vasp_energies import EnergyTable, VaspEnergyError
from esnet.sources.vasp_folder import FolderReport, VaspFolderError, read_vasp_folder
from esnet.sources.vasp_kinds import not_converged
from esnet.sources.vasprun import VaspReadError, read_dos, read_run

CENTRE = ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5))
QUARTER = ((0.0, 0.0, 0.0), (0.25, 0.25, 0.25))
CORNERS = ((0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5))
LINE = ((0, 0, 0), (0.25, 0, 0), (0.5, 0, 0), (0.75, 0, 0))
AL = FakeRun(elements=("Al",), edge=2.6, energy=-3.7)
PD = FakeRun(elements=("Pd",), edge=2.5, energy=-5.2)
RELAX = {"nsw": 99, "n_ionic": 3}

# sites, relaxed edge, energy of the relaxed cell; formation energy, eV/atom
POLYMORPHS = {
    "AlPd_B2": (("Al", "Pd"), CENTRE, 3.05, -10.5, -0.8),
    "AlPd_B3": (("Al", "Pd"), QUARTER, 4.10, -9.0, -0.05),
    "AlPd_X": (("Al", "Pd"), ((0, 0, 0), (0.5, 0, 0)), 3.90, -9.3, -0.2),
    "AlPd3_L12": (("Al", "Pd", "Pd", "Pd"), CORNERS, 3.90, -21.3, -0.5),
    "AlPd3_line": (("Al", "Pd", "Pd", "Pd"), LINE, 5.10, -19.7, -0.1),
    "AlPd3_bcc": (("Al", "Pd", "Pd", "Pd"), (*CENTRE, (0.5, 0, 0), (0, 0.5, 0.5)), 4.20, -18.5, 0.2),
}


def runs_of(name: str, seed: int) -> dict[str, FakeRun]:
    """The IS-DOS, the relaxation and the RS-DOS of a polymorph."""
    elements, sites, edge, energy, _ = POLYMORPHS[name]
    relaxed = FakeRun(elements=elements, sites=sites, edge=edge, energy=energy, seed=seed)
    start = edge * 1.04
    return {
        "is": replace(relaxed, edge=start, energy=energy + 0.4, seed=seed + 100),
        "relax": replace(relaxed, initial_edge=start, **RELAX),
        "rs": replace(relaxed, energy=energy - 0.0005),
    }


LAYOUTS = {
    "flat": "{name}_{part}",
    "nested": "{name}/{part}",
    "by part": "{part}/{name}",
    "by compound": "{compound}/{prototype}/{part}",
    "launchers": "launcher_{number:03d}",
}


def write_polymorphs(folder: Path, layout: str) -> dict[str, tuple[str, str]]:
    """Write the runs, and return the path of each -> polymorph and part."""
    write_vasprun(folder / "elements" / "Al" / "vasprun.xml", AL)
    write_vasprun(folder / "elements" / "Pd" / "vasprun.xml", PD)
    places = {}
    for seed, name in enumerate(POLYMORPHS):
        compound, _, prototype = name.partition("_")
        for number, (part, run) in enumerate(runs_of(name, seed).items()):
            words = {"name": name, "part": part, "compound": compound, "prototype": prototype}
            place = LAYOUTS[layout].format(**words, number=7 * number + seed)
            write_vasprun(folder / place / "vasprun.xml", run)
            places[place] = (name, part)
    return places


def read(folder: Path, **options: object) -> list[Sample]:
    return list(read_vasp_folder(folder, **({"representation": Representation()} | options)))  # type: ignore[arg-type]


def assert_targets(samples: list[Sample], places: dict[str, tuple[str, str]]) -> None:
    found = {}
    for sample in samples:
        place, _, kind = sample.id.rpartition(":")
        if place in places:
            name, part = places[place]
            assert kind == f"{part}_dos"
            found[place] = (sample.energy, POLYMORPHS[name][4])
    assert sorted(found) == sorted(place for place, (_, part) in places.items() if part != "relax")
    for energy, expected in found.values():
        assert energy == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_polymorph_gets_the_energy_of_another(tmp_path, layout):
    places = write_polymorphs(tmp_path, layout)
    report = FolderReport()
    assert_targets(read(tmp_path, report=report), places)
    assert report.problems == []
    assert report.outcomes["relaxation"] == {"energy only": 6}
    assert report.outcomes["static"] == {"IS-DOS": 6, "RS-DOS": 8}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_polymorph_gets_the_energy_of_another_of_a_table(tmp_path, layout):
    folder = tmp_path / "runs"
    places = write_polymorphs(folder, layout)
    whole = layout in ("nested", "by compound")
    rows = {str(Path(place).parent) if whole else place: POLYMORPHS[name][4] for place, (name, _) in places.items()}
    table = tmp_path / "energies.json"
    table.write_text(json.dumps(rows))
    assert_targets(read(folder, energies=table), places)


def test_a_rotated_or_primitive_cell_is_another_crystal(tmp_path):
    write_polymorphs(tmp_path, "nested")
    # AlPd_B2 again, twice as long, moved, its atoms in another order
    sites = ((0.1, 0.0, 0.0), (0.35, 0.5, 0.5), (0.6, 0.0, 0.0), (0.85, 0.5, 0.5))
    doubled = FakeRun(elements=("Pd", "Al", "Pd", "Al"), sites=sites, edge=(6.1, 3.05, 3.05), energy=-19.0)
    write_vasprun(tmp_path / "big" / "vasprun.xml", doubled)
    sample = next(sample for sample in read(tmp_path) if sample.id.startswith("big"))
    assert (sample.kind, sample.energy) == ("rs_dos", pytest.approx(-0.8))


def test_a_run_without_a_pair_gets_a_target(tmp_path):
    write_polymorphs(tmp_path, "launchers")
    write_vasprun(tmp_path / "rejected" / "vasprun.xml", FakeRun(elements=("Al", "Pd"), edge=3.5, energy=-9.9))
    report = FolderReport()
    assert len(read(tmp_path, report=report)) == 14
    ((file, why),) = report.problems
    assert file == "rejected/vasprun.xml"
    assert "no relaxation begins or ends with its crystal" in why
    assert "--energies" in why


def test_two_ends_of_one_crystal_are_guessed_between(tmp_path):
    write_polymorphs(tmp_path, "flat")
    other = replace(runs_of("AlPd_B2", 0)["relax"], edge=3.0, energy=-10.3)
    write_vasprun(tmp_path / "AlPd_B2_relax_again" / "vasprun.xml", other)
    report = FolderReport()
    kept = {sample.id for sample in read(tmp_path, report=report)}
    assert "AlPd_B2_rs:rs_dos" in kept
    ((file, why),) = report.problems
    assert file == "AlPd_B2_is/vasprun.xml"
    assert "ambiguous" in why
    assert "AlPd_B2_relax_again" in why
    with pytest.raises(VaspEnergyError, match="ambiguous"):
        read(tmp_path, strict=True)


def test_static_runs_of_one_crystal_are_guessed_between(tmp_path):
    for name, run in (("Al", AL), ("Pd", PD)):
        write_vasprun(tmp_path / name / "vasprun.xml", run)
    for name, energy in (("B2_static", -9.5), ("B2_relax", -10.5), ("B3_static", -8.5), ("B3_relax", -9.0)):
        write_vasprun(tmp_path / name / "vasprun.xml", FakeRun(elements=("Al", "Pd"), energy=energy))
    report = FolderReport()
    energies = {sample.id: sample.energy for sample in read(tmp_path, is_pattern="*static*", report=report)}
    assert set(energies) == {"Al:rs_dos", "Pd:rs_dos", "B2_relax:rs_dos", "B3_relax:rs_dos"}
    assert [name for name, _ in report.problems] == ["B2_static/vasprun.xml", "B3_static/vasprun.xml"]
    assert all("ambiguous" in why and "--energies" in why for _, why in report.problems)
    assert "one crystal, several energies" in report.notes[0]


def test_a_pattern_contradicts_the_crystals(tmp_path):
    write_polymorphs(tmp_path, "flat")
    report = FolderReport()
    samples = read(tmp_path, is_pattern="AlPd_B*_is/*", report=report)
    assert sum(sample.kind == "is_dos" for sample in samples) == 2
    assert len(report.problems) == 4
    assert all("a relaxation begins with its crystal" in why for _, why in report.problems)


def test_a_static_run_that_does_not_rest_is_a_relaxed_crystal(tmp_path):
    write_vasprun(tmp_path / "Al" / "vasprun.xml", AL)
    write_vasprun(tmp_path / "Pd" / "vasprun.xml", PD)
    run = FakeRun(elements=("Al", "Pd"), energy=-10.0)
    write_vasprun(tmp_path / "pressed" / "vasprun.xml", replace(run, stress=120.0))
    write_vasprun(tmp_path / "pulled" / "vasprun.xml", replace(run, force=0.8, edge=5.0))
    write_vasprun(tmp_path / "still" / "vasprun.xml", replace(run, force=0.02, stress=3.0, edge=5.5))
    report = FolderReport()
    assert {sample.id for sample in read(tmp_path, report=report)} == {"Al:rs_dos", "Pd:rs_dos", "still:rs_dos"}
    assert [name for name, _ in report.problems] == ["pressed/vasprun.xml", "pulled/vasprun.xml"]


PATH = np.concatenate([np.linspace((0, 0, 0), (0.5, 0, 0), 10), np.linspace((0.5, 0, 0), (0.5, 0.5, 0), 10)])
MESH = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), axis=-1).reshape(-1, 3)
LINE_MODE = '  <generation param="listgenerated">\n   <i type="int" name="divisions">10</i>\n  </generation>\n'

NO_CRYSTAL = {
    "band structure, points listed": ({"kpoints": kpoints_text(PATH), "incar": {"ICHARG": 11}}, "band structure"),
    "band structure along one line": ({"kpoints": kpoints_text(PATH[:10])}, "band structure"),
    "band structure in line mode": ({"kpoints": LINE_MODE + kpoints_text(PATH)}, "band structure"),
    "molecular dynamics": ({"tags": {"IBRION": 0, "NSW": 50}, "n_ionic": 5}, "molecular dynamics"),
    "finite differences": ({"tags": {"IBRION": 6, "NSW": 1}}, "phonons or response"),
    "dielectric": ({"incar": {"LEPSILON": True}}, "phonons or response"),
    "dimer": ({"tags": {"IBRION": 44, "NSW": 20}, "n_ionic": 4}, "transition state"),
    "GW": ({"incar": {"ALGO": "GW0"}}, "many-body"),
}


@pytest.mark.parametrize("case", NO_CRYSTAL)
def test_a_run_of_another_kind_gives_a_dos_or_an_energy(tmp_path, case):
    changes, kind = NO_CRYSTAL[case]
    write_vasprun(tmp_path / "Al" / "vasprun.xml", AL)
    write_vasprun(tmp_path / "other" / "vasprun.xml", replace(AL, energy=-9.0, **changes))
    report = FolderReport()
    (sample,) = read(tmp_path, report=report)
    assert (sample.id, sample.energy) == ("Al:rs_dos", 0.0)
    assert report.outcomes[kind] == {"left out": 1}
    assert report.reasons == {kind: ["other/vasprun.xml"]}
    with pytest.raises(VaspFolderError, match=kind):
        read(tmp_path, strict=True)


def test_a_non_self_consistent_energy_is_an_energy(tmp_path):
    write_vasprun(tmp_path / "Al" / "vasprun.xml", AL)
    mesh = {"incar": {"ICHARG": 11}, "kpoints": kpoints_text(MESH)}
    write_vasprun(tmp_path / "uniform" / "vasprun.xml", replace(AL, energy=-9.0, n_energies=2000, **mesh))
    samples = {sample.id: sample.energy for sample in read(tmp_path)}
    assert samples == {"Al:rs_dos": 0.0, "uniform:rs_dos": 0.0}


STOPPED = {
    "by forces": ({"force": 1.5}, "largest force is 1.500 eV/A, EDIFFG = -0.03"),
    "by energies": ({"tags": {"EDIFFG": 1e-3}, "energies_before": (-9.0, -9.4)}, "changed by 0.6000 eV"),
    "at the first step": ({"tags": {"EDIFFG": 1e-3}, "force": 1.5, "n_ionic": 1}, "one step shows no change"),
    "ionic steps used up": ({"nsw": 3}, "ionic steps NSW"),
}


@pytest.mark.parametrize("case", STOPPED)
def test_a_stopped_relaxation_gives_an_energy(tmp_path, case):
    changes, message = STOPPED[case]
    run = FakeRun(elements=("Al", "Pd"), edge=3.0, initial_edge=3.2, energy=-10.0, **RELAX)
    write_vasprun(tmp_path / "Al" / "vasprun.xml", AL)
    write_vasprun(tmp_path / "Pd" / "vasprun.xml", PD)
    write_vasprun(tmp_path / "AlPd" / "vasprun.xml", replace(run, **changes))
    write_vasprun(tmp_path / "is" / "vasprun.xml", FakeRun(elements=("Al", "Pd"), edge=3.2, energy=-9.5))
    report = FolderReport()
    assert {sample.id for sample in read(tmp_path, report=report)} == {"Al:rs_dos", "Pd:rs_dos"}
    problems = dict(report.problems)
    assert message in problems["AlPd/vasprun.xml"]
    if case != "at the first step":  # whose only crystal is the first
        assert "did not converge" in problems["is/vasprun.xml"]
        assert "is:is_dos" in {sample.id for sample in read(tmp_path, unconverged=True)}


# the last move goes down a parabola: the energy fell by 0.5 eV, and the force at its end says what is left
LINE_SEARCH = FakeRun(
    elements=("Al", "Pd"),
    edge=3.05,
    sites=((0, 0, 0), (0.5, 0.5, 0.5)),
    initial_sites=((0.02, 0, 0), (0.5, 0.5, 0.5)),
    force_before=-1.0,
    energies_before=(-9.5,),
    energy=-10.0,
    nsw=99,
    n_ionic=2,
)


@pytest.mark.parametrize("write", [write_vasprun, write_vaspout])
@pytest.mark.parametrize(
    ("force", "ibrion", "ediffg", "converged"),
    [
        (0.05, 2, 1e-3, True),
        (0.05, 1, 1e-3, False),
        (-0.6, 2, 1e-3, False),
        (-0.6, 2, 0.05, True),
        (0.05, 2, -0.03, False),
    ],
)
def test_a_converged_relaxation_is_called_stopped(tmp_path, write, force, ibrion, ediffg, converged):
    """VASP's conjugate gradients end where they expect less than EDIFFG, however far the last step went."""
    tags = {"EDIFFG": ediffg, "IBRION": ibrion, "NSW": 99}
    path = tmp_path / ("vasprun.xml" if write is write_vasprun else "vaspout.h5")
    run = read_run(write(path, replace(LINE_SEARCH, force=force, tags=tags)))
    left = force**2 * (0.02 * 3.05) / (1 + force) / 2  # force constant: (1 + force) / (0.02 * 3.05)
    assert run.expected_change == pytest.approx(left, rel=1e-6)
    assert (not_converged(run) is None) == converged


def test_vasp_ends_a_real_relaxation_where_it_is_called_converged(vasp_runs, tmp_path):
    """Cut off after each of its steps; VASP says itself that it reached the required accuracy in the last one only."""
    for name in ("Al16Cr10", "Fe/GGA_relax_1/outputs"):
        text = gzip.decompress((vasp_runs / name / "vasprun.xml.gz").read_bytes())
        steps = [found.start() for found in re.finditer(b"<calculation", text)]
        path = tmp_path / "vasprun.xml"
        found = []
        for end in [*steps[1:], len(text)]:
            path.write_bytes(text[:end] + (b"</modeling>\n" if end < len(text) else b""))
            found.append(not_converged(read_run(path)) is None)
        assert found[1:] == [False] * (len(steps) - 2) + [True]  # one step shows no curvature


def test_forces_that_may_not_move_an_atom_stop_a_relaxation(tmp_path):
    run = FakeRun(elements=("Al", "Pd"), force=1.5, **RELAX)
    fixed = (
        '<varray name="selective" type="logical">\n<v type="logical"> F F F</v>\n<v type="logical"> T T T</v></varray>'
    )
    text = vasprun_text(run).replace(" </structure>\n <calculation>", f" {fixed}</structure>\n <calculation>", 1)
    (tmp_path / "vasprun.xml").write_text(text)
    assert read_run(tmp_path / "vasprun.xml").largest_force == 0.0


def test_a_coarse_dos_of_a_relaxation_is_a_sample(tmp_path):
    """Launch directories of a campaign, in which IS-DOS, relaxations and RS-DOS have folders of their own."""
    write_polymorphs(tmp_path, "launchers")
    lonely = FakeRun(elements=("Al", "Pd"), edge=3.3, initial_edge=3.4, energy=-10.2, **RELAX)
    write_vasprun(tmp_path / "launcher_100" / "vasprun.xml", lonely)
    write_vasprun(tmp_path / "launcher_101" / "vasprun.xml", replace(lonely, edge=3.6, n_energies=1000))
    report = FolderReport()
    ids = {sample.id for sample in read(tmp_path, report=report)}
    assert "launcher_100:rs_dos" not in ids
    assert "launcher_101:rs_dos" in ids
    assert report.outcomes["relaxation"] == {"energy only": 6, "energy only (coarse DOS)": 1, "RS-DOS": 1}


def test_a_step_of_a_double_relaxation_is_lost(tmp_path):
    runs = runs_of("AlPd_B2", 0)
    first = replace(runs["relax"], edge=3.10, energy=-10.3)
    second = replace(runs["relax"], initial_edge=3.10)
    write_vasprun(tmp_path / "Al" / "vasprun.xml", AL)
    write_vasprun(tmp_path / "Pd" / "vasprun.xml", PD)
    write_vasprun(tmp_path / "is" / "vasprun.xml", runs["is"])
    write_vasprun(tmp_path / "rs" / "vasprun.xml", runs["rs"])
    write_vasprun(tmp_path / "relax" / "vasprun.xml.relax1", first)
    (tmp_path / "relax" / "vasprun.relax2.xml.gz").write_bytes(gzip.compress(vasprun_text(second).encode()))
    report = FolderReport()
    energies = {sample.id: sample.energy for sample in read(tmp_path, report=report)}
    assert energies["is:is_dos"] == energies["rs:rs_dos"] == pytest.approx(-0.8)
    assert report.outcomes["relaxation"] == {"energy only": 2}
    assert report.problems == []


@pytest.mark.parametrize("name", ["vasprun.xml.relax2", "vasprun.relax2.xml.gz", "vasprun.xml.relax2.gz"])
def test_a_second_relaxation_is_no_run(tmp_path, name):
    content = vasprun_text(AL).encode()
    (tmp_path / "Al").mkdir()
    (tmp_path / "Al" / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert [sample.id for sample in read(tmp_path)] == ["Al:rs_dos"]


def test_a_folder_that_looks_like_a_run_is_passed_over_in_silence(tmp_path):
    write_vasprun(tmp_path / "Al" / "vasprun.xml", AL)
    for name in ("OUTCAR.gz", "vasprun.xml.orig"):
        (tmp_path / name.split(".")[0]).mkdir()
        (tmp_path / name.split(".")[0] / name).write_text("")
    report = FolderReport()
    read(tmp_path, report=report)
    assert [name for name, _ in report.passed_over] == ["OUTCAR", "vasprun"]
    assert "folders without output that can be read: 2" in list(report.lines())
    (tmp_path / "Al" / "vasprun.xml").unlink()
    with pytest.raises(VaspFolderError, match=r"2 folders look like VASP runs"):
        read(tmp_path)


def test_links_are_not_followed_or_followed_for_ever(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    write_vasprun(elsewhere / "Pd" / "vasprun.xml", PD)
    folder = tmp_path / "runs"
    write_vasprun(folder / "Al" / "vasprun.xml", AL)
    (folder / "linked").symlink_to(elsewhere)
    (folder / "Al" / "loop").symlink_to(folder)
    (folder / "Aa").symlink_to(folder / "Al")
    (folder / "copy").mkdir()
    (folder / "copy" / "vasprun.xml").symlink_to(folder / "Al" / "vasprun.xml")
    report = FolderReport()
    assert [sample.id for sample in read(folder, report=report)] == ["Al:rs_dos", "linked/Pd:rs_dos"]
    assert report.passed_over == [("copy/vasprun.xml", "is the same file as Al/vasprun.xml")]


def test_an_atom_or_a_molecule_in_a_box_is_a_reference(tmp_path):
    write_vasprun(tmp_path / "Al" / "vasprun.xml", AL)
    write_vasprun(tmp_path / "atom" / "vasprun.xml", replace(PD, edge=10.0))
    bonded = ((0, 0, 0), (0.12, 0, 0))
    write_vasprun(tmp_path / "O2" / "vasprun.xml", FakeRun(elements=("O", "O"), sites=bonded, edge=10.0, energy=-9.8))
    write_vasprun(tmp_path / "AlO" / "vasprun.xml", FakeRun(elements=("Al", "O"), energy=-12.0))
    write_vasprun(tmp_path / "AlPd" / "vasprun.xml", FakeRun(elements=("Al", "Pd"), energy=-12.0))
    report = FolderReport()
    assert [sample.id for sample in read(tmp_path, report=report)] == ["Al:rs_dos"]
    problems = dict(report.problems)
    assert "isolated atom" in problems["atom/vasprun.xml"]
    assert "isolated molecule of 2 atoms" in problems["O2/vasprun.xml"]
    assert "no run of pure O" in problems["AlO/vasprun.xml"]
    assert "isolated atom" in problems["AlPd/vasprun.xml"]
    assert set(report.references) == {"Al"}


def test_species_with_a_suffix_are_no_elements(tmp_path):
    run = FakeRun(elements=("Al", "Pd"), types=(("Al", 1), ("Pd_pv", 1)))
    assert read_run(write_vaspout(tmp_path / "vaspout.h5", run)).structure.symbols == ("Al", "Pd")
    wrong = replace(run, types=(("Al", 1), ("Qq", 1)))
    with pytest.raises(VaspReadError, match="'Qq', which is not an element"):
        read_run(write_vaspout(tmp_path / "vaspout.h5", wrong))


@pytest.mark.parametrize("title", ["Al & Pd", "a < b & c", "R&D;", "&amp; as it should be"])
def test_an_ampersand_in_system_is_malformed(tmp_path, title):
    path = write_vasprun(tmp_path / "vasprun.xml", replace(AL, incar={"SYSTEM": title}))
    assert read_run(path).incar["SYSTEM"] == title.replace("&amp;", "&")


def test_a_dos_without_projections_is_malformed(tmp_path):
    text = vasprun_text(AL)
    start, end = text.index("   <partial>"), text.index("   </partial>\n") + len("   </partial>\n")
    (tmp_path / "vasprun.xml").write_text(text[:start] + text[end:])
    with pytest.raises(VaspReadError, match=r"have no projections; .* LORBIT=11") as caught:
        read_dos(tmp_path / "vasprun.xml")
    assert "malformed" not in str(caught.value)


WRONG_TABLES = {
    '{"a": -1.0, "a": -2.0}': "'a' occurs twice",
    '[{"id": "a", "formation_energy_per_atom": -1, "formation_energy_per_atom": -2}]': "occurs twice",
    '{"a": true}': "formation_energy_per_atom is True",
    '[{"id": "a", "formation_energy_per_atom": false}]': "formation_energy_per_atom is False",
    '{"a": -1.0, "./a/": -2.0}': "'a' occurs twice",
}


@pytest.mark.parametrize("text", WRONG_TABLES)
def test_a_wrong_table_is_read(tmp_path, text):
    path = tmp_path / "energies.json"
    path.write_text(text)
    with pytest.raises(VaspEnergyError, match=WRONG_TABLES[text]):
        EnergyTable.read(path)


def test_one_id_is_about_two_crystals(tmp_path):
    folder, table = tmp_path / "runs", tmp_path / "energies.csv"
    write_vasprun(folder / "A" / "static" / "vasprun.xml", AL)
    write_vasprun(folder / "B" / "static" / "vasprun.xml", PD)
    table.write_text("id,formation_energy_per_atom\nstatic,-0.5\n")
    report = FolderReport()
    assert read(folder, energies=table, report=report) == []
    assert [name for name, _ in report.problems] == ["A/static/vasprun.xml", "B/static/vasprun.xml"]
    assert all("also about" in why for _, why in report.problems)
    table.write_text("path,formation_energy_per_atom\nA/static,-0.5\nB/static,-0.7\n")
    assert [sample.energy for sample in read(folder, energies=table)] == [-0.5, -0.7]


def test_a_static_run_under_stress_is_a_relaxed_crystal_of_a_table_without_a_word(tmp_path):
    write_vasprun(tmp_path / "runs" / "pressed" / "vasprun.xml", FakeRun(elements=("Al", "Pd"), stress=120.0))
    table = tmp_path / "energies.csv"
    table.write_text("path,formation_energy_per_atom\npressed,-0.5\n")
    report = FolderReport()
    assert [sample.kind for sample in read(tmp_path / "runs", energies=table, report=report)] == ["rs_dos"]
    assert "taken as a relaxed crystal (RS-DOS), although the largest stress is 120 kB" in " ".join(report.notes)
    table.write_text("path,kind,formation_energy_per_atom\npressed,is_dos,-0.5\n")
    report = FolderReport()
    assert [sample.kind for sample in read(tmp_path / "runs", energies=table, report=report)] == ["is_dos"]
    assert report.notes == []


def test_the_command_does_not_count_what_it_leaves_out(tmp_path):
    write_polymorphs(tmp_path / "runs", "launchers")
    for number in range(8):
        lonely = FakeRun(elements=("Al", "Pd"), edge=4.4 + number / 10, energy=-9.9)
        write_vasprun(tmp_path / "runs" / f"rejected_{number}" / "vasprun.xml", lonely)
    arguments = ["dataset", "from-vasp", str(tmp_path / "runs")]
    shown = CliRunner().invoke(app, [*arguments, str(tmp_path / "d")]).output
    assert "14 of 28 runs gave a sample" in shown
    assert "relaxation 6: 6 energy only" in shown
    assert "static 22: 6 IS-DOS, 8 RS-DOS, 8 left out" in shown
    assert "left out, not known to be relaxed: 8" in shown
    assert "and 3 more" in shown
    assert "--verbose names them" in shown
    assert "rejected_7" not in shown
    verbose = CliRunner().invoke(app, [*arguments, str(tmp_path / "e"), "--verbose"]).output
    assert "rejected_7" in verbose
    assert verbose.count(": relaxation, energy only") == 6
    assert Dataset.open(tmp_path / "d").manifest.counts == {"is_dos": 6, "rs_dos": 8}


def test_mixed_spins_and_spacings_are_not_warned_of(tmp_path):
    write_vasprun(tmp_path / "runs" / "Al" / "vasprun.xml", AL)
    write_vasprun(tmp_path / "runs" / "Pd" / "vasprun.xml", replace(PD, n_sets=1, n_energies=2001))
    shown = CliRunner().invoke(app, ["dataset", "from-vasp", str(tmp_path / "runs"), str(tmp_path / "d")]).output
    again = CliRunner().invoke(app, ["dataset", "info", str(tmp_path / "d")]).output
    for output in (shown, again):
        assert "ISPIN differs between samples" in output
        assert "0.0105 eV apart" in output


def from_vasp(folder: Path, name: str, *options: str) -> str:
    words = ["dataset", "from-vasp", str(folder / "runs"), str(folder / name), *options]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_a_set_of_elements_only_is_not_warned_of(tmp_path):
    write_vasprun(tmp_path / "runs" / "Al" / "vasprun.xml", AL)
    write_vasprun(tmp_path / "runs" / "Pd" / "vasprun.xml", PD)
    assert "there are only elements (Al, Pd) and no compounds" in from_vasp(tmp_path, "d")


def test_small_energies_of_whole_cells_are_not_warned_of(tmp_path):
    per_cell, per_atom = {}, {}
    for number in range(6):
        pairs = 1 + number // 2
        run = FakeRun(elements=("Al", "Pd") * pairs, edge=5.0 + number / 10)
        write_vasprun(tmp_path / "runs" / f"r{number}" / "vasprun.xml", run)
        per_atom[f"r{number}"] = -0.4 - number % 2 / 20
        per_cell[f"r{number}"] = per_atom[f"r{number}"] * 2 * pairs
    table, options = tmp_path / "e.json", ("--corrections", "none")
    table.write_text(json.dumps(per_cell))
    words = "they may be in eV per cell"
    assert words in from_vasp(tmp_path, "d", "--energies", str(table), *options)
    table.write_text(json.dumps(per_atom))
    assert words not in from_vasp(tmp_path, "e", "--energies", str(table), *options)
