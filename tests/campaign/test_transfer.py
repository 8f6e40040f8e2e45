"""`campaign export` and `campaign import`: a campaign continues in another database as it stood in the first."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from old_formats.restore import OLD_FORMATS, restore
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.recovery.reconcile import reconcile
from campaign.store.campaigns import ImportUnderWayError, OpenCampaign
from campaign.store.collections import CampaignStore, now
from campaign.store.fireworks import next_fw_ids
from campaign.store.migration import migrate
from campaign.store.models import fetch_bundle
from campaign.verification.verify import verify
from launchers.database.settings import DatabaseSettings

pytestmark = pytest.mark.mongo
NAME = "half-way"
PROGRAM = Path(sys.executable).parent / "campaign"
#: Raised by the import, or of another time.
OURS = ("fw_id", "record_fw_id")
RUNNING = {"relax_running": "relaxation", "dos_running": "is_dos"}


class Machine:
    """A folder with a my_launchpad.yaml and a database of its own."""

    def __init__(self, folder, write_launchpad, port):
        self.folder = folder
        folder.mkdir()
        self.file = write_launchpad(folder, port=port, name=f"test_{uuid.uuid4().hex[:12]}")
        self.settings = DatabaseSettings.from_file(self.file)
        self.launchpad = self.settings.launchpad(strm_lvl="ERROR")
        self.db = self.launchpad.db
        self.store = CampaignStore(self.db)

    def say(self, *words, code=0):
        done = CliRunner().invoke(app, [*map(str, words), "--launchpad", str(self.file)])
        said = " ".join(done.output.split()) + (f" {done.exception}" if done.exception else "")
        assert (done.exit_code == 0) is (code == 0), said
        return said

    def findings(self, name=NAME):
        campaign = OpenCampaign.open(self.store, self.launchpad, name, dry_run=True)
        return verify(campaign, lambda: reconcile(campaign, dry_run=True), read_features=True, pause_s=0.0).findings

    def all(self, collection, **query):
        return sorted(self.db[collection].find(query), key=lambda found: str(found["_id"]))

    def start(self, *words):
        return subprocess.Popen(
            [PROGRAM, *map(str, words), "--launchpad", str(self.file)],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module")
def origin(mongo_settings, write_launchpad, tmp_path_factory):
    """A real campaign that was killed in its middle, with all that FireWorks and jobflow have kept of it."""
    folder = tmp_path_factory.mktemp("origin") / "machine"
    machine = Machine(folder, write_launchpad, mongo_settings.seeds[0][1])
    restore(machine.db, OLD_FORMATS / "half_way.jsonl.gz", host=socket.gethostname(), folder=folder)
    migrate(machine.store, NAME)
    yield machine
    machine.launchpad.connection.drop_database(machine.settings.name)


@pytest.fixture(scope="module")
def exported(origin, tmp_path_factory):
    """The file that the campaign was exported into."""
    file = tmp_path_factory.mktemp("exported") / "half-way.campaign"
    origin.say("export", NAME, file)
    return file


@pytest.fixture
def target(mongo_settings, write_launchpad, tmp_path):
    """Another machine, whose FireWorks has given away numbers already."""
    machine = Machine(tmp_path / "target", write_launchpad, mongo_settings.seeds[0][1])
    machine.launchpad.fw_id_assigner.insert_one({"_id": -1, "next_fw_id": 1, "next_launch_id": 1})
    next_fw_ids(machine.launchpad, 1000)
    yield machine
    machine.launchpad.connection.drop_database(machine.settings.name)


def lowered(value, by):
    """A document with the numbers of its fireworks as they were."""
    if isinstance(value, dict):
        return {key: part - by if key in OURS else lowered(part, by) for key, part in value.items()}
    if isinstance(value, list):
        return [lowered(part, by) for part in value]
    return value


def test_a_campaign_continues_in_another_database_as_it_stood(origin, exported, target, tmp_path, monkeypatch):
    said = target.say("import", exported)
    assert "is imported" in said
    campaign = target.db.campaigns.find_one({"_id": NAME})
    assert campaign["state"] == "running"
    shift = campaign["imported"]["shift"]
    assert shift >= 1000
    # features, outputs, large objects and models are the same to the last byte
    for name in ("features", "outputs", "data.files", "data.chunks", "models", "bundles.files", "bundles.chunks"):
        assert target.all(name) == origin.all(name), name
    assert target.all("reference_sets") == origin.all("reference_sets")
    states = set()
    for before in [*origin.all("candidates"), *origin.all("references")]:
        after = target.store.collection_of(before["_id"]).find_one({"_id": before["_id"]})
        states.add(before["state"])
        if before["state"] not in RUNNING:
            assert lowered(after, shift) == before
            continue
        # begun here as the same try, in a firework of this database
        fields = RUNNING[before["state"]]
        assert (after["state"], after[fields]["attempt"]) == (before["state"], before[fields]["attempt"])
        firework = target.db.fireworks.find_one({"fw_id": after[fields]["fw_id"]})
        assert firework["state"] == "READY"
        assert after[fields]["record_fw_id"] == firework["fw_id"] + 1
    assert states >= RUNNING.keys()
    # what ran is stopped, which costs no try
    for before in origin.all("attempts"):
        number, count = before["_id"].split(".")
        after = target.db.attempts.find_one({"_id": f"{int(number) + shift}.{count}"})
        assert after["fw_id"] == before["fw_id"] + shift
        assert after["outcome"] == ("stopped" if before["outcome"] == "running" else before["outcome"])
    assert target.findings() == []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert (fetch_bundle(target.store, campaign["model"]["checksum"]) / "manifest.json").is_file()


def test_an_export_says_what_it_leaves_unbegun_and_the_file_has_no_login(origin, tmp_path):
    file = tmp_path / "again.campaign"
    before = {name: origin.all(name) for name in ("campaigns", "candidates", "attempts", "fireworks", "steps")}
    said = origin.say("export", NAME, file)
    assert "3 calculations queued, 1 attempt running" in said
    assert "both machines compute the same" in said
    assert {name: origin.all(name) for name in before} == before
    first = file.read_bytes()
    origin.say("export", NAME, file)  # in place of the earlier one
    assert file.stat().st_size == pytest.approx(len(first), abs=1000)
    login = str(origin.settings.mongoclient_kwargs["password"]).encode()
    shutil.unpack_archive(file, tmp_path / "parts", "zip")
    parts = list((tmp_path / "parts").iterdir())
    assert len(parts) == 16
    assert not any(login in part.read_bytes() for part in parts)


def test_a_file_of_others_is_not_replaced(origin, tmp_path):
    file = tmp_path / "thesis.txt"
    file.write_text("all of it")
    assert "is not an exported campaign; name another file" in origin.say("export", NAME, file, code=1)
    assert file.read_text() == "all of it"
    assert "cannot be written" in origin.say("export", NAME, tmp_path / "absent" / "file", code=1)


def test_importing_again_changes_nothing(exported, target):
    assert "would be imported" in target.say("import", exported, "--dry-run")
    assert target.db.campaigns.count_documents({}) == 0
    target.say("import", exported)
    names = [name for name in target.db.list_collection_names() if not name.startswith("system")]
    before = {name: target.all(name) for name in names}
    assert "nothing would change" in target.say("import", exported, "--dry-run")
    assert "already imported from this file; nothing was changed" in target.say("import", exported)
    assert {name: target.all(name) for name in names} == before


def test_a_campaign_of_that_name_is_not_overwritten(origin, exported, target):
    before = origin.all("candidates")
    assert "a campaign 'half-way' already exists, which does not come" in origin.say("import", exported, code=1)
    assert origin.all("candidates") == before
    target.db.candidates.insert_one({"_id": f"{NAME}/remains", "campaign": NAME})
    assert "remains of one in candidates" in target.say("import", exported, code=1)


def wait_for(collection, number, process):
    deadline = time.monotonic() + 120.0
    while collection.count_documents({}) < number:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_an_import_that_was_killed_is_completed_and_nothing_starts_before(exported, target):
    process = target.start("import", exported)
    try:
        wait_for(target.db.features, 1, process)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert target.db.campaigns.find_one({"_id": NAME})["state"] == "importing"
    assert target.db.fireworks.count_documents({}) == 0
    for words in (("status", NAME), ("reconcile", NAME), ("results", NAME), ("verify", NAME)):
        assert f"`campaign import {exported.name}` completes it" in target.say(*words, code=1)
    with pytest.raises(ImportUnderWayError):
        OpenCampaign.open(target.store, target.launchpad, NAME)
    assert "would be completed" in target.say("import", exported, "--dry-run")
    target.say("import", exported)
    assert target.findings() == []
    assert target.db.campaigns.find_one({"_id": NAME})["state"] == "running"


def test_an_export_that_was_killed_leaves_no_file_of_that_name(origin, tmp_path):
    file = tmp_path / "killed.campaign"
    process = origin.start("export", NAME, file)
    try:
        deadline = time.monotonic() + 120.0
        part = file.with_name(f".{file.name}.part")
        while not part.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert not file.exists()
    origin.say("export", NAME, file)
    assert not part.exists()


def move_on(machine, folder):
    """Export from a database, empty it, and import there: a second journey."""
    file = folder / "again.campaign"
    machine.say("export", NAME, file)
    for name in machine.db.list_collection_names():
        if name != "fw_id_assigner":
            machine.db[name].delete_many({})
    machine.say("import", file)
    return file


def test_a_step_that_was_under_way_gets_one_firework_here(exported, target, tmp_path):
    target.say("import", exported)
    target.db.steps.update_one({"kind": "screen"}, {"$set": {"state": "submitted"}})
    (before,) = target.all("steps")
    target.say("import", move_on(target, tmp_path))
    (step,) = target.all("steps")
    (firework,) = target.all("fireworks", **{"spec.step": step["_id"]})
    assert (firework["fw_id"], firework["state"]) == (step["fw_id"], "READY")
    assert step["fw_id"] > before["fw_id"]
    assert step["allowance"] == before["allowance"]


def test_a_stopped_campaign_stays_stopped_until_it_is_resumed(exported, target, tmp_path):
    target.say("import", exported)
    stop = {"cause": "license_missing", "number": 3, "error": None, "directory": None, "host": None}
    target.db.campaigns.update_one({"_id": NAME}, {"$set": {"stopped": {**stop, "time": now()}}})
    move_on(target, tmp_path)
    assert target.db.fireworks.count_documents({}) == 0
    assert target.findings() == []
    target.say("resume", NAME)
    assert target.db.fireworks.count_documents({"state": "READY"}) > 0
    assert target.findings() == []


def test_a_name_that_is_neither_a_file_nor_a_campaign_is_said_to_be_none(origin):
    assert "absent is not a file, and there is no campaign 'absent'" in origin.say("run", "absent", code=1)


def test_a_model_that_is_here_already_is_not_stored_twice(origin, exported, target):
    target.say("import", exported)
    (model,) = target.all("models")
    other = {**model, "file": "another"}
    target.db.models.replace_one({"_id": model["_id"]}, other)
    for name in target.db.list_collection_names():
        if name not in ("models", "fw_id_assigner"):
            target.db[name].delete_many({})
    target.say("import", exported)
    assert target.all("models") == [other]
    assert target.db["bundles.chunks"].count_documents({}) == 0
