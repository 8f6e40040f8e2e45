"""`campaign run` from a paused start through outages at every kind of moment, to the end of an undisturbed run."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from database_proxy import DatabaseProxy, command
from reference_entries import GPAW, alloys, write
from small_campaign import write_campaign

from campaign.running_campaign import start_campaign
from campaign.spec.reader import read_campaign_file

pytestmark = pytest.mark.mongo

BIN = Path(sys.executable).parent
OUTAGE_S = 1.5
#: What is asked of the database when it goes away, and whether it is the answer that gets lost.
OUTAGES = {
    "checkout of the Screen": (command("findAndModify", "fireworks"), False),
    "ledger of the Screen": (command("update", "attempts"), True),
    "predictions": (command("update", "candidates"), False),
    "result of the Screen": (command("update", "steps"), False),
    "ledger of the relaxation": (command("update", "attempts") + rb".*relax", True),
    "store of the result": (command("update", "outputs"), False),
    "end of the relaxation": (command("update", "attempts") + rb".*completed", True),
    "record": (command("findAndModify", "candidates"), True),
    "end of its launch": (command("findAndModify", "launches") + rb".*COMPLETED", False),
}


def wait_for(condition, log, *, seconds=240.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def test_a_run_ends_as_the_undisturbed_one(
    store, launchpad, database, mongo_settings, engine, tmp_path, monkeypatch, write_launchpad
):
    entries = write(tmp_path / "entries.json", alloys(**GPAW), engine="gpaw", corrections="none")
    file = write_campaign(
        tmp_path / "small.yaml",
        candidates={"prototypes": ["B2"], "elements": ["Al", "Cu"]},
        references={"entries": str(entries)},
        scorer={"kind": "force_field", "calculator": "EMT"},
        model={},
    )
    start_campaign(store, launchpad, read_campaign_file(file))
    (screen,) = launchpad.fireworks.find()
    launchpad.pause_wf(screen["fw_id"])
    monkeypatch.setenv("ENGINE_S", "3")
    proxy = DatabaseProxy(mongo_settings.seeds[0][1])
    options = "directConnection=true&serverSelectionTimeoutMS=1000&heartbeatFrequencyMS=500"
    behind = tmp_path / "behind_proxy"
    behind.mkdir()
    port = mongo_settings.seeds[0][1]
    behind = write_launchpad(behind, port=proxy.port, name=database.name, options=options, proxy_of=port)
    log = tmp_path / "run.log"
    words = ["nohup", BIN / "campaign", "run", file, "--launchpad", behind, "--workers", "1"]
    with log.open("wb") as output:
        run = subprocess.Popen(words, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: "campaign small is paused; 1 fireworks are paused: `lpad resume_fws" in log.read_text(), log)
        run.send_signal(signal.SIGHUP)  # the user logs out: nohup asked for it to be ignored
        for pattern, after in OUTAGES.values():
            proxy.go_away_at(pattern, seconds=OUTAGE_S, after=after)
        launchpad.resume_fw(screen["fw_id"])
        wait_for(engine.exists, log)
        proxy.go_away(seconds=OUTAGE_S)
        wait_for(lambda: run.poll() is not None, log)
    finally:
        proxy.close()
        if run.poll() is None:
            run.kill()
            run.wait()
    said = log.read_text()
    assert run.returncode == 0, said
    assert proxy.is_done, list(OUTAGES)[-len(proxy._rules) :]
    assert "Traceback" not in said
    assert "the database answers again" in said
    (candidate,) = store.candidates.find()
    assert (candidate["state"], candidate["relaxation"]["attempt"]) == ("relaxed", 0)
    completed = [entry["stage"] for entry in store.attempts.find({"outcome": "completed"})]
    assert sorted(completed) == ["relax", "screen"]
    assert store.attempts.count_documents({"outcome": "running"}) == 0
    assert store.attempts.count_documents({"stage": "relax", "outcome": {"$ne": "completed"}}) == 0
    assert len(engine.read_text().splitlines()) == 1
    assert store.database["outputs"].count_documents({}) == 1
