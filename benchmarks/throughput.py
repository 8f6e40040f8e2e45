"""Measure calculations per hour through SLURM: one per job, many per job, and several such jobs at the same time.

Real IS-DOS fireworks run through `launchers.cluster` and the test SLURM (tests/cluster/minislurm.sh: Debian's SLURM and
munge, as root), with a separate mongod and at most two jobs in the queue. The engine is replaced by a program that
plays back recorded results and sleeps in between, so that the overhead is measured: the queue, the start of Python and
its imports, FireWorks, atomate2, the features, the record.

    python benchmarks/throughput.py [--calculations 12] [--seconds 2]
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / name) for name in (".", "campaign", "cluster"))]

from slurm_cluster import SlurmCluster  # noqa: E402
from small_campaign import SMALL  # noqa: E402

#: Four candidates of one composition, for which outputs are recorded.
PROTOTYPES = ["B1", "B2", "B3", "L1_0"]
PLAYBACK = ROOT / "tests" / "campaign" / "playback"
JOBS = 2


def submit(store: Any, launchpad: Any, number: int, mode: str) -> None:
    """Submit campaigns until there are ``number`` IS-DOS."""
    from campaign.running_campaign import start_campaign
    from campaign.spec.reader import read_firework_spec

    section = {**SMALL, "candidates": {"prototypes": PROTOTYPES, "elements": ["Al", "Cu"]}}
    section["model"] = {"bundle": "gpaw-fast-binary"}
    for index in range(-(-number // len(PROTOTYPES))):
        start_campaign(store, launchpad, read_firework_spec({"campaign": section}, name=f"{mode}-{index}"))


def measure(file: Path, folder: Path, number: int, queue: Mapping[str, Any], mode: str) -> dict[str, float]:
    """Run IS-DOS through the queue, and return the time they took in s, and the number of jobs."""
    from campaign.store.collections import CampaignStore
    from launchers.cluster.launch_files import write_new
    from launchers.cluster.queue_filler import fill_queues
    from launchers.cluster.site import CATEGORIES, SiteSettings
    from launchers.database.settings import DatabaseSettings

    launchpad = DatabaseSettings.from_file(file).launchpad(strm_lvl="CRITICAL")
    store = CampaignStore(launchpad.db)
    submit(store, launchpad, number, mode)
    common = {"queue": "cpu", "walltime": "00:50:00", "memory": "900M", "max_jobs": JOBS}
    content = {
        "scheduler": "slurm",
        "launchpad": str(file),
        "launch_directory": str(folder / "runs"),
        "python": sys.executable,
        "environment": [f"export PYTHONPATH={PLAYBACK}:{ROOT} OMP_NUM_THREADS=1 ENGINE_S={os.environ['ENGINE_S']}"],
        "queues": {name: {**common, **queue} for name in CATEGORIES},
    }
    site = SiteSettings.from_dict(content, origin="throughput.py")
    (folder / "runs").mkdir(parents=True)
    write_new(site, folder / "cluster")
    # the relaxations of the references would take part of the time
    launchpad.fireworks.update_many({"spec._category": "relax"}, {"$set": {"state": "PAUSED"}})
    began, jobs = time.monotonic(), 0
    while store.candidates.count_documents({"campaign": {"$regex": mode}, "state": "dos_done"}) < number:
        if failed := store.candidates.find_one({"campaign": {"$regex": mode}, "state": "dos_failed"}):
            raise SystemExit(f"{mode}: {failed['final_failure']}")
        for filled in fill_queues(launchpad, site, folder / "cluster"):
            jobs += len(filled.submitted)
        time.sleep(0.5)
    return {"seconds": time.monotonic() - began, "jobs": jobs}


def main() -> None:
    """Measure and print the table."""
    from benchmarks.screening import mongod
    from campaign.store.fireworks import initialise_launchpad
    from launchers.database.settings import DatabaseSettings

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calculations", type=int, default=12, help="IS-DOS for each way; a multiple of 4")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long the stand-in engine takes")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    os.environ["ENGINE_S"] = str(options.seconds)
    share = options.calculations // JOBS
    ways = {
        "single": ("one calculation to a job", {}),
        "packed": (f"jobs_per_allocation: {share}", {"jobs_per_allocation": share, "estimate": "00:00:10"}),
        "side": (
            f"jobs_per_allocation: {share}, side_by_side: 2",
            {"jobs_per_allocation": share, "side_by_side": 2, "estimate": "00:00:10"},
        ),
    }
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    cluster = SlurmCluster(folder)
    os.environ |= {key: cluster.environment[key] for key in ("SLURM_CONF", "PATH")}
    try:
        cluster.call("up")
        with mongod() as file:
            initialise_launchpad(DatabaseSettings.from_file(file).launchpad(strm_lvl="CRITICAL"))
            print(f"{options.calculations} IS-DOS, engine {options.seconds:g} s, {JOBS} jobs at a time; ", end="")
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f} before", flush=True)
            print("way                                        jobs   seconds   calculations/hour", flush=True)
            for mode, (text, queue) in ways.items():
                found = measure(file, folder / mode, options.calculations, queue, mode)
                rate = 3600 * options.calculations / found["seconds"]
                print(f"{text:42s} {found['jobs']:4.0f} {found['seconds']:9.0f} {rate:19.0f}", flush=True)
            print(f"load {os.getloadavg()[0]:.0f} after")
    finally:
        cluster.cancel_all()
        cluster.call("down")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
