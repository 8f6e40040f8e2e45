"""Graph models in a comparison: the same samples as all others, and the crystal that each DOS is of."""

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Structure
from small_dataset import synthetic, write
from typer.testing import CliRunner

from esnet.baselines.models import require_packages
from esnet.baselines.run import BenchmarkSettings, run_benchmark
from esnet.baselines.settings import TITLES, BenchmarkError
from esnet.cli.app import app
from esnet.dataset.dataset import Dataset
from esnet.dataset.synthetic import synthetic_samples
from esnet.graph.bundle import TrainedGraphModel
from esnet.graph.info import GraphBundleInfo

pytestmark = pytest.mark.keras
for package in ("aviary", "torch", "torch_geometric"):
    pytest.importorskip(package, reason="extra 'graph' is not installed")

SETTINGS = BenchmarkSettings(
    models=("cgcnn-hd",), epochs=12, validation_fraction=0.15, test_fraction=0.25, seed=2, threads=1
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return synthetic(tmp_path_factory.mktemp("data") / "synthetic", 80, seed=1)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work") / "work"


@pytest.fixture(scope="module")
def compared(dataset, work):
    return run_benchmark(dataset, settings=SETTINGS, work=work)


def test_a_graph_model_sees_the_crystal_that_each_dos_is_of(compared, dataset):
    mean, row = compared.rows
    assert (row.name, row.n_train) == ("cgcnn-hd", mean.n_train)
    trained = TrainedGraphModel.load(compared.models["cgcnn-hd"])
    places = [dataset.ids.index(name) for name in compared.ids]
    for kind, which in (("is_dos", "initial"), ("rs_dos", "relaxed")):
        rows = [number for number, found in enumerate(compared.kinds) if found == kind]
        crystals = dataset.structures([places[number] for number in rows], which)
        expected = [each.e_form for each in trained.predict(crystals, any_element=True)]
        assert np.allclose([row.predictions[number] for number in rows], expected, atol=1e-5)
    # an energy that follows from the relaxed crystal is learnt, and predicted less well from the unrelaxed one
    found, baseline = compared.metrics(row), compared.metrics(mean)
    assert found["RS2RE"]["mae"] < 0.9 * baseline["RS2RE"]["mae"]
    assert found["RS2RE"]["mae"] < found["IS2RE"]["mae"]
    assert found["RS2RE"]["n"] == baseline["RS2RE"]["n"]
    assert row.parameters["parameters"] == 242_011


def test_a_graph_model_says_what_it_was_trained_on(compared, dataset):
    info = GraphBundleInfo.read(compared.models["cgcnn-hd"])
    assert info.training["dataset"]["checksum"] == dataset.checksum
    assert info.training["train_kinds"] == "rs_dos"
    assert info.training["split"] == {"by": "random", "seed": 2}
    assert dict(info.data_source) == dict(dataset.manifest.source)
    assert info.training["mae_validation"] == compared.rows[1].mae_validation


def test_an_interrupted_comparison_keeps_the_trained_models(compared, dataset, work):
    before = GraphBundleInfo.read(compared.models["cgcnn-hd"]).checksum
    again = run_benchmark(dataset, settings=SETTINGS, work=work)
    assert again.rows == compared.rows
    assert GraphBundleInfo.read(again.models["cgcnn-hd"]).checksum == before
    # killed after the training and before the result was written: trained again
    (work / "cgcnn-hd.json").unlink()
    third = run_benchmark(dataset, settings=SETTINGS, work=work)
    assert third.rows[1].predictions == compared.rows[1].predictions


def test_without_crystals_only_roost_is_trained_and_the_others_are_named(tmp_path):
    samples = [
        replace(sample, initial_structure=None, relaxed_structure=None) for sample in synthetic_samples(60, seed=1)
    ]
    dataset = Dataset.open(write(tmp_path / "format-1", samples))
    told: list[str] = []
    settings = replace(SETTINGS, models=("cgcnn-hd", "megnet", "wren", "roost"), epochs=1)
    found = run_benchmark(dataset, settings=settings, report=told.append)
    assert [row.name for row in found.rows] == ["mean", "roost"]
    assert None not in found.rows[1].predictions
    notes = [note for note in found.notes if "is not in the table" in note]
    assert [note.split()[0] for note in notes] == ["CGCNN-HD", "MEGNet", "Wren"]
    assert "0 of 36 training samples and 0 of 9 validation samples have one" in notes[0]
    assert "esnet fetch-mp: with another --cache" in notes[0]
    assert notes[0] in told
    assert "| MEGNet |" not in found.markdown()


def test_a_model_that_can_use_no_crystal_is_named_and_the_others_are_trained(tmp_path):
    def apart(crystal):
        return Structure(crystal.lattice.scale(1e5), crystal.species, crystal.frac_coords)

    samples = [
        replace(sample, initial_structure=None, relaxed_structure=apart(sample.relaxed_structure))
        for sample in synthetic_samples(60, seed=1)
    ]
    dataset = Dataset.open(write(tmp_path / "apart", samples))
    settings = replace(SETTINGS, models=("cgcnn-hd", "roost"), epochs=1)
    found = run_benchmark(dataset, settings=settings)
    assert [row.name for row in found.rows] == ["mean", "roost"]
    (note,) = [note for note in found.notes if "is not in the table" in note]
    assert note.startswith("CGCNN-HD is not in the table: 0 training and 0 validation samples")


def test_crystals_are_read_in_blocks(dataset, compared, monkeypatch):
    asked: list[int] = []
    read = Dataset.structures

    def structures(self, indices, which):
        asked.append(len(indices))
        return read(self, indices, which)

    monkeypatch.setattr(Dataset, "structures", structures)
    monkeypatch.setattr("esnet.baselines.graph_models._BLOCK", 7)
    again = run_benchmark(dataset, settings=SETTINGS)
    assert max(asked) <= 7
    assert again.rows[1].predictions == compared.rows[1].predictions


def test_samples_without_a_crystal_are_left_out_of_the_model_alone_and_counted(compared, tmp_path):
    lost = {compared.ids[0], compared.ids[5]}
    samples = [
        replace(sample, initial_structure=None, relaxed_structure=None) if sample.id in lost else sample
        for sample in synthetic_samples(80, seed=1)
    ]
    dataset = Dataset.open(write(tmp_path / "some", samples))
    found = run_benchmark(dataset, settings=replace(SETTINGS, epochs=1))
    mean, row = found.rows
    assert [name for name, energy in zip(found.ids, row.predictions, strict=True) if energy is None] == [
        name for name in found.ids if name in lost
    ]
    counted = sum(of["n"] for of in found.metrics(row).values())
    assert counted == sum(of["n"] for of in found.metrics(mean).values()) - 2
    assert any(f"no prediction for 2 of {len(found.ids)} test samples" in note for note in found.notes)
    found.write(tmp_path)
    assert (tmp_path / "predictions.csv").read_text().count(",\n") == 2


def test_the_command_keeps_the_models_where_it_is_asked_to(dataset, tmp_path):
    output = tmp_path / "comparison"
    options = ["--models", "roost", "--epochs", "1", "--seed", "2", "--output", str(output), "--save-models"]
    run = CliRunner().invoke(app, ["benchmark", str(dataset.path), *options])
    assert run.exit_code == 0, run.output
    assert TrainedGraphModel.load(output / "models" / "roost").info.kind.title == "Roost"
    assert list(tmp_path.iterdir()) == [output]


def test_models_cannot_be_kept_where_none_is_a_graph_model(dataset, tmp_path):
    output = tmp_path / "comparison"
    run = CliRunner().invoke(
        app, ["benchmark", str(dataset.path), "--models", "krr, rf", "--output", str(output), "--save-models"]
    )
    assert isinstance(run.exception, BenchmarkError)
    assert "--models krr, rf names none: add one of cgcnn-hd, megnet, roost, wren" in str(run.exception)
    assert list(tmp_path.iterdir()) == []


def test_all_beside_another_name_is_all(dataset, tmp_path, monkeypatch):
    asked = []

    def record(data, *, settings, **options):
        asked.append(settings.models)
        raise BenchmarkError("enough is known")

    monkeypatch.setattr("esnet.commands.benchmark.run_benchmark", record)
    for models in ("all", "all,krr", "krr, all"):
        CliRunner().invoke(app, ["benchmark", str(dataset.path), "--models", models, "--output", str(tmp_path / "o")])
    assert asked == [tuple(TITLES)] * 3


def test_a_missing_package_is_named_with_the_extra_graph(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "matgl" else real(name, *more))
    monkeypatch.setitem(__import__("sys").modules, "matgl", None)
    with pytest.raises(ImportError, match=r"matgl.*esnet-campaign\[graph\]"):
        require_packages("megnet")
