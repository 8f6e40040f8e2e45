"""Encoding of features, and what is read out of a finished calculation."""

import numpy as np
import pytest

from workflows.dos import DosFeatures
from workflows.results import changes_smearing, corrections_of


def encoded():
    array = np.random.default_rng(1).random((2, 1500, 9)).astype(np.float32)
    features = DosFeatures.encode(array, spacing=0.02, efermi=1.5, normalisation="atom", energy_reference="absolute")
    return array, features


def test_features_come_back_bit_for_bit_from_json_and_from_mongodb():
    array, features = encoded()
    assert np.array_equal(DosFeatures.from_json(features.to_json()).decode(), array)
    assert np.array_equal(DosFeatures.from_document(features.to_document()).decode(), array)


def test_features_of_version_1_without_a_fermi_level_are_read():
    array, features = encoded()
    document = {**features.to_document(), "version": 1}
    del document["efermi"]
    read = DosFeatures.from_document(document)
    assert read.efermi is None
    assert np.array_equal(read.decode(), array)


def test_altered_features_are_refused():
    _, features = encoded()
    document = features.to_document()
    document["data"] = document["data"][:-1] + b"x"
    with pytest.raises(ValueError, match="damaged"):
        DosFeatures.from_document(document).decode()


def test_features_of_a_newer_version_are_refused():
    _, features = encoded()
    with pytest.raises(ValueError, match="version 99"):
        DosFeatures.from_document({**features.to_document(), "version": 99}).decode()


LARGE_SIGMA = {"errors": ["LargeSigma"], "actions": [{"dict": "INCAR", "action": {"_set": {"SIGMA": 0.05}}}]}


def test_a_smearing_that_custodian_changed_is_seen():
    corrections = corrections_of([{"corrections": [LARGE_SIGMA | {"handler": "ignored"}], "job": None}])
    assert corrections == [LARGE_SIGMA]
    assert changes_smearing(corrections)


def test_another_correction_is_kept_but_is_no_change_of_smearing():
    change = {"errors": ["zpotrf"], "actions": [{"dict": "INCAR", "action": {"_set": {"ISYM": 0}}}]}
    corrections = corrections_of([{"corrections": [change]}, {"corrections": None}])
    assert corrections == [change]
    assert not changes_smearing(corrections)
    assert corrections_of(None) == []
