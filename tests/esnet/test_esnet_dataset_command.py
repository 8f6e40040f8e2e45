"""`esnet dataset` says what a data set contains, and writes what it says."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from small_dataset import synthetic, tiny_sample, write
from typer.testing import CliRunner

from esnet.cli import options
from esnet.cli.app import app
from esnet.dataset import splits
from esnet.dataset.corrections import CorrectionsError, require_same_corrections, stated_corrections
from esnet.dataset.dataset import Dataset, DatasetError
from esnet.representation import composition, dos


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["dataset", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_info_is_silent_about_what_matters(tmp_path: Path):
    dataset = synthetic(tmp_path / "synthetic", 6)
    shown = run("info", dataset.path)
    for said in (
        "12 (6 is_dos, 6 rs_dos)",
        "6, 6 of them with IS-DOS and RS-DOS",
        "eV/atom",
        "max_dos 50.0",
        "0 of 12",
        "normalisation atom",
        "kind test",
        dataset.checksum,
    ):
        assert said in shown
    said = json.loads(run("info", dataset.path, "--json"))
    assert said["samples"] == 12
    assert sum(said["chemical_systems"].values()) == 12
    assert said["energies"]["mean"] == pytest.approx(dataset.energies.mean())


def test_info_is_silent_about_what_is_doubtful(tmp_path: Path):
    samples = [tiny_sample(number, energy=-6.0 * number, efermi=None, prototype="") for number in range(4)]
    samples.append(tiny_sample(9, dos=samples[0].dos))
    shown = run("info", write(tmp_path / "d", samples))
    for said in (
        "3 of 5 (3 by max_abs_formation_energy)",
        "unknown for 1 of 2 samples",
        "eV/atom is expected",
        "unknown 1",
    ):
        assert said in shown
    assert "1 with the DOS of another sample" in shown


def test_info_shows_a_data_set_that_was_altered(tmp_path: Path):
    dataset = synthetic(tmp_path / "d", 2)
    file = dataset.path / "dos-00000.h5"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DatasetError, match="was altered"):
        run("info", dataset.path)
    assert "4 (2 is_dos, 2 rs_dos)" in run("info", dataset.path, "--no-verify")


def test_a_folder_of_vasp_runs_gives_other_samples_than_it_has(tmp_path: Path, vasp_runs: Path):
    table = tmp_path / "energies.csv"
    table.write_text(
        "path,formation_energy_per_atom,kind,material,prototype\n"
        "NiO,-1.2,rs_dos,NiO,B1\nAl16Cr10,-0.1,is_dos,Al8Cr5,D8_10\nNa12Pd4,-30,rs_dos,Na3Pd,\n"
    )
    shown = run("from-vasp", vasp_runs, tmp_path / "d", "--energies", table, "--unconverged")
    dataset = Dataset.open(tmp_path / "d")
    assert dict(zip(dataset.materials, dataset.kinds, strict=True)) == {"NiO": "rs_dos", "Al8Cr5": "is_dos"}
    assert dict(zip(dataset.materials, dataset.energies.tolist(), strict=True)) == {"NiO": -1.2, "Al8Cr5": -0.1}
    assert np.isfinite(dataset.efermi).all()
    assert dataset.manifest.n_dropped["max_abs_formation_energy"] == 1
    assert dataset.manifest.source["energies"] == "energies.csv"
    assert dataset.manifest.source["not_used"] > 0
    assert "gave a sample" in shown
    assert "energies.csv has no entry for it" in shown
    assert "1 of 3 (1 by max_abs_formation_energy)" in shown
    assert "does not say which corrections its energies contain; state them with --corrections" in shown
    shown = run("from-vasp", vasp_runs, tmp_path / "e", "--energies", table, "--unconverged", "--corrections", "mp2020")
    assert Dataset.open(tmp_path / "e").manifest.source["corrections"] == "mp2020"
    assert "which corrections" not in shown
    assert "mp2020: contained in the formation energies" in run("info", tmp_path / "e")


def test_a_folder_that_gives_nothing_leaves_something(tmp_path: Path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(DatasetError, match="no run found"):
        run("from-vasp", tmp_path / "runs", tmp_path / "d")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["runs"]


def test_the_choices_of_the_commands_are_not_those_of_the_library():
    def choices(option: object) -> tuple:
        return get_args(get_args(option)[0])

    assert choices(options.NormalisationOption) == get_args(dos.Normalisation)
    assert choices(options.ReferenceOption) == get_args(dos.EnergyReference)
    assert choices(options.CompositionOption) == get_args(composition.CompositionMode)
    assert get_args(options.SplitBy) == get_args(splits.SplitBy)


@pytest.mark.parametrize(
    ("source", "corrections"),
    [
        ({"corrections": "none"}, "none"),
        ({"kind": "Materials Project"}, "mp2020"),  # of version 0.1
        ({"kind": "Materials Project", "corrections": "none"}, "none"),
        ({"kind": "campaign", "engine": "gpaw"}, "none"),
        ({"kind": "campaign", "engine": "vasp"}, None),
        ({"kind": "VASP runs", "corrections": None}, None),
        ({"corrections": "2020"}, None),
    ],
)
def test_corrections_are_those_of_another_source(source, corrections):
    assert stated_corrections(source) == corrections


def test_a_model_is_compared_with_data_of_other_corrections():
    require_same_corrections({"corrections": "mp2020"}, {"kind": "Materials Project"})
    require_same_corrections({}, {"corrections": "none"})
    with pytest.raises(
        CorrectionsError, match=r"the corrections mp2020, but those of the data set .* corrections none"
    ):
        require_same_corrections({"kind": "Materials Project"}, {"corrections": "none"})
