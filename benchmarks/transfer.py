"""Measure the time of `campaign export` and `campaign import` for many candidates, and the size of the file.

    python benchmarks/transfer.py [--candidates 100000]

The campaign is the finished one of `benchmarks/verify.py`: documents, ledger, outputs, GridFS files. Its features are
small (1 kB instead of 100); real ones would add 100 kB per DOS to the file, copied unchanged. It is exported, imported
into another database of the same mongod, and verified there, each command in a separate process.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.screening import fresh_store  # noqa: E402
from benchmarks.verify import NAME, make_finished  # noqa: E402


def main() -> None:
    """Write the campaign, transfer it, and print the time of each command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=100_000)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with fresh_store() as (file, store, launchpad):
        began = time.perf_counter()
        make_finished(store, launchpad, options.candidates)
        print(f"{options.candidates} candidates made in {time.perf_counter() - began:.0f} s", flush=True)
        moved, there = file.with_name("moved.campaign"), file.with_name("there.yaml")
        there.write_text(file.read_text().replace(f"name: {store.database.name}", "name: there"))
        there.chmod(0o600)
        run("export", NAME, str(moved), "-l", str(file))
        print(f"    the file has {moved.stat().st_size / 1e6:.1f} MB", flush=True)
        run("import", str(moved), "-l", str(there))
        run("import", str(moved), "-l", str(there))
        run("verify", NAME, "-l", str(there))


def run(*words: str) -> None:
    """Run one command, and print its time, its peak memory and its last line of output."""
    began = time.perf_counter()
    command = [str(Path(sys.executable).parent / "campaign"), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds, peak_mb = time.perf_counter() - began, usage.ru_maxrss / 1024
    print(f"campaign {words[0]}: {seconds:.1f} s, {peak_mb:.0f} MiB at most, status {status}")
    print("    " + "\n    ".join(said.strip().splitlines()[-3:]), flush=True)


if __name__ == "__main__":
    main()
