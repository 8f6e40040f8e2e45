"""A training that goes on from a bundle begins where the bundle is, gets better, and claims nothing that is not so."""

from dataclasses import replace

import numpy as np
import pytest
from small_dataset import synthetic

from esnet.bundle.bundle import Bundle
from esnet.bundle.description import summary_rows
from esnet.bundle.fingerprints import fingerprints
from esnet.bundle.info import BundleInfo
from esnet.bundle.record import TrainingRecord
from esnet.dataset.splits import split_dataset
from esnet.representation.errors import RepresentationError
from esnet.representation.features import Representation
from esnet.training.ensemble import assemble_bundle
from esnet.training.fine_tuning import fine_tune
from esnet.training.in_ray import train_in_ray
from esnet.training.train import TrainingError, TrainingSettings, train, train_on

pytestmark = pytest.mark.keras

FURTHER = TrainingSettings(batch_size=8, max_epochs=8, validation_fraction=0.2, learning_rate=0.005, seed=9)


def shifted(labelled, start=80, stop=120):
    """Samples that the bundle has not seen, with energies that it has not learnt."""
    part = labelled.part(start, stop)
    return replace(part, targets=part.targets + 0.3)


def features(part):
    return {"dos": part.dos, "compositions": part.compositions, "targets": part.targets, "ids": part.ids}


def mae(bundle, part):
    return float(np.abs(bundle.predict(part.dos, part.compositions) - part.targets).mean())


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    """Two small networks of one data set, with uncertainties."""
    folder = tmp_path_factory.mktemp("ensemble")
    dataset = synthetic(folder / "data", 40)
    split = split_dataset(dataset, validation_fraction=0.3, test_fraction=0.1, seed=1)
    members = []
    for seed in (4, 5):
        settings = TrainingSettings(widths=(4, 4, 8, 8), batch_size=8, max_epochs=2, seed=seed)
        members.append(folder / f"member-{seed}")
        train_on(dataset, split, settings=settings).save(members[-1])
    assemble_bundle(folder / "bundle", members=members, dataset=dataset, split=split, kinds="both")
    return folder / "bundle"


def test_going_on_begins_with_the_errors_of_the_bundle_and_ends_with_smaller_ones(labelled, bundle, tmp_path):
    part = shifted(labelled)
    result = train(**features(part), settings=FURTHER, representation=Representation(), initial=bundle)
    record = result.record
    further = result.save(tmp_path / "further")
    assert (further.info.scaler, further.info.target_scaling) == (bundle.info.scaler, bundle.info.target_scaling)
    order = np.random.default_rng(FURTHER.seed).permutation(40)
    validation = part.part(0, 40)
    held_out = np.sort(order[:8])
    validation = replace(
        part, dos=part.dos[held_out], compositions=part.compositions[held_out], targets=part.targets[held_out]
    )
    assert record.initial["checksum"] == bundle.checksum
    assert record.initial["validation_mae"] == pytest.approx(mae(bundle, validation), rel=1e-3)
    assert record.mae_validation < 0.8 * record.initial["validation_mae"]
    assert mae(further, part) < 0.8 * mae(bundle, part)
    # the widths are the bundle's although the settings say the paper's; a tenth of the learning rate
    assert record.settings["widths"] == bundle.record.settings["widths"]
    assert record.learning_rate[0] == pytest.approx(0.0005)
    assert bundle.checksum in dict(summary_rows(further.info))["went on from"]


def test_weights_that_no_epoch_betters_are_kept(labelled, bundle):
    part = labelled.part(80, 120)
    # steps of this size only spoil what is known
    spoiling = replace(FURTHER, learning_rate=0.9, fine_tuning_factor=1.0, max_epochs=2)
    result = train(**features(part), settings=spoiling, representation=Representation(), initial=bundle)
    assert result.record.best_epoch == 0
    assert result.record.mae_validation == pytest.approx(result.record.initial["validation_mae"], rel=1e-3)


def test_another_representation_is_refused_by_name(labelled, bundle, tmp_path):
    part = shifted(labelled)
    other = Representation(composition="fraction")
    with pytest.raises(RepresentationError, match="composition: the model has 'presence', requested is 'fraction'"):
        train(**features(part), settings=FURTHER, representation=other, initial=bundle)
    with pytest.raises(RepresentationError, match="composition"):
        fine_tune(tmp_path / "b", initial=bundle.info.path, **features(part), settings=FURTHER, representation=other)
    assert not (tmp_path / "b").exists()


