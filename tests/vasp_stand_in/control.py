"""The stand-in's folder: what is to fail, and what was started.

faults.json
    Rules, the first that fits counts: ``kind`` (`vasp_stand_in.faults`), and where given ``elements`` (``Al-Cu``),
    ``stage`` (``static`` or ``relax``), ``after`` (starts that fit and are let pass first), ``times`` (how often).
genuine.json
    Folders of genuine runs that stand for a calculation: ``elements``, ``stage``, ``folder``.
recorded
    Outputs by the key of their inputs.
starts.jsonl
    A line for each start.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from vasp_stand_in.inputs import Inputs


class Control:
    """The folder, as the stand-in and the tests use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recorded = folder / "recorded"

    @classmethod
    def of_environment(cls) -> Control:
        """The folder that ``VASP_STAND_IN`` names.

        Raises
        ------
        SystemExit
            If it names none.
        """
        if not (folder := os.environ.get("VASP_STAND_IN")):
            raise SystemExit("vasp_std (stand-in): VASP_STAND_IN names no folder")
        return cls(Path(folder))

    def take_fault(self, inputs: Inputs) -> str | None:
        """Kind of the fault that this start meets, and count it; None where all goes well."""
        rules = self._read("faults.json")
        with (self.folder / "counts.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = self.folder / "counts.json"
            counts: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
            found = None
            for number, rule in enumerate(rules):
                if not _fits(rule, inputs):
                    continue
                met = counts.get(str(number), 0)
                first, times = rule.get("after", 0), rule.get("times", 1)
                if met >= first + times:
                    continue
                counts[str(number)] = met + 1
                if met >= first:
                    found = str(rule["kind"])
                    break
            path.write_text(json.dumps(counts))
        return found

    def genuine(self, inputs: Inputs) -> Path | None:
        """Folder of the genuine run that stands for these inputs."""
        for rule in self._read("genuine.json"):
            if _fits(rule, inputs):
                return Path(rule["folder"])
        return None

    def log_start(self, inputs: Inputs, kind: str | None, source: str) -> None:
        """Write down one start."""
        line = {
            "time": time.time(),
            "formula": inputs.formula,
            "elements": inputs.elements,
            "stage": inputs.stage,
            "fault": kind,
            "source": source,
            "directory": os.getcwd(),
            "tags": inputs.tags,
            "mesh": inputs.mesh,
            "lattice": inputs.lattice,
            "titles": inputs.titles,
            "job": os.environ.get("SLURM_JOB_ID"),
            "threads": os.environ.get("OMP_NUM_THREADS"),
        }
        with (self.folder / "starts.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def starts(self) -> list[dict[str, Any]]:
        """All starts so far, in their order."""
        path = self.folder / "starts.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _read(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        return list(json.loads(path.read_text())) if path.exists() else []


def _fits(rule: dict[str, Any], inputs: Inputs) -> bool:
    return rule.get("elements") in (None, inputs.elements) and rule.get("stage") in (None, inputs.stage)
