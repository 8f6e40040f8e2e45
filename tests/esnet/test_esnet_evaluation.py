"""An ensemble must say what it does not know, and be judged by nothing that it was fitted to."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from esnet.bundle.bundle import Bundle, BundleError, BundleExistsError, BundleInfo, add_model_card, save_bundle
from esnet.bundle.files import new_bundle
from esnet.bundle.info import write_info
from esnet.bundle.networks import Networks, Outputs
from esnet.cli.app import app
from esnet.dataset.dataset import Dataset, DatasetWriter
from esnet.dataset.splits import split_dataset
from esnet.dataset.synthetic import synthetic_samples
from esnet.evaluation.files import write_evaluation
from esnet.evaluation.run import evaluate
from esnet.evaluation.selection import EvaluationError, select_samples
from esnet.files.output_folder import OutputExistsError
from esnet.representation.composition import ELEMENTS, composition_vector
from esnet.representation.errors import RepresentationError
from esnet.representation.features import Representation
from esnet.scoring.batch import predict_batch, read_batch
from esnet.scoring.scoring import ScoringError
from esnet.training.ensemble import EnsembleError, assemble_bundle
from esnet.training.settings import TrainingSettings
from esnet.training.train import TrainingResult, train_on

pytestmark = pytest.mark.keras

N_MATERIALS = 80


def write_dataset(path: Path, samples, *, representation: Representation | None = None) -> Dataset:
    source = {"kind": "synthetic"}
    with DatasetWriter(path, representation=representation or Representation(), source=source) as writer:
        for sample in samples:
            writer.add(sample)
    return Dataset.open(path)


def write_member(path: Path, result: TrainingResult, representation: Representation, *, seed: int) -> Path:
    """A network near the trained one, as a bundle; building and training each from scratch would take half a minute."""
    original = result.model.get_weights()
    rng = np.random.default_rng(seed)
    # factors above 0, since the variances of the batch normalisations are among them
    result.model.set_weights([weights * np.exp(rng.normal(0.0, 0.1, weights.shape)) for weights in original])
    with new_bundle(path) as folder:
        result.model.save(folder / "model.keras")
        write_info(
            folder,
            representation=representation,
            scaler=result.scaler,
            target_scaling=result.target_scaling,
            records=[replace(result.record, seed=seed)],
        )
    result.model.set_weights(original)
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set, its split, a small trained network and two near it, and one bundle of all and one of the first."""
    folder = tmp_path_factory.mktemp("evaluation")
    dataset = write_dataset(folder / "data", synthetic_samples(N_MATERIALS, seed=5))
    split = split_dataset(dataset, validation_fraction=0.2, test_fraction=0.2)
    settings = TrainingSettings(widths=(2, 2, 2, 2), batch_size=16, max_epochs=8, learning_rate=0.004, seed=0)
    result = train_on(dataset, split, settings=settings)
    plain = save_bundle(
        folder / "member-0",
        model=result.model,
        scaler=result.scaler,
        target_scaling=result.target_scaling,
        representation=dataset.representation,
        record=result.record,
    )
    near = [write_member(folder / f"member-{seed}", result, dataset.representation, seed=seed) for seed in (1, 2)]
    members = [plain.info.path, *near]
    given = {"dataset": dataset, "split": split, "kinds": "both"}
    return SimpleNamespace(
        dataset=dataset,
        split=split,
        members=members,
        plain=plain,
        given=given,
        ensemble=assemble_bundle(folder / "ensemble", members=members, **given),
        single=assemble_bundle(folder / "single", members=members[:1], **given),
    )


def features(world, indices):
    return world.dataset.read(indices), world.dataset.compositions[indices]


