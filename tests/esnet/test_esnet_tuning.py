"""Tuning must outlive trials that fail, workers that are killed and a driver that is killed, and tell them apart."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from esnet.files.errors import UserError
from esnet.tuning.run import run_trials
from esnet.tuning.settings import Resources, SearchSettings
from esnet.tuning.space import PAPER_SPACE, TuningError
from esnet.tuning.study import Study, best_trial

# Ax calls pandas in ways that pandas 4 will not take
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ax\..*")]

N_EPOCHS = 6
PATIENCE_S = 300


def make_objective():
    """Return an objective with a fault in some trials; a closure, so that workers need not import this file."""
    n_epochs = N_EPOCHS

    def objective(task):
        import json
        import math
        import os
        import signal

        from esnet.files.errors import UserError

        state = task.folder / "epochs.json"
        done = json.loads(state.read_text()) if state.exists() else []
        value = (task.parameters["learning_rate"] * 1000 - 1.5) ** 2 + (task.parameters["batch_size"] / 30 - 1) ** 2
        for epoch in range(len(done) + 1, n_epochs + 1):
            if task.name == "trial-002":
                raise RuntimeError("boom")
            if task.name == "trial-003" and epoch == 4 and "killed" not in os.listdir(task.folder):
                (task.folder / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if task.name == "trial-004" and epoch == 2:
                raise UserError("this will never do")
            done.append(epoch)
            state.write_text(json.dumps(done))
            task.report(epoch, {"loss": value + 1 / epoch})
        return {"loss": math.nan if task.name == "trial-005" else value}

    return objective


def run(study, *, trials=7, **options):
    return run_trials(
        make_objective(),
        study,
        space=PAPER_SPACE,
        metric="loss",
        max_epochs=N_EPOCHS,
        search=SearchSettings(trials=trials, stopping="none", initial_trials=4, seed=1),
        resources=Resources(concurrent=1, retries=1),
        **options,
    )


@pytest.fixture(scope="module")
def faulty(ray_here, tmp_path_factory):
    """A study of seven trials, four of them with a fault."""
    study = Study.begin(tmp_path_factory.mktemp("tuning") / "study", identity={"faults": True}, about={})
    seen = []
    trials = run(study, progress=lambda trial: seen.append((trial.name, trial.status)))
    return study, {trial.name: trial for trial in trials}, seen


def test_one_failing_trial_ends_or_blocks_the_others(faulty):
    _, trials, _ = faulty
    assert {name: trial.status for name, trial in trials.items()} == {
        "trial-001": "finished",
        "trial-002": "failed",
        "trial-003": "finished",
        "trial-004": "failed",
        "trial-005": "failed",
        "trial-006": "finished",
        "trial-007": "finished",
    }
    finished = [trial for trial in trials.values() if trial.status == "finished"]
    assert best_trial(list(trials.values()), "loss") == min(finished, key=lambda trial: trial.last("loss"))


def test_a_trial_does_not_say_why_it_failed(faulty):
    _, trials, _ = faulty
    assert (trials["trial-002"].recoveries, trials["trial-002"].message) == (1, "RuntimeError: boom")
    assert (trials["trial-004"].recoveries, trials["trial-004"].message) == (0, "this will never do")
    assert trials["trial-005"].message == "loss is not finite"
    assert trials["trial-005"].last("loss") is None


def test_a_killed_worker_s_trial_starts_again_from_the_first_epoch(faulty):
    _, trials, _ = faulty
    assert trials["trial-003"].recoveries == 1
    assert [row["epoch"] for row in trials["trial-003"].curve] == list(range(1, N_EPOCHS + 1))
    assert "killed" in trials["trial-003"].message


def test_progress_is_not_told(faulty):
    _, trials, seen = faulty
    assert {name for name, _ in seen} == set(trials)
    assert seen.count(("trial-001", "finished")) == 1
    assert seen.count(("trial-001", "running")) >= N_EPOCHS


def test_tensorboard_has_no_logs(faulty):
    study, trials, _ = faulty
    for name in trials:
        if trials[name].curve:
            assert list((study.path / "ray" / name).glob("events.out.tfevents.*")), name


def test_trials_that_ended_are_run_again(faulty):
    study, trials, _ = faulty
    assert run(study) == list(trials.values())


def test_more_trials_than_before_start_over(faulty, tmp_path):
    study, trials, _ = faulty
    copy = Study(tmp_path / "study")
    shutil.copytree(study.path, copy.path)
    more = run(copy, trials=8, retry_failed=True)
    assert [trial.name for trial in more] == [f"trial-{number:03d}" for number in range(1, 9)]
    assert more[-1].status == "finished"
    assert [trial for trial in more if trial.status == "finished"][:1] == [trials["trial-001"]]


SCRIPT = """
import sys, time
from esnet.ray.session import ray_session
from esnet.tuning.run import run_trials
from esnet.tuning.settings import Resources, SearchSettings
from esnet.tuning.space import PAPER_SPACE
from esnet.tuning.study import Study

