"""A process that computes in node-local scratch until it is ended, for tests that end it."""

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from monty.tempfile import ScratchDir
from workflows.scratch import node_scratch
root, every_s, handler, contcar = sys.argv[1:]
if handler == "handler":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(99))
with node_scratch(Path(root), Path.cwd(), every_s=float(every_s)) as folder:
    with ScratchDir(folder, create_symbolic_link=True, copy_from_current_on_enter=True, copy_to_current_on_exit=True):
        Path("CONTCAR").write_text(contcar)
        Path("WAVECAR").write_text("large")
        print("running", flush=True)
        time.sleep(600)
"""


def start_in_scratch(
    root: Path, launch: Path, *, every_s: float = 600.0, handler: str = "default", contcar: str = "reached"
) -> subprocess.Popen[str]:
    """Start it in a launch folder, and wait until it computes: it has written CONTCAR and WAVECAR in scratch."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(root), str(every_s), handler, contcar],
        cwd=launch,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process
