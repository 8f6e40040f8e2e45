"""`esnet train` and `esnet describe`, as a user calls them."""

import json
import re
from pathlib import Path

import pytest
from small_dataset import synthetic
from typer.testing import CliRunner, Result

from esnet.bundle.bundle import Bundle, BundleExistsError
from esnet.cli.app import app
from esnet.dataset.dataset import Dataset
from esnet.training.ensemble_run import member_folder
from esnet.training.train import TrainingError

pytestmark = pytest.mark.keras

SMALL = ["--widths", "2,2,2,2", "--epochs", "2", "--batch-size", "16", "--members", "2"]


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return synthetic(tmp_path_factory.mktemp("data") / "synthetic", 30)


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """An ensemble of two, and what the command printed."""
    bundle = tmp_path_factory.mktemp("models") / "small"
    return bundle, call("train", dataset.path, bundle, *SMALL)


def test_training_ends_in_a_bundle_that_predicts(dataset, trained):
    bundle, result = trained
    assert result.exit_code == 0, result.output
    for text in ("network 2/2: epoch 2/2", "validation MAE (eV/atom)", "IS2RE", "RS2RE", str(bundle)):
        assert text in result.output
    # no terminal: lines that can be read later
    dated = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  network 1/2: epoch 1/2  loss "
    assert re.search(dated, result.output, re.MULTILINE), result.output
    assert "\x1b" not in result.output
    loaded = Bundle.load(bundle)
    assert [record.seed for record in loaded.info.records] == [1, 2]
    assert loaded.record.data_checksum == dataset.checksum
    assert len(loaded.predict(dataset.read([0, 1]), dataset.compositions[:2])) == 2


def test_checkpoints_go_and_logs_stay(trained):
    bundle, _ = trained
    work = bundle.with_name("small.work")
    for number in (1, 2):
        member = member_folder(work, number)
        assert (member / "logs" / "epochs.csv").is_file()
        assert not (member / "checkpoints").exists()


def test_an_existing_bundle_is_refused_before_any_work(dataset, trained):
    result = call("train", dataset.path, trained[0], *SMALL, "--epochs", "3")
    assert isinstance(result.exception, BundleExistsError)
    assert "epoch" not in result.output


def test_trained_members_are_used_again_and_never_mixed_with_others(dataset, trained, tmp_path):
    work = trained[0].with_name("small.work")
    again = call("train", dataset.path, tmp_path / "again", *SMALL, "--work", work)
    assert again.exit_code == 0, again.output
    assert "epoch 1/2" not in again.output
    assert Bundle.load(tmp_path / "again").info.records == Bundle.load(trained[0]).info.records
    other = call("train", dataset.path, tmp_path / "other", *SMALL, "--work", work, "--learning-rate", "0.001")
    assert isinstance(other.exception, TrainingError)
    assert "settings.learning_rate is 0.00175 there, 0.001 here" in str(other.exception)
    assert not (tmp_path / "other").exists()


def test_a_folder_of_something_else_is_not_taken_for_working_in(dataset, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "member-of-the-jury.txt").write_text("precious")
    result = call("train", dataset.path, tmp_path / "model", *SMALL, "--work", tmp_path / "thesis", "--fresh")
    assert isinstance(result.exception, TrainingError)
    assert "is not a working folder of a training" in str(result.exception)
    assert (tmp_path / "thesis" / "member-of-the-jury.txt").read_text() == "precious"


@pytest.mark.parametrize(("option", "value"), [("--widths", "2,2"), ("--learning-rate", "5")])
def test_a_wrong_option_is_named(dataset, tmp_path, option, value):
    result = call("train", dataset.path, tmp_path / "model", *SMALL, option, value)
    assert result.exit_code == 2
    assert value in result.output
    assert not list(tmp_path.iterdir())


def test_describe_tells_where_a_model_comes_from(dataset, trained):
    bundle, _ = trained
    shown = call("describe", bundle)
    assert shown.exit_code == 0, shown.output
    loaded = Bundle.load(bundle)
    for text in (loaded.checksum, dataset.checksum, "networks", "seed 2", "learning_rate 0.00175", "RS2RE", "keras"):
        assert text in shown.output
    said = json.loads(call("describe", bundle, "--json").output)
    assert said["records"] == [json.loads(json.dumps(record.to_dict())) for record in loaded.info.records]
    assert said["checksum"] == loaded.checksum
