"""The campaign that the tests run: small enough for two cores and a few minutes."""

from pathlib import Path
from typing import Any

import yaml

from campaign.spec.campaign_spec import FIREWORK_HEADER

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
