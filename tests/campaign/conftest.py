"""A campaign small enough for tests, and the collections it lives in."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fireworks import LaunchPad
from small_campaign import SMALL, write_campaign
from stored_campaign import StoredCampaign

from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.reader import read_firework_spec
from campaign.store.collections import CampaignStore
from campaign.store.fireworks import initialise_launchpad
from launchers.database.settings import DatabaseSettings

_PLAYBACK = Path(__file__).parent / "playback"


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    """Campaign file of the small campaign."""
    return write_campaign(tmp_path / "small.yaml")


@pytest.fixture
def small_spec() -> Callable[..., CampaignSpec]:
    """Return a function that makes the small campaign, with changed sections where asked."""

    def make(*, name: str = "small", **changes: Any) -> CampaignSpec:
        return read_firework_spec({"campaign": {**SMALL, **changes}}, name=name)

    return make


@pytest.fixture
def launchpad(database: DatabaseSettings) -> LaunchPad:
    """LaunchPad of the test's own database, ready for use."""
    launchpad = database.launchpad()
    initialise_launchpad(launchpad)
    return launchpad


@pytest.fixture
def store(launchpad: LaunchPad) -> CampaignStore:
    """Campaign collections beside that LaunchPad."""
    return CampaignStore(launchpad.db)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the engine play back what was recorded; return the file that has a line for each of its starts."""
    monkeypatch.setenv("PYTHONPATH", f"{_PLAYBACK}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("ENGINE_LOG", str(tmp_path / "engine.starts"))
    return tmp_path / "engine.starts"


@pytest.fixture
def launch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A launch folder, in which the test is."""
    folder = tmp_path / "launch"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def probable(launchpad_file: Path) -> StoredCampaign:
    """A real campaign at its end that has rejected one candidate with a probability of 0.499, and has no limits."""
    return StoredCampaign(launchpad_file, "finished", "probable")


@pytest.fixture
def ended(launchpad_file: Path) -> StoredCampaign:
    """A real campaign at its end: thresholds of 0.52 and 0.6 eV/atom, three relaxations, one of them for the audit."""
    return StoredCampaign(launchpad_file, "finished")
