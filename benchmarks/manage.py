"""Measure the time of `campaign list`, `pause`, `resume`, `archive` and `delete` in a database of many campaigns.

    python benchmarks/manage.py [--candidates 100000] [--campaigns 100]

One campaign has almost all of the candidates, with their IS-DOS submitted; the others have a few each. It uses a
separate mongod on a free loopback port in a temporary folder. Each command runs in a separate process, so half of the
time of a short one is the start of Python.

2026-12-01, two cores with about 20 other running processes (one run): 100 campaigns, 20,297 candidates, 40,990
fireworks: list 8.8 s, pause 34 s, resume 31 s, archive 41 s, its undo 42 s, stop 26 s, delete 16 s; 301 MiB at most.
"""

import argparse
import logging
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.screening import fresh_store  # noqa: E402
from benchmarks.synthetic_campaign import campaign_with  # noqa: E402

LARGE = "large"
SMALL = {
    "candidates": {"prototypes": ["B1", "B2", "L1_0"], "elements": ["Al", "Cu"]},
    "dft": {"engine": "gpaw", "quality": "fast"},
    "model": {"bootstrap_size": 2},
}
COMMANDS = (
    *(["list"], ["pause", LARGE], ["list"], ["resume", LARGE], ["archive", LARGE], ["archive", LARGE, "--undo"]),
    *(["stop", LARGE], ["delete", LARGE, "--yes"]),
)


def main() -> None:
    """Write the campaigns, and print the time of each command."""
    from campaign.running_campaign import start_campaign
    from campaign.scheduling.submit import submit_ready
    from campaign.spec.reader import read_firework_spec
    from campaign.store.campaigns import OpenCampaign

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--campaigns", type=int, default=100)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with fresh_store() as (file, store, launchpad):
        began = time.perf_counter()
        campaign_with(store, launchpad, options.candidates, name=LARGE)
        submit_ready(OpenCampaign.open(store, launchpad, LARGE))
        for number in range(options.campaigns - 1):
            start_campaign(store, launchpad, read_firework_spec({"campaign": SMALL}, name=f"small-{number}"))
        counts = f"{store.candidates.estimated_document_count()} candidates"
        counts += f", {launchpad.fireworks.estimated_document_count()} fireworks"
        print(f"{options.campaigns} campaigns, {counts}, in {time.perf_counter() - began:.0f} s", flush=True)
        for words in COMMANDS:
            measure(words, file)


def measure(words: list[str], file: Path) -> None:
    """Run a command, and print its time and its peak memory."""
    command = [sys.executable, "-c", "from campaign.cli.main import main; main()", *words, "-l", str(file)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    seconds = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1][:150]
    print(
        f"campaign {' '.join(words)}: {seconds:.1f} s, {peak_mb:.0f} MiB at most so far, code {done.returncode}: {last}"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
