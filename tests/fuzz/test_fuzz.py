"""No damaged file ends in a traceback, a crash, a hang or memory without bound; `benchmarks/fuzz.py` tries more."""

import random

import pytest
from damage import damage_bytes
from doors import DOORS
from fuzzing import fuzz
from guarded import call_guarded
from vasp_files import FakeRun, write_vasprun

MUTATIONS = 25


@pytest.mark.parametrize("door", DOORS)
def test_a_damaged_file_is_read_or_refused_with_a_message(door):
    outcomes = dict(fuzz(door, range(MUTATIONS)))
    wrong = {seed: outcome for seed, outcome in outcomes.items() if outcome.is_wrong}
    assert not wrong, "\n".join(f"seed {seed}: {outcome}" for seed, outcome in wrong.items())
    assert len({outcome.said for outcome in outcomes.values()}) > MUTATIONS / 5


@pytest.mark.parametrize("door", DOORS)
def test_the_files_that_are_damaged_are_whole_before(door, tmp_path, monkeypatch):
    monkeypatch.setattr("doors.damage_bytes", lambda content, _source: content)
    monkeypatch.setattr("doors.damage_tree", lambda tree, _source: tree)
    write_vasprun(tmp_path / "whole.xml", FakeRun())
    endings = []
    for seed in range(8):
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = DOORS[door].damaged(folder, random.Random(seed))
        endings.append(call_guarded(DOORS[door].read, path, lambda _error: True).ending)
    assert endings.count("read") >= 4, endings  # some have a file taken away


def test_the_guard_tells_every_ending():
    def die(_argument):
        import os

        os.abort()

    endings = [
        call_guarded(function, 0, lambda error: isinstance(error, KeyError)).ending
        for function in (abs, {}.__getitem__, "x".join, lambda _argument: bytes(3 << 30), die)
    ]
    assert endings == ["read", "refused", "traceback", "traceback", "killed"]


def test_damage_is_the_same_for_the_same_seed():
    content = b"1.0 2.0 three\n" * 20
    damaged = [damage_bytes(content, random.Random(seed)) for seed in (1, 1, 2, 3, 4, 5)]
    assert damaged[0] == damaged[1]
    assert len(set(damaged)) > 3
