"""A process that has taken a calculation of a campaign and computes: with its ledger open, and a child at work."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import subprocess, sys, time
from pathlib import Path
from fireworks import FWorker
from campaign.attempts.ledger import attempt
from campaign.recovery.processes import announce_process
from campaign.store.collections import CampaignStore
from launchers.database.settings import DatabaseSettings

file, fw_id, document = sys.argv[1], int(sys.argv[2]), sys.argv[3]
launchpad = DatabaseSettings.from_file(Path(file)).launchpad(strm_lvl="ERROR")
launchpad.checkout_fw(FWorker(name="rlaunch"), str(Path.cwd()), fw_id=fw_id)
announce_process(launchpad, fw_id)
store = CampaignStore(launchpad.db)
with attempt(store, campaign=launchpad.fireworks.find_one({"fw_id": fw_id})["spec"]["campaign_name"],
             stage="dos", fw_id=fw_id, document=document):
    engine = subprocess.Popen(["sleep", "600"])
    print(engine.pid, flush=True)
    time.sleep(600)
"""


def compute(launchpad_file: Path, folder: Path, *, fw_id: int, document: str) -> tuple[subprocess.Popen[str], int]:
    """Start it in a launch folder; return it, and the process id of its engine, once it computes."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(launchpad_file), str(fw_id), document],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())
