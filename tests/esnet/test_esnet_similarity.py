"""Figure 1b must compare the right pairs, leave out what is empty, and refuse data without both kinds."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from small_dataset import synthetic, write
from typer.testing import CliRunner

from esnet.cli.app import app
from esnet.dataset.dataset import Dataset, Sample
from esnet.dataset.synthetic import synthetic_samples
from esnet.representation.dos import DOS_SHAPE, ENERGY_GRID
from esnet.representation.moments import CHANNEL_NAMES
from esnet.similarity.similarity import PROPERTIES, SimilarityError, compare_dos

N_MATERIALS = 12


@pytest.fixture(scope="module")
def both_kinds(tmp_path_factory) -> Dataset:
    return synthetic(tmp_path_factory.mktemp("data") / "both", N_MATERIALS, seed=3)


def flat_band(material: str, kind: str, low: int, high: int, height: float) -> Sample:
    """States in the s channel of spin up alone, between two points of the grid."""
    dos = np.zeros(DOS_SHAPE, dtype=np.float32)
    dos[0, low:high, 0] = height
    return Sample(
        id=f"{material}:{kind}",
        material=material,
        kind=kind,
        dos=dos,
        composition={"Al": 1.0},
        energy=-0.1,
        efermi=0.0,
        spacing=None,
        chemsys="Al",
        prototype="",
        provenance={},
    )


def test_initial_and_relaxed_are_more_alike_than_random_pairs(both_kinds):
    found = compare_dos(both_kinds, seed=1)
    assert found.same.values.shape == found.random.values.shape == (N_MATERIALS, 6, 18)
    for name in ("states", "filling", "center", "width"):
        place = PROPERTIES.index(name)
        assert np.nanmean(found.same.mean[place]) < 0.5 * np.nanmean(found.random.mean[place]), name


def test_identical_dos_have_no_error_and_random_pairs_are_never_of_one_material(tmp_path):
    relaxed = list(synthetic_samples(N_MATERIALS, seed=3, kinds=("rs_dos",)))
    copies = [replace(sample, id=f"{sample.material}:is_dos", kind="is_dos") for sample in relaxed]
    dataset = Dataset.open(write(tmp_path / "equal", [*relaxed, *copies]))
    for seed in range(5):
        found = compare_dos(dataset, seed=seed)
        assert not np.nan_to_num(found.same.values).any()
        assert (found.random.values[:, 0].max(axis=1) > 0).all()


def test_energies_without_states_do_not_make_dos_look_alike(tmp_path):
    samples = [
        flat_band("a", "is_dos", 100, 200, 1.0),
        flat_band("a", "rs_dos", 150, 250, 1.0),
        flat_band("b", "is_dos", 100, 200, 1.0),
        flat_band("b", "rs_dos", 100, 200, 3.0),
    ]
    found = compare_dos(Dataset.open(write(tmp_path / "flat", samples)), seed=0)
    place = CHANNEL_NAMES.index("up_s")
    # a: 100 of the 150 points with states differ by 1; b: all 100 by 2; the range of the channel is 0 to 3
    assert found.same.values[:, 0, place] == pytest.approx([100 / 150, 2.0])
    assert found.ranges[0, place] == pytest.approx(3.0)
    step = ENERGY_GRID[1] - ENERGY_GRID[0]
    assert found.same.values[:, PROPERTIES.index("center"), place] == pytest.approx([50 * step, 0.0], abs=1e-6)
    # the other channels are empty in all: no value, not a perfect 0
    others = np.delete(found.same.values, place, axis=2)
    assert np.isnan(others).all()
    rows = {(row["property"], row["channel"]): row for row in found.table()}
    assert rows["states", "up_s"]["same"]["mae_normalised"] == pytest.approx((100 / 150 + 2.0) / 2 / 3)
    assert rows["states", "down_s"]["same"] == {
        "mae": None,
        "deviation": None,
        "mae_normalised": None,
        "deviation_normalised": None,
        "pairs": 0,
    }


def test_the_same_seed_draws_the_same_pairs_and_another_seed_others(both_kinds):
    first, again, other = (compare_dos(both_kinds, seed=seed).random.values for seed in (1, 1, 2))
    assert np.array_equal(first, again, equal_nan=True)
    assert not np.array_equal(first, other, equal_nan=True)


def test_data_without_both_kinds_are_refused_by_name(tmp_path):
    dataset = Dataset.open(write(tmp_path / "relaxed", synthetic_samples(3, kinds=("rs_dos",))))
    with pytest.raises(SimilarityError, match=r"relaxed: 0 materials have both.*0 materials with an IS-DOS and 3"):
        compare_dos(dataset)


def test_an_unknown_fermi_level_costs_filling_and_center_and_is_said(tmp_path):
    samples = [replace(sample, efermi=None) for sample in synthetic_samples(3, seed=1)]
    alone = replace(samples[0], id="alone", material="alone")
    found = compare_dos(Dataset.open(write(tmp_path / "unknown", [*samples, alone])))
    assert np.isnan(found.same.values[:, 1:3]).all()
    assert np.isfinite(found.same.values[:, 3:]).all()
    # of those that are compared
    assert "6 samples have no Fermi level" in found.about["notes"][0]


def test_the_command_writes_table_and_figure(both_kinds, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'esnet')")
    output = tmp_path / "similarity"
    run = CliRunner().invoke(app, ["similarity", str(both_kinds.path), "--output", str(output)])
    assert run.exit_code == 0, run.output
    assert f"{N_MATERIALS} pairs each" in run.output
    assert sorted(file.name for file in output.iterdir()) == [
        f"similarity.{suffix}" for suffix in ("csv", "json", "md", "png", "svg")
    ]
    content = json.loads((output / "similarity.json").read_text())
    assert content["dataset"]["checksum"] == both_kinds.checksum
    with (output / "similarity.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == len(content["table"]) == 6 * 19
    assert list(tmp_path.iterdir()) == [output]
    again = CliRunner().invoke(app, ["similarity", str(both_kinds.path), "--output", str(output)])
    assert again.exit_code != 0
    assert "exists" in str(again.exception)
