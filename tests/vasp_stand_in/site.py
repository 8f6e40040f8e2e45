"""A site with VASP, for tests: the stand-in on PATH, a POTCAR library, and the environment of who computes there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from campaign.spec.campaign_spec import FIREWORK_HEADER
from vasp_stand_in.control import Control
from vasp_stand_in.faults import FAULTS
from vasp_stand_in.potcar_library import write_library
from vasp_stand_in.recordings import unpack

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: Coarse in everything: DFT for the plumbing, not for numbers. The recordings are of these settings.
DFT = {"engine": "vasp", "vasp_command": "vasp_std", "quality": "fast", "encut": 300, "kpoint_length": 10, "nedos": 301}


class VaspSite:
    """Where VASP is installed, as far as a campaign can tell.

    Attributes
    ----------
    control
        The stand-in's folder.
    potcars
        PMG_VASP_PSP_DIR.
    home
        Home folder of who computes there, empty at first.
    version
        Release of VASP that the stand-in plays.
    """

    def __init__(self, folder: Path, *, version: str = "5.4.4") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.control = Control(folder)
        self.potcars = write_library(folder / "potcars")
        self.home = folder / "home"
        self.home.mkdir()
        self.version = version
        self._faults: list[dict[str, Any]] = []
        self._genuine: list[dict[str, str]] = []
        unpack(self.control.recorded)

    @property
    def search_path(self) -> str:
        """What VASP's module puts in front of PATH, and this environment's commands."""
        return os.pathsep.join([str(HERE), str(Path(sys.executable).parent)])

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a shell in which VASP's module is loaded."""
        python_path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        return {
            # with none of the settings that a user of this machine keeps there
            "HOME": str(self.home),
            "PATH": os.pathsep.join([self.search_path, os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(part for part in python_path if part),
            "PMG_VASP_PSP_DIR": str(self.potcars),
            "VASP_STAND_IN": str(self.control.folder),
            "VASP_STAND_IN_PYTHON": sys.executable,
            "VASP_STAND_IN_VERSION": self.version,
            "OMP_NUM_THREADS": "1",
        }

    def fail(self, kind: str, elements: str | None, stage: str | None, *, times: int = 1, after: int = 0) -> None:
        """Let starts of a calculation end in a way of `vasp_stand_in.faults`; None: of any elements, of both stages."""
        assert kind in FAULTS, kind
        rule = {"kind": kind, "elements": elements, "stage": stage, "times": times, "after": after}
        self._faults.append({name: value for name, value in rule.items() if value is not None})
        (self.control.folder / "faults.json").write_text(json.dumps(self._faults))

    def mend(self) -> None:
        """Let nothing fail any more."""
        self._faults.clear()
        (self.control.folder / "faults.json").unlink(missing_ok=True)

    def replay(self, folder: Path, elements: str, stage: str) -> None:
        """Let a genuine run stand for a calculation."""
        self._genuine.append({"elements": elements, "stage": stage, "folder": str(folder)})
        (self.control.folder / "genuine.json").write_text(json.dumps(self._genuine))

    def forget_replays(self) -> None:
        """Let no genuine run stand for anything any more."""
        self._genuine.clear()
        (self.control.folder / "genuine.json").unlink(missing_ok=True)

    def starts(self, elements: str | None = None, stage: str | None = None) -> list[dict[str, Any]]:
        """Starts of VASP so far, in their order."""
        return [
            start
            for start in self.control.starts()
            if elements in (None, start["elements"]) and stage in (None, start["stage"])
        ]


def write_campaign(path: Path, *, elements: list[str], name: str = "alloys", **changes: Any) -> Path:
    """Write a campaign file that computes everything (IS-DOS, relaxation, RS-DOS) and needs neither model nor Ray."""
    campaign = {
        "purpose": "training_set",
        "candidates": {"prototypes": ["B2"], "elements": elements},
        "dft": DFT,
        **changes,
    }
    content = {"name": name, "spec": {**FIREWORK_HEADER, "campaign": campaign}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
