"""A FireWorks database that others work in too: their workers take nothing of ours, ours nothing less than before."""

import subprocess
import sys

import pytest
import yaml
from fireworks import Firework, FWorker, ScriptTask
from typer.testing import CliRunner

from campaign.cli.app import app
from launchers.workers.project_worker import CampaignWorker

pytestmark = pytest.mark.mongo

#: rlaunch in an environment that has FireWorks and nothing of ours.
THEIRS = """
import sys
sys.modules["campaign"] = sys.modules["workflows"] = None
from fireworks.scripts.rlaunch_run import rlaunch
rlaunch(["-l", sys.argv[1], "rapidfire"])
"""


@pytest.fixture
def shared(launchpad):
    """A database in which somebody else has a firework."""
    launchpad.add_wf(Firework([ScriptTask.from_str("true")], name="theirs"))
    return launchpad


def submit(file, launchpad_file, code=0):
    words = ["submit", str(file), "--engine-elsewhere", "--launchpad", str(launchpad_file)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def states(launchpad, **query):
    return [found["state"] for found in launchpad.fireworks.find(query)]


def test_a_worker_without_this_package_takes_nothing_of_a_campaign(shared, launchpad_file, small_file, tmp_path):
    said = submit(small_file, launchpad_file)
    assert "1 firework of no campaign" in said
    assert "workers named 'esnet-campaign'" in said
    their_folder = tmp_path / "theirs"
    their_folder.mkdir()
    subprocess.run([sys.executable, "-c", THEIRS, str(launchpad_file)], cwd=their_folder, check=True)
    assert states(shared, name="theirs") == ["COMPLETED"]
    assert set(states(shared, **{"spec.campaign_name": "small"})) == {"READY", "WAITING"}

    ours = FWorker.from_file(str(tmp_path / "my_fworker.yaml"))
    assert shared.run_exists(ours)
    assert not shared.run_exists(FWorker())
    query = {"spec.campaign_name": "small"}
    for worker in (CampaignWorker("local-worker x", query=query), CampaignWorker("cluster-relax", "relax")):
        assert shared.run_exists(worker)


def test_a_database_of_its_own_asks_no_worker_for_its_name(launchpad, launchpad_file, small_file, tmp_path):
    assert "shared" not in submit(small_file, launchpad_file)
    assert launchpad.run_exists(FWorker())
    assert not (tmp_path / "my_fworker.yaml").exists()


def test_the_worker_that_the_campaign_file_names_is_the_one(shared, launchpad_file, small_file, tmp_path):
    content = yaml.safe_load(small_file.read_text())
    content["spec"]["_fworker"] = "my-site"
    small_file.write_text(yaml.safe_dump(content))
    submit(small_file, launchpad_file)
    of_campaign = shared.fireworks.distinct("spec._fworker", {"spec.campaign_name": "small"})
    assert of_campaign == ["my-site"]
    assert not (tmp_path / "my_fworker.yaml").exists()


def test_a_campaign_of_before_goes_on_with_any_worker(launchpad, launchpad_file, small_file):
    submit(small_file, launchpad_file)
    launchpad.db.campaigns.update_one({}, {"$unset": {"worker": ""}})
    launchpad.add_wf(Firework([ScriptTask.from_str("true")], name="theirs"))
    submit(small_file, launchpad_file)
    assert launchpad.fireworks.count_documents({"spec._fworker": {"$exists": True}}) == 0
    assert launchpad.run_exists(FWorker(query={"spec.campaign_name": "small"}))


def test_a_firework_of_another_worker_is_left_to_it(launchpad):
    launchpad.add_wf(Firework([ScriptTask.from_str("true")], spec={"_fworker": "elsewhere", "_category": "dos"}))
    assert not launchpad.run_exists(CampaignWorker("cluster-dos", "dos"))
