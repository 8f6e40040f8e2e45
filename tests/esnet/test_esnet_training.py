"""Training must learn, count what it leaves out, and say when there is no validation part."""

import json

import numpy as np
import pytest

from esnet.bundle.bundle import Bundle
from esnet.bundle.record import TrainingRecord
from esnet.representation.errors import FeatureError
from esnet.representation.features import Representation
from esnet.representation.samples import Samples
from esnet.training.train import TrainingError, TrainingSettings, train

pytestmark = pytest.mark.keras

SMALL = (8, 16, 32, 64)


def test_a_small_network_beats_predicting_the_mean(labelled, trained, bundle: Bundle):
    unseen = labelled.part(80, 120)
    predicted = bundle.predict(unseen.dos, unseen.compositions)
    baseline = np.abs(unseen.targets - labelled.targets[:80].mean()).mean()
    assert np.abs(predicted - unseen.targets).mean() < 0.5 * baseline


def test_the_record_says_what_was_done(labelled, trained):
    record = trained.record
    assert (record.n_samples, record.n_train, record.n_validation) == (80, 72, 8)
    assert record.validation_note is None
    assert record.mae_validation is not None
    assert len(record.loss) == len(record.validation_loss) == len(record.learning_rate) == record.epochs
    assert record.versions["keras"]
    assert record.started.endswith("+00:00")
    part = labelled.part(0, 80)
    assert record.data_checksum == Samples.checked(part.ids, part.dos, part.compositions, part.targets).checksum()
    assert TrainingRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_filters_count_what_they_leave_out(labelled):
    part = labelled.part(0, 6)
    dos, targets = part.dos.copy(), part.targets.copy()
    dos[0, 1, 10, 3] = -51.0
    targets[[0, 4]] = 5.5
    samples = Samples.checked(part.ids, dos, part.compositions, targets)
    kept, counts, dropped = samples.within(max_dos=50.0, max_abs_formation_energy=5.0)
    assert counts == {"max_dos": 1, "max_abs_formation_energy": 1}
    assert dropped == ["candidate-000", "candidate-004"]
    assert kept.ids == ("candidate-001", "candidate-002", "candidate-003", "candidate-005")
    assert samples.within(max_dos=None, max_abs_formation_energy=None)[1] == {
        "max_dos": 0,
        "max_abs_formation_energy": 0,
    }


def test_wrong_samples_are_refused_before_training(labelled):
    part = labelled.part(0, 4)
    options = {"settings": TrainingSettings(widths=SMALL), "representation": Representation()}
    with pytest.raises(FeatureError, match="more than once: x"):
        train(part.dos, part.compositions, part.targets, ids=["x", "x", "y", "z"], **options)
    with pytest.raises(FeatureError, match="not finite for 1 samples: candidate-002"):
        train(part.dos, part.compositions, [0.1, 0.2, np.inf, 0.3], ids=part.ids, **options)
    with pytest.raises(TrainingError, match="0 samples are left"):
        train(part.dos, part.compositions, part.targets + 100, ids=part.ids, **options)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("batch_size", 0),
        ("batch_size", True),
        ("max_epochs", 2.5),
        ("validation_fraction", 1.0),
        ("loss", "huber"),
        ("widths", (8, 16)),
        ("max_dos", -50.0),
        ("seed", -1),
    ],
)
def test_wrong_settings_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        TrainingSettings(**{field: value})


def test_settings_survive_json_and_refuse_unknown_keys():
    given = TrainingSettings(widths=SMALL, batch_size=8, max_dos=None)
    assert TrainingSettings.from_dict(json.loads(json.dumps(given.to_dict()))) == given
    with pytest.raises(ValueError, match="learning_rat"):
        TrainingSettings.from_dict({"learning_rat": 0.1})
