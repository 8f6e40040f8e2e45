"""A campaign that is exported while it runs ends on another machine as where it began."""

import tarfile
import time
from pathlib import Path

import pytest
from chaos_campaign import CAMPAIGNS, read_table
from chaos_place import NAME, Place
from chaos_server import ChaosServer

from campaign.store.transfer.archive import Archive

RECORDINGS = Path(__file__).with_name("recordings.tar.xz")


@pytest.fixture
def make_place(tmp_path):
    with tarfile.open(RECORDINGS) as archive:
        archive.extractall(tmp_path / "recorded", filter="data")
    server = ChaosServer(tmp_path / "server")
    places = []

    def make(name):
        recorded = tmp_path / "recorded"
        places.append(Place(server, tmp_path / name, CAMPAIGNS["tiny"], recorded=recorded, engine_s=1.0))
        return places[-1]

    yield make
    for place in places:
        place.end()
    server.stop()


def wait_until(condition, started):
    deadline = time.monotonic() + 300.0
    while not condition():
        assert time.monotonic() < deadline, started.output.read_text()[-2000:]
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.mongo
@pytest.mark.gpaw
def test_a_campaign_that_is_exported_while_it_runs_ends_on_both_machines_with_the_same_table(make_place, tmp_path):
    here, there = make_place("here"), make_place("there")
    started = here.start("campaign", "run", str(here.file), "--workers", "2", "--directory", str(here.runs))
    wait_until(lambda: here.store.references.count_documents({"state": "relaxed"}), started)
    # its workers wait meanwhile, so that it cannot have ended when the command has started
    workers = here.processes("worker")
    for worker in workers:
        worker.suspend()
    code, said = here.say("campaign", "export", NAME, str(tmp_path / "moved.campaign"))
    for worker in workers:
        worker.resume()
    assert code == 0, said
    with Archive(tmp_path / "moved.campaign") as archive:
        assert archive.manifest.state == "running"
        assert archive.manifest.interrupted
    code, said = there.say("campaign", "import", str(tmp_path / "moved.campaign"))
    assert code == 0, said
    # without its file, and with the numbers of its fireworks
    continued = there.start("campaign", "run", NAME, "--workers", "2", "--directory", str(there.runs))
    for place, process in ((here, started), (there, continued)):
        wait_until(lambda place=place: place.is_finished, process)
        assert process.process.wait(120) == 0, process.output.read_text()
        code, said = place.say("campaign", "verify", NAME)
        assert (code, "no problems found" in said) == (0, True), said
    # relaxations that restart end elsewhere by less than this, eV/atom, as in `chaos_campaign`
    expected = {row: pytest.approx(values, abs=0.005) for row, values in read_table(here).items()}
    assert read_table(there) == expected
    # what was relaxed before was not computed again
    relaxed = [entry["document"] for entry in there.store.attempts.find({"outcome": "completed", "stage": "relax"})]
    assert len(relaxed) == len(set(relaxed)) == there.store.references.count_documents({}) + len(read_table(there))
