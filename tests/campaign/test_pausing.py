"""A campaign that a person pauses, stops, archives and resumes; each command may be killed before any of its writes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fireworks import FWorker
from killed_commands import killed_at_every_write
from prepared import BATCHES
from running_process import compute
from small_campaign import write_campaign
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.firetasks import Screen
from campaign.recovery.at_work import CampaignAtWorkError
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.scheduling.submit import submit_step
from campaign.steps.calculate import run_calculation
from campaign.store.states import STAGES
from campaign.store.steps import Step

pytestmark = pytest.mark.mongo


@pytest.fixture
def run(launchpad_file):
    """Function that runs a command and returns its output on one line."""

    def command(*words, code=0, typed=None):
        done = CliRunner().invoke(app, [*words, "--launchpad", str(launchpad_file)], input=typed)
        assert done.exit_code == code, (done.output, done.exception)
        return " ".join(done.output.split())

    return command


@pytest.fixture
def campaign(store, launchpad, small_spec):
    """A campaign whose calculations wait for a worker."""
    start_campaign(store, launchpad, small_spec(**BATCHES))
    return RunningCampaign.open(store, launchpad, "small")


def states(launchpad):
    """State of every firework by id, once its workflow is found to say the same."""
    found = {firework["fw_id"]: firework["state"] for firework in launchpad.fireworks.find()}
    said = {int(key): state for workflow in launchpad.workflows.find() for key, state in workflow["fw_states"].items()}
    assert said == found
    return found


def events(store):
    return [event["kind"] for event in store.events.find({"campaign": "small"}).sort("time")]


def test_a_paused_campaign_begins_nothing_until_it_is_resumed(store, launchpad, campaign, run, tmp_path):
    file = write_campaign(tmp_path / "again.yaml", **BATCHES)
    before = states(launchpad)
    ready = list(before.values()).count("READY")
    said = run("pause", "small", "--reason", "maintenance")
    assert "paused by" in said
    assert "(maintenance)" in said
    assert f"left in the queue, not started: {ready} calculation" in said
    assert not launchpad.run_exists(FWorker())
    assert list(states(launchpad).values()).count("PAUSED") == ready
    campaign.advance()
    campaign.reconcile()
    assert not launchpad.run_exists(FWorker())
    for command in (("status", "small"), ("submit", str(file), "--engine-elsewhere")):
        said = run(*command)
        assert "(maintenance)" in said
        assert "`campaign resume small` continues it" in said
    assert "no problems found" in run("verify", "small")
    assert "already paused by" in run("pause", "small")
    assert f"{ready} paused calculations can run" in run("resume", "small")
    assert states(launchpad) == before
    assert "is not stopped" in run("resume", "small")
    assert events(store) == ["paused", "resumed"]
    assert "no problems found" in run("verify", "small")


@pytest.mark.parametrize(
    ("words", "back"),
    [
        (("pause", "small"), ("resume", "small")),
        (("stop", "small", "--cancel-jobs", "--yes"), ("resume", "small")),
        (("archive", "small"), ("archive", "small", "--undo")),
    ],
)
def test_killed_before_each_write_the_same_command_completes_it(launchpad, campaign, launchpad_file, run, words, back):
    before = states(launchpad)
    kills, _ = killed_at_every_write(*words, "--launchpad", launchpad_file)
    assert kills >= 2
    assert not launchpad.run_exists(FWorker())
    assert "READY" not in states(launchpad).values()
    assert "no problems found" in run("verify", "small")
    kills, _ = killed_at_every_write(*back, "--launchpad", launchpad_file)
    assert kills >= 2
    assert states(launchpad) == before
    assert "no problems found" in run("verify", "small")


def test_what_was_in_a_queue_already_is_put_back(store, launchpad, database, campaign, launch_folder, run):
    submit_step(campaign, Step.screen("small", 0))
    waiting = store.candidates.find_one({"state": "dos_running"})
    calculation, screen = waiting["is_dos"]["fw_id"], store.steps.find_one({"_id": "small/screen/0"})["fw_id"]
    for fw_id in (calculation, screen):
        launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": "RESERVED"}})
    run("pause", "small")
    run_calculation(campaign.refresh(), database, document_id=waiting["_id"], stage=STAGES["dos"], fw_id=calculation)
    task = Screen(step="small/screen/0")
    task.fw_id, task.launchpad = screen, launchpad
    assert task.work({"campaign_name": "small"}) is None
    assert store.candidates.find_one({"_id": waiting["_id"]})["state"] == "new"
    again = store.steps.find_one({"_id": "small/screen/0"})
    assert again["state"] == "submitted"
    assert launchpad.fireworks.find_one({"fw_id": again["fw_id"]})["state"] == "PAUSED"
    assert not store.attempts.count_documents({})
    run("resume", "small")
    assert store.candidates.find_one({"_id": waiting["_id"]})["state"] == "dos_running"
    assert launchpad.fireworks.find_one({"fw_id": again["fw_id"]})["state"] == "READY"


def test_stop_ends_a_process_of_this_machine_at_no_try(store, launchpad, campaign, launchpad_file, tmp_path, run):
    document = store.candidates.find_one({"state": "dos_running"})
    fw_id = document["is_dos"]["fw_id"]
    process, engine = compute(launchpad_file, tmp_path, fw_id=fw_id, document=document["_id"])
    try:
        for words in (("archive", "small"), ("delete", "small", "--yes")):
            with pytest.raises(CampaignAtWorkError, match=rf"process {process.pid} of .*stop small --cancel-jobs"):
                CliRunner().invoke(app, [*words, "-l", str(launchpad_file)], catch_exceptions=False)
        assert "will be completed (--cancel-jobs stops them)" in run("stop", "small")
        assert process.poll() is None
        run("stop", "small", "--cancel-jobs", typed="no\n", code=1)
        assert process.poll() is None
        assert "stopped 1 process on" in run("stop", "small", "--cancel-jobs", typed="yes\n")
        process.wait(10)
        assert not psutil.pid_exists(engine) or psutil.Process(engine).status() == psutil.STATUS_ZOMBIE
    finally:
        process.kill()
        process.wait()
    (entry,) = store.attempts.find({"fw_id": fw_id})
    assert entry["outcome"] == "stopped"
    assert launchpad.fireworks.find_one({"fw_id": fw_id})["state"] == "PAUSED"
    assert "stopped by" in run("status", "small")
    assert "no problems found" in run("verify", "small")
    run("resume", "small")
    assert launchpad.fireworks.find_one({"fw_id": fw_id})["state"] == "READY"
    assert store.candidates.find_one({"_id": document["_id"]})["is_dos"]["attempt"] == 0
    assert events(store)[0] == "stopped"
    assert events(store)[-1] == "resumed"


def test_an_archived_campaign_is_hidden_and_can_be_read(store, launchpad, campaign, run):
    before = states(launchpad)
    assert "`campaign archive small --undo`" in run("archive", "small")
    assert set(states(launchpad).values()) == {"ARCHIVED"}
    assert run("list").endswith("all campaigns are archived: see `campaign list --all`")
    assert json.loads(run("list", "--all", "--json"))[0]["state"] == "archived"
    assert run("reconcile") == "no campaign is running"
    assert "nothing to repair" in run("reconcile", "small")
    assert "`campaign archive small --undo` restores it" in run("status", "small")
    run("results", "small")
    assert "is listed again" in run("resume", "small")
    assert states(launchpad) == before
    assert events(store) == ["archived", "unarchived"]


def test_the_list_says_what_each_campaign_does(store, launchpad, campaign, small_spec, run):
    for name in ("second", "third"):
        start_campaign(store, launchpad, small_spec(name=name))
    run("pause", "second")
    store.campaigns.update_one({"_id": "third"}, {"$set": {"state": "finished"}})
    store.candidates.update_many({"campaign": "third"}, {"$set": {"state": "relaxed", "result.stable": True}})
    store.attempts.insert_one({"_id": "1.1", "campaign": "third", "stage": "dos", "outcome": "lost", "cpu_s": 7200.0})
    rows = {row["name"]: row for row in json.loads(run("list", "--json"))}
    assert {name: row["state"] for name, row in rows.items()} == {
        "small": "running",
        "second": "paused",
        "third": "finished",
    }
    assert rows["small"]["runs"]["ready"] > 0
    assert rows["second"]["runs"] == {}
    third = rows["third"]
    assert third["stable"] == third["ended"] == third["candidates"] > 0
    assert third["cpu_hours"] == 2.0
    assert third["engine"] == "gpaw, fast"
    assert third["started"] <= third["last_activity"]
    assert list(rows) == ["second", "small", "third"]  # what is at work first
    assert "third" in run("list")


def test_campaign_run_waits_for_a_paused_campaign_and_ends_with_a_stopped_one(run, launchpad_file, tmp_path):
    scorer = {"kind": "force_field", "calculator": "EMT"}  # no Ray
    file = write_campaign(tmp_path / "small.yaml", **BATCHES, model={}, scorer=scorer)
    run("submit", str(file))
    run("pause", "small", "--reason", "maintenance")
    log = tmp_path / "run.log"
    command = [sys.executable, "-c", "from campaign.cli.main import main; main()", "run", str(file), "--workers", "1"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--launchpad", str(launchpad_file), "--directory", str(tmp_path / "runs")],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    try:
        deadline = time.monotonic() + 120.0
        while "campaign small is paused; paused by" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        run("stop", "small", "--cancel-jobs", "--yes")
        assert process.wait(60) == 1, log.read_text()
    finally:
        process.kill()
        process.wait()
    said = " ".join(log.read_text().split())
    assert "stopped by" in said
    assert "`campaign resume small` continues it" in said
