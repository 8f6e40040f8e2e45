"""The comparison must give every model the same samples, count what it leaves out, and survive an interruption."""

import csv
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from small_dataset import synthetic, write
from typer.testing import CliRunner

from esnet.baselines.data import BenchmarkData
from esnet.baselines.models import require_packages
from esnet.baselines.moment_features import MomentScaler, moments_of
from esnet.baselines.run import BenchmarkError, BenchmarkSettings, run_benchmark
from esnet.baselines.settings import DOS_MODELS, TITLES
from esnet.baselines.work import BenchmarkWork
from esnet.cli.app import app
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import Split, SplitError
from esnet.dataset.synthetic import synthetic_samples
from esnet.files.output_folder import new_output_folder

pytestmark = pytest.mark.keras

pytest.importorskip("sklearn", reason="extra 'analysis' is not installed")
pytest.importorskip("xgboost", reason="extra 'analysis' is not installed")

SETTINGS = BenchmarkSettings(
    quick=True, epochs=2, widths=(2, 2, 2, 2), validation_fraction=0.2, test_fraction=0.25, threads=1
)
CHEAP = replace(SETTINGS, models=("krr", "rf"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return synthetic(tmp_path_factory.mktemp("data") / "synthetic", 60, seed=1)


@pytest.fixture(scope="module")
def compared(dataset):
    """All models, each tiny."""
    pytest.importorskip("tensorflow", reason="extra 'esnet' is not installed")
    return run_benchmark(dataset, settings=SETTINGS)


def test_the_table_has_every_model_and_both_tasks(compared):
    assert [row.name for row in compared.rows] == list(DOS_MODELS)
    lines = compared.markdown().splitlines()
    assert lines[0] == "| model | RS2RE | IS2RE |"
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == [TITLES[name] for name in DOS_MODELS]
    assert all(line.count(" / ") == 2 for line in lines[2:])
    for row in compared.rows:
        assert np.isfinite(row.predictions).all()
        assert len(row.predictions) == len(compared.ids)
        assert json.dumps(asdict(row), allow_nan=False)


def test_models_on_moments_beat_the_mean(tmp_path):
    dataset = synthetic(tmp_path / "larger", 150, seed=1)
    settings = BenchmarkSettings(models=("krr", "xgboost"), validation_fraction=0.15, test_fraction=0.25, threads=1)
    found = run_benchmark(dataset, settings=settings)
    baseline, *models = ({task: of["mae"] for task, of in found.metrics(row).items()} for row in found.rows)
    for row, maes in zip(found.rows[1:], models, strict=True):
        for task, mae in maes.items():
            assert mae < 0.8 * baseline[task], (row.name, task)


def test_all_models_are_trained_on_the_same_relaxed_samples(compared, dataset):
    data = BenchmarkData.of(dataset, SETTINGS)
    assert {row.n_train for row in compared.rows} == {len(data.training)}
    assert {dataset.kinds[place] for place in data.training} == {"rs_dos"}
    assert set(compared.kinds) == {"rs_dos", "is_dos"}
    trained_on = {dataset.materials[place] for place in (*data.training, *data.validation)}
    assert trained_on.isdisjoint(compared.materials)


def test_the_files_say_what_the_table_says(compared, tmp_path):
    with new_output_folder(tmp_path / "out") as folder:
        compared.write(folder)
    with (tmp_path / "out" / "predictions.csv").open(newline="") as stream:
        predictions = [row for row in csv.DictReader(stream) if row["kind"] == "is_dos"]
    with (tmp_path / "out" / "table.csv").open(newline="") as stream:
        table = {row["model"]: row for row in csv.DictReader(stream)}
    content = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    for model in content["models"]:
        difference = np.array([float(row[model["name"]]) - float(row["e_form"]) for row in predictions])
        assert float(table[model["name"]]["IS2RE_mae"]) == pytest.approx(np.abs(difference).mean(), rel=1e-12)
        assert model["test"]["IS2RE"]["rmse"] == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-12)
        assert model["source"]
    assert compared.markdown() in (tmp_path / "out" / "table.md").read_text()
    assert "do not compare models by these errors" in (tmp_path / "out" / "table.md").read_text()


def test_the_scaler_of_the_moments_sees_the_training_part_only(dataset):
    data = BenchmarkData.of(dataset, SETTINGS)
    alone = MomentScaler.fit(moments_of(dataset, data.training))
    assert np.array_equal(data.moment_scaler.mean, alone.mean)
    assert np.array_equal(data.moment_scaler.scale, alone.scale)


def test_moments_come_in_the_order_asked_for(dataset):
    indices = np.random.default_rng(0).permutation(len(dataset))[:30]
    straight = moments_of(dataset, np.sort(indices)).values
    assert np.array_equal(
        moments_of(dataset, indices).values, straight[np.argsort(np.argsort(indices))], equal_nan=True
    )


def test_samples_without_a_fermi_level_are_left_out_and_counted(tmp_path):
    samples = [
        replace(sample, efermi=None) if number % 10 == 0 else sample
        for number, sample in enumerate(synthetic_samples(60, seed=2))
    ]
    dataset = Dataset.open(write(tmp_path / "some", samples))
    found = run_benchmark(dataset, settings=replace(CHEAP, models=("rf",)))
    assert found.about["n_without_fermi_level"] == 12
    assert any("12 samples are left out: they have no Fermi level" in note for note in found.notes)
    assert found.about["split"]["n_test"] == len(found.ids)
    # the record is of the parts that were used, and never taken for those of the whole data set
    with pytest.raises(SplitError, match="is not the data set that was split"):
        Split.of(dataset, found.about["split"])
    unknown = {sample.id for sample in samples if sample.efermi is None}
    assert unknown.isdisjoint(found.ids)
    nobody = Dataset.open(write(tmp_path / "none", [replace(sample, efermi=None) for sample in samples]))
    with pytest.raises(BenchmarkError, match="120 of 120 samples have no Fermi level"):
        run_benchmark(nobody, settings=CHEAP)


def test_a_task_without_samples_has_no_figures_and_no_crash(tmp_path):
    dataset = Dataset.open(write(tmp_path / "relaxed", synthetic_samples(40, kinds=("rs_dos",))))
    found = run_benchmark(dataset, settings=CHEAP)
    assert found.metrics(found.rows[0])["IS2RE"] is None
    assert "| no data |" in found.markdown()
    assert any("no IS-DOS" in note for note in found.notes)
    with pytest.raises(BenchmarkError, match="training part has 0 samples of kind is_dos"):
        run_benchmark(dataset, settings=replace(CHEAP, train_kinds="is_dos"))


def test_wrong_settings_are_refused_by_name():
    with pytest.raises(BenchmarkError, match="models gbm are not known; there are mean, cgcnn-hd"):
        BenchmarkSettings(models=("krr", "gbm"))
    with pytest.raises(BenchmarkError, match="widths"):
        BenchmarkSettings(widths=(8, 16))
    with pytest.raises(BenchmarkError, match="max_kernel_samples=0"):
        BenchmarkSettings(max_kernel_samples=0)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(ImportError, match=r"xgboost.*esnet-campaign\[analysis\]"):
        require_packages("xgboost")


def test_an_interrupted_comparison_goes_on_with_the_same_result(dataset, tmp_path):
    work, seen = tmp_path / "work", []

    def stop_at_the_forest(text: str) -> None:
        if text.startswith("RF"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(dataset, settings=CHEAP, work=work, report=stop_at_the_forest)
    found = run_benchmark(dataset, settings=CHEAP, work=work, report=seen.append)
    assert not any(text.startswith("KRR") for text in seen)
    assert any(text.startswith("RF") for text in seen)
    straight = run_benchmark(dataset, settings=CHEAP)
    assert [row.predictions for row in found.rows] == [row.predictions for row in straight.rows]


def test_a_cut_off_result_is_computed_again_and_other_settings_are_refused(dataset, tmp_path):
    work, seen = tmp_path / "work", []
    run_benchmark(dataset, settings=CHEAP, work=work)
    kept = work / "krr.json"
    kept.write_text(kept.read_text()[:-40])
    run_benchmark(dataset, settings=CHEAP, work=work, report=seen.append)
    assert [text for text in seen if "training on" in text] == ["KRR: training on 33 samples"]
    with pytest.raises(BenchmarkError, match="seed was 1, is 2"):
        run_benchmark(dataset, settings=replace(CHEAP, seed=2), work=work)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(BenchmarkError, match=r"no comparison\.json"):
        run_benchmark(dataset, settings=CHEAP, work=tmp_path / "other")


def test_a_folder_that_a_kill_left_without_content_is_taken_up(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / ".comparison.json.part").write_text("{")
    BenchmarkWork(work, {"seed": 1})
    with pytest.raises(BenchmarkError, match="seed was 1, is 2"):
        BenchmarkWork(work, {"seed": 2})


def test_the_command_writes_its_folder_and_leaves_nothing_else(dataset, tmp_path):
    output = tmp_path / "comparison"
    options = ["--models", "rf", "--quick", "--validation-fraction", "0.2", "--output", str(output), "--threads", "1"]
    run = CliRunner().invoke(app, ["benchmark", str(dataset.path), *options])
    assert run.exit_code == 0, run.output
    assert "training on the DOS of relaxed crystals only (--train-kinds rs_dos), testing on both; not comparable" in (
        run.stderr
    )
    assert "mean of the training part" in run.output
    assert sorted(file.name for file in output.iterdir()) == [
        "benchmark.json",
        "predictions.csv",
        "table.csv",
        "table.md",
    ]
    assert list(tmp_path.iterdir()) == [output]
    again = CliRunner().invoke(app, ["benchmark", str(dataset.path), *options])
    assert again.exit_code != 0
    assert "results are never overwritten" in str(again.exception)
