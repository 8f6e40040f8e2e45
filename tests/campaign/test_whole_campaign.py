"""A whole campaign with real DFT: through FireWorks' own commands, and through a runner that is killed on the way."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest
from small_campaign import write_campaign

from campaign.store.collections import CampaignStore
from launchers.database.settings import DatabaseSettings

pytestmark = [pytest.mark.mongo, pytest.mark.gpaw, pytest.mark.ray]

BIN = Path(sys.executable).parent
LIMIT_S = 1200
PASSWORD = "open4711"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


class Workplace:
    """A folder with my_launchpad.yaml and the small campaign's file, and a database of its own."""

    def __init__(self, folder, launchpad_file):
        self.folder = folder
        self.launchpad_file = launchpad_file
        self.file = write_campaign(folder / "small.yaml")
        self.settings = DatabaseSettings.from_file(self.launchpad_file)
        self.launchpad = self.settings.launchpad()
        self.store = CampaignStore(self.launchpad.db)

    def command(self, *words):
        done = subprocess.run(
            [BIN / words[0], *words[1:]],
            cwd=self.folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, log, *words):
        with (self.folder / log).open("wb") as output:
            return subprocess.Popen(
                [BIN / words[0], *words[1:]],
                cwd=self.folder,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def table(self):
        """The result table without what may differ between two runs: ids and CPU-seconds."""
        rows = json.loads(self.command("campaign", "results", "small", "--format", "json"))
        compared = ("formula", "prototype", "decision", "stable")
        energies = ("e_form_ml", "e_hull_ml", "e_form_dft", "e_hull_dft")
        return {
            (row["formula"], row["prototype"]): [row[key] for key in compared]
            + [None if row[key] is None else pytest.approx(row[key], abs=1e-3) for key in energies]
            for row in rows
        }

    def completed_more_than_once(self):
        return list(
            self.store.attempts.aggregate(
                [
                    {"$match": {"outcome": "completed", "document": {"$ne": None}}},
                    {"$group": {"_id": {"document": "$document", "stage": "$stage"}, "n": {"$sum": 1}}},
                    {"$match": {"n": {"$gt": 1}}},
                ]
            )
        )

    def drop(self):
        with self.settings.client() as client:
            client.drop_database(self.settings.name)


@pytest.fixture
def new_workplace(launchpad_file, tmp_path):
    return Workplace(tmp_path, launchpad_file)


@pytest.fixture(scope="module")
def by_fireworks(mongo_settings, tmp_path_factory):
    """The campaign run by `lpad add` and two `rlaunch rapidfire` at once, with no command of ours, and a password."""
    folder = tmp_path_factory.mktemp("fireworks")
    name = f"test_{uuid.uuid4().hex[:12]}"
    file = folder / "my_launchpad.yaml"
    uri = f"mongodb://tester:{PASSWORD}@{mongo_settings.address}/{name}?replicaSet=rs0&authSource=admin"
    file.write_text(f"uri_mode: true\nhost: {uri}\nname: {name}\nstrm_lvl: WARNING\n")
    with mongo_settings.client() as client:
        client.admin.command("createUser", "tester", pwd=PASSWORD, roles=["root"])
    workplace = Workplace(folder, file)
    workplace.launchpad.reset("", require_password=False)
    workplace.command("lpad", "add", "small.yaml")
    # one as users start it; the other one, once there is work for two, does not leave when there is none for a moment
    rapidfire = ("rlaunch", "-s", "rapidfire", "--sleep", "1")
    launchers = [workplace.start("rlaunch-1.log", *rapidfire)]
    try:
        wait_until(workplace, "running")
        launchers.append(workplace.start("rlaunch-2.log", *rapidfire, "--nlaunches", "infinite"))
        wait_until(workplace, "finished")
    finally:
        for launcher in launchers:
            end(launcher)
    yield workplace
    workplace.drop()
    with mongo_settings.client() as client:
        client.admin.command("dropUser", "tester")


def wait_until(workplace, state):
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        campaign = workplace.store.campaigns.find_one({"_id": "small"}, ["state"]) or {}
        busy = workplace.launchpad.fireworks.count_documents({"state": {"$in": ["RUNNING", "RESERVED"]}})
        if campaign.get("state") == state and (state != "finished" or not busy):
            return
        time.sleep(0.5)
    raise AssertionError("".join(path.read_text()[-3000:] for path in workplace.folder.glob("rlaunch-*.log")))


def end(process):
    """End a process and everything that it started, by their ids."""
    if process.poll() is not None:
        return
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def test_lpad_add_and_rlaunch_finish_a_campaign_with_no_other_command(by_fireworks):
    campaign = by_fireworks.store.campaigns.find_one({"_id": "small"})
    assert campaign["state"] == "finished"
    assert by_fireworks.store.state_counts("small") == {"relaxed": 3}
    assert campaign["model"]["n_structures"] == 4
    (screened,) = by_fireworks.store.candidates.find({"role": "screened"})
    assert screened["decision"]["promoted"]
    assert screened["decision"]["model"] == campaign["model"]["checksum"]
    assert screened["decision"]["reference_set"] == campaign["reference_set"]
    assert "gpaw" in screened["relaxation"]["vasp_version"]
    assert screened["relaxation"]["quality"] == "fast"


def test_two_rapidfires_at_once_run_every_firework_exactly_once(by_fireworks):
    fireworks = list(by_fireworks.launchpad.fireworks.find())
    assert {firework["state"] for firework in fireworks} == {"COMPLETED"}
    assert all(len(firework["launches"]) == 1 and not firework["archived_launches"] for firework in fireworks)
    assert by_fireworks.completed_more_than_once() == []
    outputs = [found["uuid"] for found in by_fireworks.store.database["outputs"].find({}, ["uuid"])]
    assert len(outputs) == len(set(outputs))
    # a recording firework is completed by the process that computed
    taken = [firework["spec"]["worker"] for firework in fireworks if not firework["spec"].get("_allow_fizzled_parents")]
    assert len({worker["pid"] for worker in taken}) == 2  # both took part


def test_lpad_shows_the_same_campaign(by_fireworks):
    listed = json.loads(by_fireworks.command("lpad", "get_wflows", "-d", "less", "-m", "100"))
    titles = [workflow["name"] for workflow in listed]
    assert {workflow["state"] for workflow in listed} == {"COMPLETED"}
    assert any("relaxation" in title for title in titles)


def test_adding_the_file_again_adds_nothing(by_fireworks):
    before = by_fireworks.launchpad.fireworks.count_documents({})
    assert "nothing was added" in by_fireworks.command("campaign", "submit", "small.yaml")
    by_fireworks.command("lpad", "add", "small.yaml")
    by_fireworks.command("rlaunch", "-s", "singleshot")
    assert by_fireworks.launchpad.fireworks.count_documents({}) == before + 1  # StartCampaign itself
    start = by_fireworks.launchpad.get_fw_by_id(by_fireworks.launchpad.fireworks.count_documents({}))
    assert "nothing was added" in start.launches[-1].action.stored_data["message"]


def test_the_password_is_in_no_document_and_in_no_file(by_fireworks):
    for collection in by_fireworks.store.database.list_collection_names():
        for document in by_fireworks.store.database[collection].find():
            assert PASSWORD not in str(document), collection
    for path in by_fireworks.folder.rglob("*"):
        if path.is_file() and path != by_fireworks.launchpad_file:
            content = path.read_bytes()
            plain = gzip.decompress(content) if path.suffix == ".gz" else content
            assert PASSWORD.encode() not in plain, path


@pytest.mark.long
def test_a_campaign_whose_runner_was_killed_goes_on_and_ends_the_same(by_fireworks, new_workplace):
    runner = new_workplace.start("run-1.log", "campaign", "run", "small.yaml", "--workers", "2")
    try:
        wait_for_the_middle(new_workplace, runner)
        family = psutil.Process(runner.pid).children(recursive=True)
        runner.send_signal(signal.SIGKILL)
        runner.wait()
        # the workers notice within a second; Ray's own agents look for their parent now and then
        _, alive = psutil.wait_procs(family, timeout=120)
        assert not alive, f"{alive} outlived the runner that started them"
    finally:
        end(runner)
    finished_before = {
        (entry["document"], entry["stage"]) for entry in new_workplace.store.attempts.find({"outcome": "completed"})
    }
    assert finished_before
    new_workplace.command("campaign", "run", "small.yaml", "--workers", "2")
    assert new_workplace.store.campaigns.find_one({"_id": "small"})["state"] == "finished"
    assert new_workplace.table() == by_fireworks.table()
    assert new_workplace.completed_more_than_once() == []


def wait_for_the_middle(workplace, runner):
    """Wait until something is complete while something else is being computed."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        assert runner.poll() is None, (workplace.folder / "run-1.log").read_text()
        complete = workplace.store.attempts.count_documents({"outcome": "completed"})
        running = workplace.launchpad.fireworks.count_documents(
            {"state": "RUNNING", "spec.stage": "relax", "spec._allow_fizzled_parents": None}
        )
        if complete >= 2 and running:
            return
        time.sleep(0.2)
    raise AssertionError("the campaign did not get going")