@pytest.mark.long
def test_an_ensemble_stays_one_with_a_calibration_of_its_own(labelled, ensemble, tmp_path):
    part = shifted(labelled, 40, 120)
    kinds = ["is_dos", "rs_dos"] * 40
    materials = [f"material-{number // 2}" for number in range(80)]
    before = Bundle.load(ensemble)
    further = fine_tune(
        tmp_path / "further",
        initial=ensemble,
        **features(part),
        materials=materials,
        kinds=kinds,
        settings=replace(FURTHER, max_epochs=3),
        representation=Representation(),
    )
    assert [record.seed for record in further.info.records] == [4, 5]
    assert [record.initial["member"] for record in further.info.records] == [1, 2]
    assert {record.initial["checksum"] for record in further.info.records} == {before.checksum}
    said, was = further.info.assessment, before.info.assessment
    assert said["validation"]["n_samples"] == said["uncertainty"]["n_samples"] == 16
    assert said["uncertainty"] != was["uncertainty"]
    assert said["novelty_of"] == "fine-tuning"
    # whole materials are held out, and what was ever trained on is remembered
    seen, old = further.assessor.seen, before.assessor.seen
    held_out = set(seen.validation_materials) & set(fingerprints(materials))
    assert len(held_out) == 8
    assert not held_out & set(seen.train_materials)
    assert set(old.train_materials) < set(seen.train_materials)
    assert (further.assessor.element_counts >= before.assessor.element_counts).all()
    assessed = further.assess(part.dos, part.compositions)
    assert np.isfinite(assessed.uncertainty).all()
    assert np.isfinite(assessed.spread).all()


def test_a_bundle_with_uncertainties_is_not_replaced_by_one_without(labelled, ensemble, tmp_path):
    part = shifted(labelled, 40, 46)
    with pytest.raises(TrainingError, match="too few to hold out 5"):
        fine_tune(tmp_path / "b", initial=ensemble, **features(part), settings=FURTHER, representation=Representation())
    assert not (tmp_path / "b").exists()


def test_samples_that_the_bundle_was_trained_on_are_never_held_out(labelled, bundle, tmp_path):
    part = labelled.part(40, 120)
    options = {**features(part), "settings": replace(FURTHER, max_epochs=1), "representation": Representation()}
    further = fine_tune(tmp_path / "b", initial=bundle.info.path, earlier=labelled.ids[:80], **options)
    (record,) = further.info.records
    assert record.n_validation == 16
    assert record.initial["n_new"] == 24
    assert not set(further.assessor.seen.validation_materials) & set(fingerprints(labelled.ids[:80]))
    assert further.info.assessment["uncertainty"]["n_samples"] == 16
    with pytest.raises(TrainingError, match="none of 80 samples is new"):
        fine_tune(tmp_path / "c", initial=bundle.info.path, earlier=labelled.ids, **options)
    # going on once more: what was trained on meanwhile is known from the bundle itself
    again = fine_tune(tmp_path / "c", initial=tmp_path / "b", **options)
    assert again.record.initial["n_new"] == 8
    held_out = set(again.assessor.seen.validation_materials)
    assert held_out < set(further.assessor.seen.validation_materials)


def test_records_of_the_version_before_are_read(trained):
    written = trained.record.to_dict()
    del written["initial"]
    assert TrainingRecord.from_dict(written | {"version": 2}) == trained.record
    with pytest.raises(ValueError, match="version 1, this program reads 2 to 4"):
        TrainingRecord.from_dict(written | {"version": 1})


@pytest.mark.ray
def test_a_ray_worker_goes_on_too_and_says_nothing_of_a_training_that_nobody_knows(
    labelled, bundle, ray_here, tmp_path
):
    part = shifted(labelled)
    record = train_in_ray(
        tmp_path / "b",
        **features(part),
        settings=replace(FURTHER, max_epochs=1),
        representation=Representation(),
        initial=bundle.info.path,
    )
    assert record.initial["checksum"] == bundle.checksum
    info = BundleInfo.read(tmp_path / "b")
    assert info.record == record
    # neither the bundle nor the caller says what it was trained on
    assert info.assessment is None