def objective(task):
    import os
    (task.folder / "pid").write_text(str(os.getpid()))
    for epoch in range(1, 2 if task.name == "trial-001" else 1000):
        task.report(epoch, {"loss": 1 / epoch})
        time.sleep(0.05)
    return {"loss": 1.0}

if __name__ == "__main__":
    with ray_session("local", num_cpus=1, num_gpus=0):
        run_trials(objective, Study.begin(sys.argv[1], identity={}, about={}), space=PAPER_SPACE, metric="loss",
                   max_epochs=1000, search=SearchSettings(trials=3, stopping="none"), resources=Resources())
"""


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.1)


def alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_a_driver(script, folder):
    """Start a tuning run in a process of its own, kill that during the second trial, and wait for its workers' end."""
    second = Study(folder)
    ray_folder = tempfile.mkdtemp(prefix="rt")
    driver = subprocess.Popen(
        [sys.executable, script, folder],
        env=os.environ | {"RAY_TMPDIR": ray_folder, "RAY_ADDRESS": "local"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    started = []
    try:

        def under_way():
            assert driver.poll() is None, driver.stderr.read().decode()
            trials = {trial.name: trial for trial in second.trials()}
            return "trial-002" in trials and trials["trial-002"].epoch >= 3

        wait_for(under_way, "the second trial")
        started = psutil.Process(driver.pid).children(recursive=True)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        # Ray's processes end when their driver is gone
        wait_for(lambda: not any(alive(process) for process in started), "the end of Ray")
        shutil.rmtree(ray_folder, ignore_errors=True)


def test_a_killed_driver_loses_trials(ray_here, tmp_path):
    script, folder = tmp_path / "driver.py", tmp_path / "study"
    script.write_text(SCRIPT)
    kill_a_driver(script, folder)
    study = Study.begin(folder, identity={}, about={})
    before = {trial.name: trial for trial in study.trials()}
    assert (before["trial-001"].status, before["trial-002"].status) == ("finished", "running")

    def objective(task):
        (task.folder / "again").touch()
        first = int(task.curve[-1]["epoch"]) + 1 if task.curve else 1
        for epoch in range(first, first + 2):
            task.report(epoch, {"loss": 1 / epoch})
        return {"loss": 0.5}

    trials = run_trials(
        objective,
        study,
        space=PAPER_SPACE,
        metric="loss",
        max_epochs=1000,
        search=SearchSettings(trials=3, stopping="none"),
    )
    assert [(trial.name, trial.status) for trial in trials] == [(f"trial-00{n}", "finished") for n in (1, 2, 3)]
    assert trials[0] == before["trial-001"]
    assert not (study.folder("trial-001") / "again").exists()
    assert trials[1].parameters == before["trial-002"].parameters
    assert trials[1].epoch == before["trial-002"].epoch + 2
    assert trials[2].parameters not in [trial.parameters for trial in trials[:2]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    from esnet.dataset.synthetic import synthetic_samples
    from esnet.dataset.writer import DatasetWriter
    from esnet.representation.features import Representation

    path = tmp_path_factory.mktemp("tuning-data") / "data"
    with DatasetWriter(path, representation=Representation(), source={"kind": "synthetic"}) as writer:
        for sample in synthetic_samples(30):
            writer.add(sample)
    return path


def invoke(*words):
    from typer.testing import CliRunner

    from esnet.cli.app import app

    return CliRunner().invoke(app, ["tune", *map(str, words)])


def test_esnet_tune_leaves_no_table_no_plot_or_no_model_of_the_best(ray_here, data, tmp_path):
    from esnet.bundle.bundle import Bundle
    from esnet.dataset.dataset import Dataset

    out = tmp_path / "tuned"
    words = [data, out, "--trials", 2, "--epochs", 2, "--widths", "2,2,2,2", "--grace", 1, "--concurrent", 1]
    words += ["--validation-fraction", 0.2, "--point", "0.00175,32"]
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    assert "tensorboard --logdir" in done.output
    dated = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  trial-001  "
    assert re.findall(rf"{dated}(\w+) .*learning_rate 0.00175, batch_size 32", done.output, re.MULTILINE) == [
        "starts",
        "finished",
    ]
    # in the dashboard's list of actors each trial has its name and its settings, and is gone when it has ended
    from ray._private import state

    deadline = time.monotonic() + PATIENCE_S
    while True:
        actors = [found for found in state.actors().values() if found["Name"].startswith("tuned/")]
        if all(found["State"] == "DEAD" for found in actors):
            break
        assert time.monotonic() < deadline, actors
        time.sleep(0.2)
    names = sorted(found["Name"] for found in actors)
    assert [name.partition(":")[0] for name in names] == ["tuned/trial-001", "tuned/trial-002"]
    assert names[0].startswith("tuned/trial-001: learning_rate 0.00175, batch_size 32 (")
    with (out / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["trial-001", "trial-002"]
    assert (rows[0]["learning_rate"], rows[0]["batch_size"]) == ("0.00175", "32")
    assert (out / "surface.png").is_file()
    assert (out / "surface.svg").is_file()
    best = min((row for row in rows if row["status"] == "finished"), key=lambda row: float(row["validation_mae"]))

    bundle = Bundle.load(out / "best")
    assert bundle.record.mae_validation == pytest.approx(float(best["validation_mae"]))
    assert bundle.record.settings["learning_rate"] == pytest.approx(float(best["learning_rate"]))
    samples = Dataset.open(data).samples(range(3))
    assert bundle.predict(samples.dos, samples.compositions).shape == (3,)
    assert not list(out.glob("trials/*/checkpoints"))
    checksum = bundle.checksum

    again = invoke(*words)
    assert again.exit_code == 0, again.output
    assert Bundle.load(out / "best").checksum == checksum

    other = invoke(*words, "--grace", 2)
    assert isinstance(other.exception, TuningError)
    assert "search.grace was 1 and is 2" in str(other.exception)
    assert not list(tmp_path.glob("*.ray-token-*"))


def test_a_tuning_without_a_validation_part_begins(data, tmp_path):
    from esnet.dataset.dataset import Dataset
    from esnet.dataset.splits import split_dataset
    from esnet.training.settings import TrainingSettings
    from esnet.tuning.tune import tune

    dataset = Dataset.open(data)
    split = split_dataset(dataset, validation_fraction=0.05)
    with pytest.raises(TuningError, match="larger validation fraction"):
        tune(dataset, tmp_path / "tuned", split=split, training=TrainingSettings(widths=(2, 2, 2, 2)))
    assert not (tmp_path / "tuned").exists()


def test_errors_of_tuning_show_a_traceback():
    assert issubclass(TuningError, UserError)
    assert issubclass(TuningError, ValueError)


@pytest.mark.parametrize("words", [("--grid", "5"), ("--grid", "axb"), ("--point", "0.001"), ("--widths", "1,2")])
def test_an_option_that_makes_no_sense_is_taken(words, data, tmp_path):
    done = invoke(data, tmp_path / "tuned", *words)
    assert done.exit_code == 2, done.output
    assert not list(Path(tmp_path).iterdir())
