"""An ESNet data set is replayed with a model's predictions, and not on what the model was fitted to."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pymatgen.core import Composition
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.replay.data import ReplayDataError
from campaign.replay.read import read_replay_data
from esnet.bundle.bundle import save_bundle
from esnet.dataset.dataset import Dataset, DatasetWriter
from esnet.dataset.splits import split_dataset
from esnet.dataset.synthetic import synthetic_samples
from esnet.evaluation.selection import EvaluationError
from esnet.representation.features import Representation
from esnet.training.ensemble import assemble_bundle
from esnet.training.settings import TrainingSettings
from esnet.training.train import train_on

pytestmark = pytest.mark.keras


def write(path: Path, samples) -> Dataset:
    with DatasetWriter(path, representation=Representation(), source={"kind": "synthetic"}) as writer:
        for sample in samples:
            writer.add(sample)
    return Dataset.open(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set, its split, and a small network trained on it, alone and with what it knows of itself."""
    folder = tmp_path_factory.mktemp("replay")
    dataset = write(folder / "data", synthetic_samples(30, seed=5))
    split = split_dataset(dataset, validation_fraction=0.2, test_fraction=0.3)
    settings = TrainingSettings(widths=(2, 2, 2, 2), batch_size=16, max_epochs=1, learning_rate=0.004, seed=0)
    result = train_on(dataset, split, settings=settings)
    plain = save_bundle(
        folder / "member",
        model=result.model,
        scaler=result.scaler,
        target_scaling=result.target_scaling,
        representation=dataset.representation,
        record=result.record,
    )
    bundle = assemble_bundle(folder / "bundle", members=[plain.info.path], dataset=dataset, split=split, kinds="both")
    return SimpleNamespace(folder=folder, dataset=dataset, split=split, bundle=bundle)


def test_only_what_the_model_has_not_been_fitted_to_is_replayed(world):
    data = read_replay_data(world.dataset.path, model=str(world.bundle.info.path))
    unseen = [place for place in world.split.test if world.dataset.kinds[place] == "is_dos"]
    assert [found.id for found in data.candidates] == [world.dataset.ids[place] for place in sorted(unseen)]
    said = world.bundle.assess(world.dataset.read(sorted(unseen)), world.dataset.compositions[sorted(unseen)])
    assert [found.e_form_ml for found in data.candidates] == pytest.approx(said.e_form.tolist(), abs=1e-6)
    assert [found.uncertainty for found in data.candidates] == pytest.approx(said.uncertainty.tolist(), rel=1e-4)
    assert [found.e_form for found in data.candidates] == world.dataset.energies[sorted(unseen)].tolist()
    first, amounts = data.candidates[0], world.dataset.amounts(min(unseen))
    assert first.n_sites == Composition(amounts).num_atoms
    notes = " ".join(data.notes)
    assert f"{30 - len(unseen)} of 30 IS-DOS left out" in notes
    assert "relative to the elements only" in notes


def test_replaying_what_was_trained_on_must_be_asked_for_and_is_said(world):
    data = read_replay_data(world.dataset.path, model=str(world.bundle.info.path), part="all")
    assert len(data.candidates) == 30
    assert any("fitted to samples among these" in note for note in data.notes)


def test_a_data_set_without_unseen_is_dos_is_refused(world):
    model = str(world.bundle.info.path)
    trained = {world.dataset.materials[place] for place in world.split.train}
    seen = write(
        world.folder / "seen",
        (found for found in synthetic_samples(30, seed=5, kinds=("is_dos",)) if found.material in trained),
    )
    with pytest.raises(EvaluationError, match=r"no sample of .* is left"):
        read_replay_data(seen.path, model=model)
    relaxed = write(world.folder / "relaxed", synthetic_samples(5, seed=9, kinds=("rs_dos",)))
    with pytest.raises(ReplayDataError, match="none of its 5 samples is an IS-DOS"):
        read_replay_data(relaxed.path, model=model)


def test_the_command_replays_a_data_set(world):
    words = [
        "replay",
        str(world.dataset.path),
        "--model",
        str(world.bundle.info.path),
        "--policy",
        "budget:cpu_hours=5",
    ]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "budget:cpu_hours=5" in done.output
    assert np.isin(["random", "oracle"], done.output.split()).all()
