"""One bundle must predict the same on every Keras backend, and on JAX and PyTorch without TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_dataset import synthetic

from esnet.bundle.bundle import save_bundle
from esnet.dataset.splits import split_dataset
from esnet.network.model import build_esnet
from esnet.scoring.scoring import score
from esnet.training.ensemble import assemble_bundle
from esnet.training.settings import TrainingSettings
from esnet.training.train import train_on

pytestmark = pytest.mark.keras

MODULES = {"jax": "jax", "torch": "torch"}
TOLERANCE = 1e-4  # eV/atom
SAID = ("e_form", "uncertainty", "spread", "novelty", "unseen")

# what runs first in a process that has no TensorFlow, whether it is installed or not: an import of it fails, and
# is noted, so that one that is tried and forgiven is seen as well
NO_TENSORFLOW = """
import importlib.machinery, json, sys
tried = []
class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        tried.append(spec.name)
        raise ModuleNotFoundError(f"no module named {spec.name}", name=spec.name)
    def exec_module(self, module):
        raise AssertionError
sys.meta_path.insert(0, NoTensorFlow())
def answer(**found):
    import keras
    found |= {"backend": keras.config.backend(), "tried": tried, "tensorflow": "tensorflow" in sys.modules}
    print("ANSWER" + json.dumps(found))
"""

PREDICT = """
import math
import numpy as np
from esnet.bundle.bundle import Bundle
from esnet.network.model import build_esnet
from esnet.scoring.batch import predict_batch, read_batch
samples = np.load(sys.argv[2])
dos, compositions = samples["dos"], samples["compositions"]
bundle = Bundle.load(sys.argv[1])
said = bundle.assess(dos, compositions, batch_size=len(dos))
ids = [str(number) for number in range(len(dos))]
batch = read_batch(ids, bundle=bundle, read_features=lambda ids: (ids, dos, compositions))
scored = predict_batch(batch, bundle=bundle, batch_size=len(dos))
model = build_esnet()
answer(
    predicted=bundle.predict(dos, compositions, batch_size=len(dos)).tolist(),
    assessed={name: getattr(said, name).tolist() for name in SAID},
    scored=[prediction.e_form for prediction in scored],
    parameters=model.count_params(),
    trainable=sum(math.prod(weight.shape) for weight in model.trainable_weights),
)
"""

TRAIN = """
from esnet.representation.features import Representation
from esnet.training.train import TrainingSettings, train
from esnet.training.network import TrainingError
import numpy as np
try:
    train(
        np.zeros((4, 2, 1500, 9)), np.zeros((4, 111)), np.zeros(4),
        ids=list("abcd"), settings=TrainingSettings(widths=(2, 2, 2, 2)), representation=Representation(),
    )
except TrainingError as error:
    answer(error=str(error))
"""


@pytest.fixture(scope="module", params=sorted(MODULES))
def backend(request: pytest.FixtureRequest) -> str:
    """A Keras backend other than the default, skipped where it is not installed."""
    if importlib.util.find_spec(MODULES[request.param]) is None:
        pytest.skip(f"{MODULES[request.param]} is not installed")
    return request.param


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """An ensemble of a network that saw one epoch and of one that saw none, what it says, and a file of features."""
    folder = tmp_path_factory.mktemp("backends")
    dataset = synthetic(folder / "data", 30, seed=2)
    split = split_dataset(dataset, validation_fraction=0.2)
    settings = TrainingSettings(widths=(2, 2, 2, 2), batch_size=16, max_epochs=1, deterministic=False)
    trained = train_on(dataset, split, settings=settings)
    models = trained.model, build_esnet(widths=settings.widths, seed=1)
    for seed, model in enumerate(models):
        save_bundle(
            folder / f"member-{seed}",
            model=model,
            scaler=trained.scaler,
            target_scaling=trained.target_scaling,
            representation=dataset.representation,
            record=replace(trained.record, seed=seed),
        )
    bundle = assemble_bundle(
        folder / "bundle",
        members=[folder / f"member-{seed}" for seed in range(len(models))],
        dataset=dataset,
        split=split,
        kinds="both",
    )
    dos, compositions = dataset.read(split.test), dataset.compositions[split.test]
    np.savez(folder / "samples.npz", dos=dos, compositions=compositions)
    return SimpleNamespace(
        bundle=bundle, dos=dos, compositions=compositions, arguments=(bundle.info.path, folder / "samples.npz")
    )


@pytest.fixture(scope="module")
def found(backend: str, world: SimpleNamespace) -> dict[str, Any]:
    """What a process without TensorFlow says."""
    return run_without_tensorflow(backend, f"SAID = {SAID}" + PREDICT, *world.arguments)


def run_without_tensorflow(backend: str, script: str, *arguments: Path) -> dict[str, Any]:
    """Run a script in a process of its own; what it answers."""
    done = subprocess.run(
        [sys.executable, "-c", NO_TENSORFLOW + script, *map(str, arguments)],
        env=os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    found: dict[str, Any] = json.loads(line.removeprefix("ANSWER"))
    assert (found["backend"], found["tensorflow"], found["tried"]) == (backend, False, [])
    return found


def test_energies_are_those_of_tensorflow(found, world):
    expected = world.bundle.predict(world.dos, world.compositions)
    assert np.ptp(expected) > 100 * TOLERANCE
    assert np.abs(np.array(found["predicted"]) - expected).max() < TOLERANCE
    assert found["scored"] == found["assessed"]["e_form"] == found["predicted"]


def test_uncertainty_and_novelty_are_those_of_tensorflow(found, world):
    expected = world.bundle.assess(world.dos, world.compositions)
    assert world.bundle.info.assessment is not None
    for name in SAID:
        here = np.asarray(getattr(expected, name), dtype=float)
        assert np.isfinite(here).all(), name
        assert np.array(found["assessed"][name]) == pytest.approx(here, abs=TOLERANCE), name


def test_parameter_counts_are_the_papers_on_every_backend(found):
    assert (found["parameters"], found["trainable"]) == (9_756_225, 9_736_001)


def test_training_on_another_backend_is_refused_by_name(backend):
    error = run_without_tensorflow(backend, TRAIN)["error"]
    assert "TensorFlow" in error
    assert f"KERAS_BACKEND is {backend}" in error


def reader_that_sees(backend: str, names: list[str], world: SimpleNamespace) -> Callable[..., Any]:
    """A reader of features that refuses to go on in an actor with another backend, or with TensorFlow."""
    dos, compositions = world.dos, world.compositions

    def read(wanted):
        import sys

        import keras

        assert keras.config.backend() == backend, keras.config.backend()
        assert "tensorflow" not in sys.modules
        indices = [names.index(name) for name in wanted]
        return wanted, dos[indices], compositions[indices]

    return read


@pytest.mark.ray
@pytest.mark.parametrize("backend", ["torch"], indirect=True)
def test_actors_score_on_the_callers_backend_without_tensorflow(backend, ray_here, world, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    ids = [f"candidate-{number}" for number in range(4)]
    # the second batch is read after the first was predicted, in the one actor
    predictions = score(
        ids,
        bundle_path=world.bundle.info.path,
        read_features=reader_that_sees(backend, ids, world),
        batch_size=2,
        max_batch_failures=0,
    )
    expected = world.bundle.predict(world.dos[:4], world.compositions[:4])
    assert [prediction.id for prediction in predictions] == ids
    assert np.abs(np.array([prediction.e_form for prediction in predictions]) - expected).max() < TOLERANCE