def test_an_ensemble_predicts_the_mean_of_its_members_and_the_same_bits_after_loading(world):
    dos, compositions = features(world, world.split.test)
    members = world.ensemble.networks.run(dos, compositions).energies
    assert np.array_equal(members[0], world.plain.predict(dos, compositions))
    assert len(np.unique(members, axis=0)) == 3
    predicted = world.ensemble.predict(dos, compositions)
    assert predicted == pytest.approx(np.mean(members, axis=0), abs=1e-12)
    said = world.ensemble.assess(dos, compositions)
    assert np.array_equal(said.e_form, predicted)
    assert said.spread == pytest.approx(np.std(members, axis=0, ddof=1), abs=1e-12)
    again = Bundle.load(world.ensemble.info.path).assess(dos, compositions)
    for name in ("e_form", "uncertainty", "spread", "novelty", "unseen", "novel"):
        assert np.array_equal(getattr(said, name), getattr(again, name)), name


def test_a_bundle_of_one_network_predicts_as_the_network_does_and_still_has_uncertainties(world):
    dos, compositions = features(world, world.split.test)
    said = world.single.assess(dos, compositions)
    assert np.array_equal(said.e_form, world.plain.predict(dos, compositions))
    assert np.isnan(said.spread).all()
    assert (said.uncertainty > 0).all()
    assert world.single.info.assessment["uncertainty"]["signal"] == "novelty"


def test_a_bundle_that_cannot_say_says_so(world):
    plain = world.plain.assess(*features(world, world.split.test))
    assert np.isfinite(plain.e_form).all()
    assert np.isnan(plain.uncertainty).all()
    assert np.isnan(plain.novelty).all()
    assert plain.unseen is None
    assert plain.novel is None
    nothing = world.ensemble.assess(*features(world, world.split.test[:0]))
    assert nothing.e_form.shape == nothing.uncertainty.shape == (0,)


def test_an_element_never_seen_is_flagged_and_nothing_is_promised_about_it(world):
    """The members' weights of that element are what chance gave them, and they may agree on it by chance as well."""
    dos, compositions = features(world, world.split.test)
    known = world.ensemble.assess(dos, compositions)
    assert not known.unseen.any()
    assert known.novel.mean() < 0.5
    assert (known.uncertainty >= known.spread).all()
    strange = np.tile(composition_vector({"Xe": 1, "Al": 1}), (len(dos), 1))
    said = world.ensemble.assess(dos, strange)
    assert said.unseen.all()
    assert said.novel.all()
    assert np.isnan(said.uncertainty).all()


def test_densities_unlike_all_trained_on_are_flagged_and_less_certain(world):
    dos, compositions = features(world, world.split.test)
    known = world.ensemble.assess(dos, compositions)
    said = world.ensemble.assess(20.0 * dos, compositions)
    assert not said.unseen.any()
    assert said.novel.mean() > 0.9
    assert said.uncertainty.mean() > known.uncertainty.mean()


def test_what_a_bundle_knows_comes_from_the_training_and_validation_parts_alone(world):
    summary = world.ensemble.info.assessment
    training = world.split.train
    counts = {
        symbol: int((world.dataset.compositions[training, place] > 0).sum())
        for place, symbol in enumerate(ELEMENTS)
        if world.dataset.compositions[training, place].any()
    }
    assert summary["elements"] == counts
    assert summary["training"]["n_samples"] == len(training)
    assert summary["validation"]["n_samples"] == len(world.split.validation)
    assert summary["uncertainty"]["n_samples"] == len(world.split.validation)
    assert summary["novelty"]["n_points"] == len(training)
    assert len(world.ensemble.info.records) == 3
    assert world.ensemble.record == world.plain.record


def test_a_bundle_tells_compositions_that_it_was_not_trained_on(world):
    training = [world.dataset.amounts(place) for place in world.split.train]
    doubled = [{symbol: 2 * amount for symbol, amount in amounts.items()} for amounts in training]
    info = world.ensemble.info
    assert not info.unknown_compositions([*training, *doubled]).any()
    other = [{**amounts, "Xe": 1.0} for amounts in training]
    assert info.unknown_compositions(other).all()
    assert world.plain.info.unknown_compositions(training) is None


