"""Measure time and memory of `campaign results` and `campaign export` for a campaign of many candidates.

    python benchmarks/results.py [--candidates 100000]

The campaign is synthetic: every candidate has a prediction, and one in five is relaxed, with both structures. Each
command runs in a separate process. It uses a separate mongod on a free loopback port in a temporary folder.

2026-12-01, two cores with ten other running processes (one run): 2,000 candidates took 4.7 CPU-s and 352 MiB as Parquet
(pyarrow), 4.4 CPU-s and 236 MiB as entries; Python and its packages alone take about 3 CPU-s.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.screening import fresh_store  # noqa: E402
from benchmarks.synthetic_campaign import campaign_with  # noqa: E402

NAME = "many"
COMMANDS = {
    "json": "results many --format json --output {}",
    "json without structures": "results many --format json --no-structures --output {}",
    "csv": "results many --format csv --output {}",
    "parquet": "results many --format parquet --output {}",
    "entries": "export many --entries {}.json",
}


def main() -> None:
    """Write the campaign, and print the time of each command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=100_000)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with fresh_store() as (file, store, launchpad), tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        campaign_with(store, launchpad, options.candidates, name=NAME)
        predict_and_relax(store)
        print(f"{options.candidates} candidates made in {time.perf_counter() - began:.0f} s", flush=True)
        for title, words in COMMANDS.items():
            measure(title, words.format(Path(folder, title.replace(" ", "-"))).split(), file)
        sizes = {path.name: path.stat().st_size / 1e6 for path in Path(folder).iterdir()}
        print("MB:", {name: round(size, 1) for name, size in sorted(sizes.items())})


def predict_and_relax(store: Any) -> None:
    """Give every candidate a prediction, and one in five a relaxed crystal and a result."""
    energies = {"e_form_per_atom": {"$subtract": [{"$rand": {}}, 0.8]}, "e_above_hull": {"$rand": {}}}
    common = {"corrections": "none", "reference_set": store.campaigns.find_one({"_id": NAME})["reference_set"]}
    predicted = {"prediction": {**energies, **common, "uncertainty": 0.1, "novel": False}}
    store.candidates.update_many({"campaign": NAME}, [{"$set": predicted}])
    relaxed = [found["_id"] for found in store.candidates.find({"campaign": NAME}, ["_id"])][::5]
    relaxation = {"energy": {"$multiply": [-3.0, "$n_sites"]}, "structure": "$structure"}
    done = {"state": "relaxed", "relaxation": relaxation, "result": {**energies, **common, "stable": True}}
    store.candidates.update_many({"_id": {"$in": relaxed}}, [{"$set": done}])


def measure(title: str, words: list[str], file: Path) -> None:
    """Run a command, and print its time and its peak memory."""
    program = [sys.executable, "-c", "from campaign.cli.main import main; main()", *words, "-l", str(file)]
    began = time.perf_counter()
    child = os.posix_spawn(sys.executable, program, os.environ | {"PYTHONPATH": str(ROOT)})
    _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    print(
        f"{title}: {seconds:.1f} s ({used.ru_utime + used.ru_stime:.1f} CPU-s), {used.ru_maxrss / 1024:.0f} MiB at "
        f"most, exit code {os.waitstatus_to_exitcode(status)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
