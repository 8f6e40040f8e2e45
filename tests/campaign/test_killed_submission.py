"""A `campaign submit` of a thousand candidates that is killed half-way is completed by the same command."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_campaign import write_campaign

pytestmark = pytest.mark.mongo

CAMPAIGN = Path(sys.executable).parent / "campaign"
ELEMENTS = ["Li", "Be", "Na", "Mg", "Al", "K", "Ca", "Sc", "Ti", "V", "Cr", "Fe", "Co", "Ni", "Cu", "Zn"]
ELEMENTS += ["Ag", "Pd", "Au"]
PAIRS = len(ELEMENTS) * (len(ELEMENTS) - 1) // 2
#: L1_2 alone is another crystal with its elements exchanged.
CANDIDATES = PAIRS * (4 + 2)
#: Collection and number of documents at which the command is killed.
MOMENTS = [("candidates", 1), ("fireworks", CANDIDATES)]


def run(*words):
    done = subprocess.run([CAMPAIGN, *words], capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stdout + done.stderr


def kill_at(database, collection, number, words):
    process = subprocess.Popen([CAMPAIGN, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300.0
        while database[collection].count_documents({}) < number:
            assert process.poll() is None, f"it ended before {number} {collection} were there"
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -9


def test_a_killed_submission_is_completed_by_the_same_command(launchpad, store, launchpad_file, tmp_path):
    prototypes = ["B1", "B2", "B3", "L1_0", "L1_2"]
    file = write_campaign(tmp_path / "small.yaml", candidates={"prototypes": prototypes, "elements": ELEMENTS})
    words = ["submit", file, "-l", launchpad_file, "--engine-elsewhere"]
    for collection, number in MOMENTS:
        kill_at(launchpad.db, collection, number, words)
        assert store.candidates.count_documents({"state": "dos_running"}) < CANDIDATES - 2  # in the middle of it
    code, said = run(*words)
    assert code == 0, said
    calculations = CANDIDATES + len(ELEMENTS)
    assert store.candidates.count_documents({"state": "dos_running"}) == CANDIDATES - 2
    assert store.candidates.count_documents({"state": "relax_running"}) == 2  # they train the model
    assert launchpad.workflows.count_documents({}) == calculations
    assert launchpad.fireworks.count_documents({}) == 2 * calculations
    assert len(launchpad.fireworks.distinct("fw_id")) == 2 * calculations
    code, said = run("verify", "small", "-l", launchpad_file)
    assert code == 0, said
