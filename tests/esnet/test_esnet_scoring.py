"""Scoring on Ray must lose no candidate, whatever dies, and keep TensorFlow out of the caller."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, make_labelled

from esnet.bundle.bundle import Bundle, BundleError, save_bundle
from esnet.ray.session import RaySessionError
from esnet.representation.errors import RepresentationError
from esnet.representation.features import Representation
from esnet.scoring.scoring import Prediction, ScoringError, Usage, score
from esnet.training.train import TrainingSettings, train

pytestmark = pytest.mark.ray

CALLER = """
import json, sys
import numpy as np
from esnet.representation.features import Representation
from esnet.ray.session import ray_session
from esnet.training.in_ray import train_in_ray
from esnet.training.train import TrainingSettings

folder, bundle = sys.argv[1:]
samples = np.load(folder + "/samples.npz")
epochs = []
with ray_session() as session:
    assert not session.started_here
    record = train_in_ray(
        bundle,
        dos=samples["dos"],
        compositions=samples["compositions"],
        targets=samples["targets"],
        ids=samples["ids"].tolist(),
        settings=TrainingSettings.from_dict(json.load(sys.stdin)),
        representation=Representation(),
        progress=lambda epoch, losses: epochs.append(epoch),
    )
assert epochs == list(range(1, record.epochs + 1)), epochs
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
print(record.n_train, record.validation_note)
"""


def reader_of(labelled, *, kill_marker: Path | None = None):
    """A picklable reader of features; with a marker it kills its own actor, once."""
    ids, dos, compositions = labelled.ids, labelled.dos, labelled.compositions
    marker = str(kill_marker) if kill_marker else None

    def read(wanted):
        if marker and "candidate-004" in wanted and not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        indices = [ids.index(name) for name in wanted if name in ids]
        return [ids[place] for place in indices], dos[indices], compositions[indices]

    return read


def test_every_candidate_is_answered_although_an_actor_is_killed(ray_here, bundle: Bundle, tmp_path):
    samples = make_labelled(8, seed=9)
    samples.dos[5, 0, 3, 2] = np.nan
    marker = tmp_path / "killed"
    wanted = [*samples.ids[:3], "candidate-unknown", *samples.ids[3:], samples.ids[0]]
    used: list[Usage] = []
    predictions = score(
        wanted,
        bundle_path=bundle.info.path,
        read_features=reader_of(samples, kill_marker=marker),
        batch_size=4,
        representation=Representation(),
        on_usage=used.append,
    )
    assert marker.exists()
    (usage,) = used
    # importing TensorFlow alone takes longer, in the actor that was killed (it had answered once) and in the other
    assert usage.cpu_s > 2.0
    assert usage.gpu_s == 0.0
    assert [prediction.id for prediction in predictions] == wanted[:-1]
    answers = {prediction.id: prediction for prediction in predictions}
    assert answers.pop("candidate-unknown") == Prediction("candidate-unknown", None, "no features are stored for it")
    assert answers.pop("candidate-005").reason == "its features are not finite"
    usable = [place for place in range(8) if place != 5]
    expected = bundle.predict(samples.dos[usable], samples.compositions[usable])
    assert np.allclose([prediction.e_form for prediction in answers.values()], expected, atol=1e-5)


def test_a_batch_that_always_fails_ends_with_its_ids_named(ray_here, bundle: Bundle):
    def read(wanted):
        raise ConnectionError("database is away")

    with pytest.raises(ScoringError, match=r"(?s)tried 2 times and not scored: a, b\. .*database is away"):
        score(["a", "b"], bundle_path=bundle.info.path, read_features=read, batch_size=2, max_batch_failures=1)


def test_a_batch_that_kills_its_actor_every_time_ends_with_its_ids_named(ray_here, bundle: Bundle):
    def read(wanted):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ScoringError, match=r"(?s)2 candidates were tried 1 times and not scored: a, b\. Last cause: "):
        score(["a", "b"], bundle_path=bundle.info.path, read_features=read, max_batch_failures=0)


def test_a_wrong_bundle_or_too_many_cores_are_refused_before_an_actor_starts(ray_here, bundle, tmp_path):
    def read(wanted):
        raise AssertionError("nothing should be read")

    with pytest.raises(BundleError, match="not a directory"):
        score(["a"], bundle_path=tmp_path / "nothing", read_features=read)
    with pytest.raises(RepresentationError, match="composition: the model has 'presence'"):
        score(
            ["a"],
            bundle_path=bundle.info.path,
            read_features=read,
            representation=Representation(composition="fraction"),
        )
    with pytest.raises(RaySessionError, match="no node has 64 CPUs"):
        score(["a"], bundle_path=bundle.info.path, read_features=read, cpu_threads=64)
    assert score([], bundle_path=bundle.info.path, read_features=read) == []


def test_training_in_ray_keeps_tensorflow_out_of_the_caller_and_gives_the_same_bits(ray_here, tmp_path):
    samples = make_labelled(17, seed=4)
    np.savez(
        tmp_path / "samples.npz",
        ids=samples.ids,
        dos=samples.dos,
        compositions=samples.compositions,
        targets=samples.targets,
    )
    settings = TrainingSettings(widths=SMALL, batch_size=8, max_epochs=4, seed=7)
    done = subprocess.run(
        [sys.executable, "-c", CALLER, str(tmp_path), str(tmp_path / "bundle")],
        input=json.dumps(settings.to_dict()),
        env=os.environ | {"RAY_ADDRESS": ray_here.address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("17 no validation part: 0.1 of 17 samples is 2, fewer than 5")
    here = train(
        samples.dos,
        samples.compositions,
        samples.targets,
        ids=samples.ids,
        settings=settings,
        representation=Representation(),
    )
    loaded = Bundle.load(tmp_path / "bundle")
    assert loaded.record.loss == here.record.loss
    # 17 samples in batches of 8 would leave a last batch of one
    assert loaded.record.batch_size == 9
    assert loaded.record.data_checksum == here.record.data_checksum
    saved = save_bundle(
        tmp_path / "here",
        model=here.model,
        scaler=here.scaler,
        target_scaling=here.target_scaling,
        representation=Representation(),
        record=here.record,
    )
    assert np.array_equal(
        loaded.predict(samples.dos, samples.compositions), saved.predict(samples.dos, samples.compositions)
    )
