"""Training on a data set must learn, go on after a kill as if nothing had happened, and say what it did."""

import csv
import json
import os
import platform
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_dataset import synthetic, tiny_sample, write

from esnet.bundle.record import TrainingRecord
from esnet.dataset.dataset import Dataset, DatasetError
from esnet.dataset.splits import Split, split_dataset
from esnet.training.checkpoints import CheckpointError
from esnet.training.train import TrainingError, TrainingResult, TrainingSettings, train_on

pytestmark = pytest.mark.keras

SETTINGS = TrainingSettings(
    widths=(2, 2, 2, 2), batch_size=16, max_epochs=10, plateau_patience=2, stop_patience=8, seed=5
)
KILL_AFTER = 4

PROGRAM = """
import json, sys
from pathlib import Path
from esnet.dataset.dataset import Dataset, DatasetError
from esnet.dataset.splits import split_dataset
from esnet.training.train import TrainingSettings, train_on

options = json.loads(sys.argv[1])
if options["cpus"] > 1:
    import tensorflow
    device = tensorflow.config.LogicalDeviceConfiguration()
    tensorflow.config.set_logical_device_configuration(
        tensorflow.config.list_physical_devices("CPU")[0], [device] * options["cpus"]
    )

def progress(epoch, values):
    print(epoch, flush=True)
    if epoch == options.get("stop"):
        raise StopIteration("seen enough")

data = Dataset.open(options["data"])
result = train_on(
    data,
    split_dataset(data, test_fraction=0.2),
    settings=TrainingSettings.from_dict(options["settings"]),
    checkpoints=Path(options["checkpoints"]),
    devices=[f"CPU:{number}" for number in range(options["cpus"])] if options["cpus"] > 1 else None,
    kinds=options.get("kinds", "both"),
    progress=progress,
)
dtypes = sorted({layer.compute_dtype for layer in result.model.layers})
print(json.dumps({"record": result.record.to_dict(), "compute_dtypes": dtypes}), flush=True)
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """100 materials with IS-DOS and RS-DOS."""
    return synthetic(tmp_path_factory.mktemp("data") / "synthetic", 100)


@pytest.fixture(scope="module")
def split(dataset: Dataset) -> Split:
    return split_dataset(dataset, test_fraction=0.2)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def whole(dataset: Dataset, split: Split, logs: Path) -> TrainingResult:
    """A training that nothing interrupted."""
    return train_on(dataset, split, settings=SETTINGS, logs=logs)


def start(options: dict) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(options)], stdout=subprocess.PIPE, text=True, env=os.environ
    )


@pytest.fixture(scope="module")
def killed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a process that was killed in the middle of the same training."""
    folder = tmp_path_factory.mktemp("killed")
    options = {"data": str(dataset.path), "settings": SETTINGS.to_dict(), "checkpoints": str(folder), "cpus": 1}
    process = start(options)
    try:
        for line in process.stdout:
            if line.strip() == str(KILL_AFTER):
                break
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
    return folder


def test_another_training_does_not_go_on_from_the_checkpoints(dataset, split, killed):
    with pytest.raises(CheckpointError, match=r"settings\.learning_rate is 0\.00175 there, 0\.001 here"):
        train_on(dataset, split, settings=replace(SETTINGS, learning_rate=0.001), checkpoints=killed)


def test_a_killed_training_goes_on_with_the_same_result(dataset, split, whole, killed):
    # the last checkpoint is damaged too: an epoch more is done again
    last = max(killed.glob("epoch-*.npz"))
    last.write_bytes(last.read_bytes()[:1000])
    epochs = []
    result = train_on(
        dataset, split, settings=SETTINGS, checkpoints=killed, progress=lambda epoch, _: epochs.append(epoch)
    )
    assert epochs[0] in (KILL_AFTER, KILL_AFTER + 1)
    assert len(result.record.loss) == len(whole.record.loss)
    for name in ("loss", "validation_loss", "validation_mae", "learning_rate"):
        np.testing.assert_allclose(getattr(result.record, name), getattr(whole.record, name), rtol=1e-4, err_msg=name)
    assert result.record.best_epoch == whole.record.best_epoch
    for mine, theirs in zip(result.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)
    assert result.record.mae_test == pytest.approx(whole.record.mae_test, abs=1e-5)

    def never(epoch, values):
        raise AssertionError(f"epoch {epoch}")

    # it has ended now, and is not trained further
    again = train_on(dataset, split, settings=SETTINGS, checkpoints=killed, progress=never)
    assert again.record.stopped == whole.record.stopped
    assert again.record.mae_test == pytest.approx(whole.record.mae_test, abs=1e-5)


def test_it_beats_predicting_the_mean_on_the_held_out_part(dataset, split, whole):
    energies = dataset.energies
    baseline = np.abs(energies[split.test] - energies[split.train].mean()).mean()
    assert whole.record.mae_test < 0.75 * baseline


