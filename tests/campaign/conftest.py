"""A campaign small enough for tests, and the collections it lives in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fireworks import LaunchPad

from campaign.execution.fireworks import initialise_launchpad
from campaign.spec import FIREWORK_HEADER, CampaignSpec
from campaign.store import CampaignStore
from launchers.database import DatabaseSettings

#: Three candidates of two cheap elements, coarse in everything: DFT for the plumbing, not for numbers.
SMALL: dict[str, Any] = {
    "candidates": {"prototypes": ["B1", "B2", "L1_0"], "elements": ["Al", "Cu"]},
    "dft": {"engine": "gpaw", "quality": "fast", "encut": 300, "kpoint_length": 10},
    "model": {
        "bootstrap_size": 2,
        "training": {"widths": [4, 4, 8, 8], "max_epochs": 5, "batch_size": 4, "validation_fraction": 0},
    },
    # everything is promoted, whatever five epochs make of it: every kind of firework is met
    "policy": {"max_formation_energy": 20.0, "max_hull_energy": 20.0},
}


def write_campaign(path: Path, *, name: str = "small", **changes: Any) -> Path:
    """Write a campaign file; `changes` replace whole sections of `SMALL`."""
    content = {"name": name, "spec": {**FIREWORK_HEADER, "campaign": {**SMALL, **changes}}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    """Campaign file of the small campaign."""
    return write_campaign(tmp_path / "small.yaml")


@pytest.fixture
def small_spec() -> Callable[..., CampaignSpec]:
    """Return a function that makes the small campaign, with changed sections where asked."""

    def make(*, name: str = "small", **changes: Any) -> CampaignSpec:
        return CampaignSpec.from_firework_spec({"campaign": {**SMALL, **changes}}, name=name)

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