def test_networks_that_do_not_belong_together_are_not_joined(world, tmp_path):
    target = tmp_path / "new"
    with pytest.raises(EnsembleError, match="no members"):
        assemble_bundle(target, members=[], **world.given)
    with pytest.raises(EnsembleError, match="both trained with seed 0"):
        assemble_bundle(target, members=[world.members[0]] * 2, **world.given)
    with pytest.raises(EnsembleError, match="ensemble of 3 networks"):
        assemble_bundle(target, members=[world.ensemble.info.path], **world.given)
    with pytest.raises(EnsembleError, match="trained with kinds both; requested is rs_dos"):
        assemble_bundle(target, members=world.members, **world.given | {"kinds": "rs_dos"})
    other = split_dataset(world.dataset, seed=9)
    with pytest.raises(EnsembleError, match="trained with split"):
        assemble_bundle(target, members=world.members, **world.given | {"split": other})
    with pytest.raises(BundleExistsError, match="never overwritten"):
        assemble_bundle(world.ensemble.info.path, members=world.members, **world.given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["member-02.keras", "assessment.json", "assessment.npz"])
def test_an_ensemble_with_a_file_altered_or_missing_is_refused_by_name(world, tmp_path, name):
    copy = shutil.copytree(world.ensemble.info.path, tmp_path / "copy")
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was altered"):
        Bundle.load(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        BundleInfo.read(copy)


def test_a_model_card_is_guarded_and_does_not_change_the_models_identity(world, tmp_path):
    copy = shutil.copytree(world.single.info.path, tmp_path / "copy")
    assert BundleInfo.read(copy).card is None
    add_model_card(copy, "# A model\nMAE 0.1 eV/atom")
    first = BundleInfo.read(copy)
    assert first.card == "# A model\nMAE 0.1 eV/atom\n"
    assert first.checksum == world.single.checksum
    add_model_card(copy, "# The same model")
    assert BundleInfo.read(copy).card == "# The same model\n"
    (copy / "README.md").write_text("# MAE 0.001 eV/atom\n")
    with pytest.raises(BundleError, match=r"README\.md was altered"):
        Bundle.load(copy)
    with pytest.raises(BundleError, match=r"README\.md was altered"):
        add_model_card(copy, "# Another")


def test_only_what_the_model_was_not_fitted_to_is_evaluated(world):
    split = world.split
    assert np.array_equal(select_samples(world.ensemble, world.dataset).indices, split.test)
    assert np.array_equal(select_samples(world.ensemble, world.dataset, part="train").indices, split.train)
    everything = select_samples(world.ensemble, world.dataset, part="all")
    assert len(everything.indices) == len(world.dataset)
    assert "say little" in everything.notes[0]


def test_materials_trained_on_are_left_out_of_another_data_set(world, tmp_path):
    more = write_dataset(tmp_path / "more", reversed(list(synthetic_samples(N_MATERIALS + 10, seed=5))))
    selection = select_samples(world.ensemble, more)
    assert selection.basis == "fingerprints"
    fitted = {world.dataset.materials[place] for part in (world.split.train, world.split.validation) for place in part}
    chosen = {more.materials[place] for place in selection.indices}
    assert not chosen & fitted
    assert chosen == set(more.materials) - fitted
    assert selection.n_left_out == 2 * len(fitted)
    assert "not the data set that the model was trained on" in selection.notes[0]
    validation = select_samples(world.ensemble, more, part="validation")
    assert {more.ids[place] for place in validation.indices} == {
        world.dataset.ids[place] for place in world.split.validation
    }

    renamed = write_dataset(
        tmp_path / "renamed",
        (
            replace(sample, id=f"other-{sample.id}", material=f"other-{sample.material}")
            for sample in synthetic_samples(N_MATERIALS, seed=5)
        ),
    )
    found = select_samples(world.ensemble, renamed)
    assert {renamed.ids[place] for place in found.indices} == {
        f"other-{world.dataset.ids[place]}" for place in world.split.test
    }


class FakeNetworks:
    """Says what it is told to, so that no network need be made."""

    def __init__(self, energy: float) -> None:
        self._energy = energy

    def run(self, dos, compositions):
        energies = np.full((1, len(dos)), self._energy)
        return Outputs(energies, dos[None, :, 0, :640:10, 0].astype(np.float32))


def renamed(*, kinds=("is_dos", "rs_dos"), recalculated=()):
    """The samples of the world under other names; the DOS of some kinds calculated again."""
    for sample in synthetic_samples(N_MATERIALS, seed=5, kinds=kinds):
        dos = np.float32(1.01) * sample.dos if sample.kind in recalculated else sample.dos
        yield replace(sample, id=f"other-{sample.id}", material=f"other-{sample.material}", dos=dos)


def held_out(world) -> set[str]:
    return {f"other-{world.dataset.materials[place]}" for place in world.split.test}


def test_the_other_dos_of_a_renamed_material_is_not_taken_for_a_new_material(world, tmp_path):
    more = write_dataset(tmp_path / "more", renamed(recalculated=("is_dos",)))
    assert {more.materials[place] for place in select_samples(world.ensemble, more).indices} == held_out(world)


def test_where_rs_dos_were_trained_on_is_dos_of_these_materials_are_no_new_ones(world, tmp_path, monkeypatch):
    """The energy is the same for both, so it was fitted to."""
    info = world.plain.info
    with new_bundle(tmp_path / "member") as folder:
        (folder / info.members[0]).write_bytes(b"no network")
        write_info(
            folder,
            representation=info.representation,
            scaler=info.scaler,
            target_scaling=info.target_scaling,
            records=[replace(info.record, kinds="rs_dos")],
        )
    monkeypatch.setattr(Networks, "load_all", lambda infos: FakeNetworks(0.0))
    of_rs_dos = assemble_bundle(tmp_path / "bundle", members=[tmp_path / "member"], **world.given | {"kinds": "rs_dos"})
    more = write_dataset(tmp_path / "more", renamed(kinds=("is_dos",)))
    assert {more.materials[place] for place in select_samples(of_rs_dos, more).indices} == held_out(world)


def test_networks_without_a_finite_energy_are_refused_and_a_sample_named(world, tmp_path, monkeypatch):
    monkeypatch.setattr(Networks, "load_all", lambda infos: FakeNetworks(np.nan))
    with pytest.raises(EnsembleError, match=r"no finite energy for .* synthetic-.* among them"):
        assemble_bundle(tmp_path / "new", members=world.members[:1], **world.given)
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_that_was_all_trained_on_or_is_not_known_is_said(world, tmp_path):
    names = {world.dataset.materials[place] for place in world.split.train}
    seen = write_dataset(
        tmp_path / "seen", (sample for sample in synthetic_samples(N_MATERIALS, seed=5) if sample.material in names)
    )
    with pytest.raises(EvaluationError, match=r"no sample of .* is left"):
        evaluate(world.ensemble, seen)
    plain = world.plain
    assert "may have been fitted" in select_samples(plain, seen).notes[0]
    with pytest.raises(EvaluationError, match="does not state its training samples"):
        select_samples(plain, seen, part="validation")
    with pytest.raises(EvaluationError, match="must be one of test"):
        select_samples(plain, seen, part="tests")
    fermi = write_dataset(
        tmp_path / "fermi", synthetic_samples(3), representation=Representation(energy_reference="fermi")
    )
    with pytest.raises(RepresentationError, match="energy_reference"):
        evaluate(world.ensemble, fermi)


def test_figures_are_those_of_the_predictions_and_of_the_training_record(world):
    evaluation = evaluate(world.single, world.dataset)
    recorded = world.single.record.metrics["test"]
    for task, kind in (("IS2RE", "is_dos"), ("RS2RE", "rs_dos")):
        indices = [place for place in world.split.test if world.dataset.kinds[place] == kind]
        errors = world.single.predict(*features(world, indices)) - world.dataset.energies[indices]
        found = evaluation.tasks[task]
        assert found.metrics.n == len(indices)
        assert found.metrics.mae == pytest.approx(np.abs(errors).mean(), abs=1e-5)
        assert found.metrics.mae == pytest.approx(recorded[task]["mae"], abs=1e-4)
        mean = world.dataset.energies[world.split.train].mean()
        assert found.baseline.bias == pytest.approx(mean - world.dataset.energies[indices].mean())
        assert sum(metrics.n for metrics in found.by_element.values()) == 2 * len(indices)
        assert sum(metrics.n for metrics in found.by_prototype.values()) == len(indices)
        worst = np.abs(evaluation.errors[found.worst])
        assert worst[0] == pytest.approx(np.abs(errors).max(), abs=1e-5)
        assert (np.diff(worst) <= 0).all()
        flagged = 0 if found.novel is None else found.novel.n
        assert flagged + (0 if found.known is None else found.known.n) == len(indices)


def test_one_kind_or_one_sample_is_evaluated_without_a_crash(world, tmp_path):
    (other,) = synthetic_samples(1, seed=77, kinds=("is_dos",))
    single = write_dataset(tmp_path / "single", [replace(other, id="other", material="other")])
    evaluation = evaluate(world.ensemble, single)
    assert list(evaluation.tasks) == ["IS2RE"]
    assert evaluation.tasks["IS2RE"].metrics.r2 is None
    assert evaluation.tasks["IS2RE"].metrics.mae_standard_error is None
    written = write_evaluation(evaluation, tmp_path / "out")
    assert json.loads((written / "metrics.json").read_text())["tasks"]["IS2RE"]["r2"] is None
    plain = evaluate(world.plain, single)
    assert "no calibrated uncertainties" in " ".join(plain.notes)
    files = {file.name for file in write_evaluation(plain, tmp_path / "plain").iterdir()}
    assert "parity.png" in files
    assert "calibration.png" not in files


def test_the_command_writes_all_figures_once_and_leaves_no_half(world, tmp_path):
    output = tmp_path / "evaluation"
    words = ["evaluate", str(world.ensemble.info.path), str(world.dataset.path), "--output", str(output)]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for word in ("IS2RE", "RS2RE", "MAE", "miscalibration", "errors by element", "largest errors"):
        assert word in done.output
    names = {"metrics.json", "predictions.csv", "errors_by_element.csv", "errors_by_prototype.csv"}
    plots = {"parity", "calibration", "error_against_novelty"}
    assert {file.name for file in output.iterdir()} == names | {f"{p}.{e}" for p in plots for e in ("png", "svg")}
    figures = json.loads((output / "metrics.json").read_text())
    assert figures["bundle"]["checksum"] == world.ensemble.checksum
    assert figures["n_samples"] == len(world.split.test)
    with (output / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == [world.dataset.ids[place] for place in world.split.test]
    errors = [abs(float(row["predicted"]) - float(row["true"])) for row in rows if row["task"] == "IS2RE"]
    assert figures["tasks"]["IS2RE"]["mae"] == pytest.approx(np.mean(errors))
    again = CliRunner().invoke(app, words)
    assert isinstance(again.exception, OutputExistsError)
    assert [file.name for file in tmp_path.iterdir()] == ["evaluation"]


def test_a_screening_gets_uncertainty_and_flag_of_each_candidate(world):
    indices = world.split.test[:3]
    dos, compositions = features(world, indices)
    dos[1, 0, 0, 0] = np.nan
    compositions = compositions.copy()
    compositions[2] = composition_vector({"Xe": 1})

    def read(ids):
        return ["a", "b", "c"], dos, compositions

    batch = read_batch(["a", "b", "c", "d"], bundle=world.ensemble, read_features=read)
    a, b, c, d = predict_batch(batch, bundle=world.ensemble)
    said = world.ensemble.assess(dos[[0, 2]], compositions[[0, 2]])
    assert (a.e_form, a.uncertainty, a.novel) == (said.e_form[0], said.uncertainty[0], bool(said.novel[0]))
    assert (c.e_form, c.uncertainty, c.novel) == (said.e_form[1], None, True)
    assert (b.e_form, b.uncertainty, b.novel) == (None, None, None)
    assert d.reason == "no features are stored for it"
    batch = read_batch(["a", "b", "c"], bundle=world.plain, read_features=read)
    (plain, *_) = predict_batch(batch, bundle=world.plain)
    assert plain.e_form is not None
    assert plain.uncertainty is None
    assert plain.novel is None
    with pytest.raises(ScoringError, match="not requested"):
        read_batch(["a", "b"], bundle=world.ensemble, read_features=read)
