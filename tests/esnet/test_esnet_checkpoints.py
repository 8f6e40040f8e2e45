"""A checkpoint must survive what interrupts its writing, and never be gone on with by another training."""

from pathlib import Path

import numpy as np
import pytest

from esnet.training.checkpoints import Checkpoint, CheckpointError, differences, latest_checkpoint

MADE_OF = {"data": "abc", "settings": {"learning_rate": 0.001, "widths": [2, 2]}}


def make(epoch: int, **changes) -> Checkpoint:
    fields = {
        "epoch": epoch,
        "fingerprint": MADE_OF,
        "state": {"best": 0.1 + 0.2, "never": None},
        "weights": [np.full((3, 2), epoch, dtype=np.float32), np.zeros(0, dtype=np.float32)],
        "optimizer": [np.array(7, dtype=np.int64), np.array(0.00175, dtype=np.float32)],
        "best": [],
    }
    return Checkpoint(**(fields | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the checkpoints of epochs 4 and 5."""
    for epoch in range(1, 6):
        make(epoch).save(tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def test_what_was_saved_comes_back_to_the_last_bit(folder):
    found = latest_checkpoint(folder, fingerprint=MADE_OF)
    assert found.epoch == 5
    assert found.state == {"best": 0.1 + 0.2, "never": None}
    for name in ("weights", "optimizer"):
        for array, expected in zip(getattr(found, name), getattr(make(5), name), strict=True):
            assert array.dtype == expected.dtype
            np.testing.assert_array_equal(array, expected)
    assert found.best == []


def test_only_the_last_two_are_kept(folder):
    assert sorted(file.name for file in folder.iterdir()) == ["epoch-00004.npz", "epoch-00005.npz"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_falls_back_to_the_one_before(folder, share):
    last = folder / "epoch-00005.npz"
    content = last.read_bytes()
    last.write_bytes(content[: int(share * len(content))])
    assert latest_checkpoint(folder, fingerprint=MADE_OF).epoch == 4


def test_an_altered_checkpoint_falls_back_to_the_one_before(folder):
    last = folder / "epoch-00005.npz"
    content = bytearray(last.read_bytes())
    place = content.index(np.full((3, 2), 5, dtype=np.float32).tobytes())
    content[place] ^= 1
    last.write_bytes(content)
    assert latest_checkpoint(folder, fingerprint=MADE_OF).epoch == 4


def test_a_file_that_was_being_written_is_not_taken_and_goes_away(folder):
    half = folder / "epoch-00006.npz.part"
    half.write_bytes(b"PK half")
    assert latest_checkpoint(folder, fingerprint=MADE_OF).epoch == 5
    make(6).save(folder)
    assert not half.exists()


def test_two_damaged_checkpoints_mean_a_new_start(folder):
    for file in folder.iterdir():
        file.write_bytes(b"")
    assert latest_checkpoint(folder, fingerprint=MADE_OF) is None
    assert latest_checkpoint(folder / "absent", fingerprint=MADE_OF) is None


def test_damaged_files_of_later_epochs_do_not_drive_out_those_of_a_new_start(folder):
    for file in folder.iterdir():
        file.write_bytes(b"")
    for epoch in (1, 2, 3):
        make(epoch).save(folder)
        assert latest_checkpoint(folder, fingerprint=MADE_OF).epoch == epoch


def test_a_checkpoint_of_a_newer_version_is_not_taken_for_a_damaged_one(folder, monkeypatch):
    monkeypatch.setattr("esnet.training.checkpoints.FORMAT_VERSION", 2)
    make(9).save(folder)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="this program reads esnet-checkpoint 1"):
        latest_checkpoint(folder, fingerprint=MADE_OF)


def test_a_pickle_is_never_opened(tmp_path):
    harmful = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "epoch-00001.npz", meta=harmful, allow_pickle=True)
    assert latest_checkpoint(tmp_path, fingerprint=MADE_OF) is None


def test_another_training_does_not_go_on_and_says_what_differs(folder):
    other = {"data": "abc", "settings": {"learning_rate": 0.002, "widths": [2, 2]}}
    with pytest.raises(CheckpointError, match=r"settings\.learning_rate is 0\.001 there, 0\.002 here"):
        latest_checkpoint(folder, fingerprint=other)


def test_tuples_and_lists_are_the_same_fingerprint():
    assert differences({"widths": [2, 2]}, {"widths": (2, 2)}) == []
    assert differences({"kinds": "both"}, {}) == ["kinds is both there, absent here"]
