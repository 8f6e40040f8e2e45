"""The package examples/plugin, installed as a user would do it: found by its entry points, and deciding."""

import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from campaign.config.yaml_file import CampaignFileError
from campaign.policies.registry import POLICIES
from campaign.running_campaign import start_campaign
from campaign.scheduling.advance import advance
from campaign.scorers.registry import SCORERS
from campaign.spec.reader import read_campaign_file
from campaign.steps.screen import screen_step
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.views.explanation import explanation

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin"


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory) -> Path:
    """Where pip has put it; neither the environment nor the example's folder is touched."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, folder / "source")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site"), folder / "source"]
    subprocess.run(command, check=True, timeout=120)
    return folder / "site"


@pytest.fixture
def installed(site_packages, monkeypatch):
    monkeypatch.syspath_prepend(str(site_packages))


@pytest.mark.usefixtures("installed")
def test_both_kinds_are_there_beside_the_shipped_ones():
    assert "electronegativity" in SCORERS.names()
    assert "affordable" in POLICIES.names()
    spec = read_campaign_file(PLUGIN / "campaign.yaml")
    assert (spec.scorer.kind, spec.policy.kind) == ("electronegativity", "affordable")
    assert not spec.scorer.needs_dos


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
@pytest.mark.usefixtures("installed")
def test_its_settings_and_elements_are_checked_with_the_rest_of_the_file(small_spec):
    with pytest.raises(CampaignFileError, match="strength"):
        small_spec(scorer={"kind": "electronegativity", "strength": -1.0})
    candidates = {"prototypes": ["B2"], "elements": ["Al", "Ar"]}
    with pytest.raises(CampaignFileError, match=r"elements\[1\]: Ar has no electronegativity"):
        small_spec(candidates=candidates, scorer={"kind": "electronegativity"})


def test_without_the_package_the_campaign_is_refused_by_name():
    with pytest.raises(CampaignFileError, match="electronegativity"):
        read_campaign_file(PLUGIN / "campaign.yaml")


@pytest.mark.gpaw
def test_the_commands_of_the_page_about_it_work(site_packages):
    page = (ROOT / "docs" / "how-to" / "plugin.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```sh\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    paths = {
        "PYTHONPATH": os.pathsep.join([str(site_packages), os.environ.get("PYTHONPATH", "")]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    shown = []
    for line in block.splitlines()[1:]:  # the first installs it; the fixture has done that elsewhere
        done = subprocess.run(
            ["bash", "-c", line], cwd=ROOT, env=os.environ | paths, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        shown.append(done.stdout)
    check, replay = shown
    assert "electronegativity" in check
    assert "affordable" in replay


@pytest.mark.mongo
@pytest.mark.usefixtures("installed")
def test_a_campaign_is_scored_and_decided_by_it(store, database, launchpad):
    spec = read_campaign_file(PLUGIN / "campaign.yaml")
    start_campaign(store, launchpad, spec)
    for reference in list(store.references.find()):
        facts = {"state": "relaxed", "relaxation.energy": -3.0, "relaxation.vasp_version": "6.9.9-gpaw-test"}
        store.references.update_one({"_id": reference["_id"]}, {"$set": facts})
    advance(OpenCampaign.open(store, launchpad, spec.name))
    for step in list(store.steps.find({"kind": "screen"})):
        screen_step(OpenCampaign.open(store, launchpad, spec.name), database, step["_id"], fw_id=step["fw_id"])
    candidates = list(store.candidates.find())
    assert len(candidates) == 6
    for document in candidates:
        said, decision = document["prediction"], document["decision"]
        assert not math.isnan(said["e_form_per_atom"])
        assert said["scorer"]["versions"].keys() == {"pymatgen"}
        assert decision["promoted"] == (said["e_above_hull"] <= -0.1)
        assert "against 4000 CPU-s" in decision["reason"]
    # Al 1.61, Pd 2.20 in Pauling's table: 4 x 0.25 x 0.59^2
    alpd = store.candidates.find_one({"formula": "AlPd", "prototype": "B2"})
    assert alpd["prediction"]["e_form_per_atom"] == pytest.approx(-0.3481)
    assert {document["decision"]["promoted"] for document in candidates} == {True, False}
    assert explanation(Campaign.read(store, spec.name), alpd)["decision"]