def test_the_scaling_comes_from_the_training_part_alone(dataset, split, whole):
    assert whole.target_scaling.mean == pytest.approx(dataset.energies[split.train].mean())
    dos = dataset.read(split.train).astype(np.float64)
    np.testing.assert_allclose(whole.scaler.mean, dos.mean(axis=(0, 2)), rtol=1e-6)


def test_the_record_says_what_was_done(dataset, split, whole):
    record = whole.record
    assert (record.data_checksum, record.data_name, record.kinds) == (dataset.checksum, "synthetic", "both")
    assert Split.of(dataset, record.split).test.tolist() == split.test.tolist()
    assert set(record.metrics) == {"train", "validation", "test"}
    for part, indices in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        found = record.metrics[part]
        assert found["all"]["n"] == found["IS2RE"]["n"] + found["RS2RE"]["n"] == len(indices)
        weighted = sum(found[task]["n"] * found[task]["mae"] for task in ("IS2RE", "RS2RE")) / len(indices)
        assert found["all"]["mae"] == pytest.approx(weighted)
    assert record.environment["cpu"]
    assert record.environment["precision"] == "float32"
    assert TrainingRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    text = json.dumps(record.to_dict())
    assert platform.node() not in text or len(platform.node()) < 4
    assert str(dataset.path) not in text


def test_the_logs_have_each_epoch_once(whole, logs):
    with (logs / "epochs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["epoch"]) for row in rows] == list(range(1, whole.record.epochs + 1))
    assert [float(row["val_mae"]) for row in rows] == whole.record.validation_mae
    pytest.importorskip("tensorboard")
    assert list((logs / "tensorboard").rglob("events.out.tfevents*"))


def run(dataset: Dataset, checkpoints: Path, settings: TrainingSettings, **options) -> dict:
    """Train in a process of its own: devices and determinism of operations are set once in a process."""
    given = {"data": str(dataset.path), "settings": settings.to_dict(), "checkpoints": str(checkpoints), "cpus": 1}
    process = start(given | options)
    output, _ = process.communicate()
    assert process.returncode == 0
    said = json.loads(output.splitlines()[-1])
    return said | {"record": TrainingRecord.from_dict(said["record"])}


@pytest.mark.long
def test_mixed_precision_and_xla_train_and_keep_a_float32_network(dataset, split, tmp_path):
    # the batch size divides the part: XLA compiles for each size of a batch
    settings = replace(SETTINGS, batch_size=35, precision="mixed_bfloat16", xla=True)
    said = run(dataset, tmp_path, settings, kinds="rs_dos", stop=2)
    record = said["record"]
    assert (record.epochs, record.stopped) == (2, "stopped from outside: seen enough")
    assert (record.environment["precision"], record.environment["xla"]) == ("mixed_bfloat16", True)
    assert said["compute_dtypes"] == ["float32"]
    assert np.isfinite(record.loss).all()
    assert record.loss[1] < record.loss[0]
    assert np.isfinite(record.mae_test)
    # trained on one kind, told for both
    assert record.n_train == (np.asarray(dataset.kinds)[split.train] == "rs_dos").sum()
    assert record.metrics["test"]["all"] == record.metrics["test"]["RS2RE"]
    assert record.metrics["test"]["IS2RE"]["n"] > 0


@pytest.mark.long
def test_two_devices_share_the_batches(dataset, tmp_path):
    record = run(dataset, tmp_path, replace(SETTINGS, max_epochs=2), cpus=2)["record"]
    assert record.environment["replicas"] == 2
    assert np.isfinite(record.loss).all()
    assert record.loss[1] < record.loss[0]
    assert list(tmp_path.glob("epoch-*.npz"))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_file_that_breaks_is_named_and_not_in_tensorflows_words(dataset, split, monkeypatch, part):
    def read(self, indices):
        # the scaler reads the training part before TensorFlow does, the test part is read after the last epoch
        if set(np.asarray(indices).tolist()) & set(split.part(part).tolist()):
            raise DatasetError("dos-00000.h5 was altered")
        return whole(self, indices)

    whole = Dataset.read
    monkeypatch.setattr(Dataset, "read", read)
    with pytest.raises(DatasetError, match=r"^dos-00000\.h5 was altered$"):
        train_on(dataset, split, settings=replace(SETTINGS, max_epochs=1))


def test_what_cannot_be_trained_is_refused_by_name(tmp_path, dataset, split):
    only_relaxed = Dataset.open(write(tmp_path / "data", (tiny_sample(number) for number in range(20))))
    with pytest.raises(TrainingError, match="0 samples of kind is_dos are left"):
        train_on(only_relaxed, split_dataset(only_relaxed), settings=SETTINGS, kinds="is_dos")
    with pytest.raises(TrainingError, match="kinds='all': must be one of is_dos, rs_dos, both"):
        train_on(dataset, split, settings=SETTINGS, kinds="all")
    with pytest.raises(TrainingError, match="GPU:7"):
        train_on(dataset, split, settings=SETTINGS, devices=["GPU:7"])
