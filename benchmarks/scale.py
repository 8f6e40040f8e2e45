"""Measure submit, status, list, a page of results, verify and the database size for a campaign of many candidates.

    python benchmarks/scale.py [--candidates 1000000] [--folder FOLDER]

Candidates are written in bulk, without features: copies of real binaries under new ids, because generating a million
crystals would take longer than everything else (2 to 3 ms each, mostly for finding the symmetry). All other steps use
the program itself, each in a separate process: the workflows of all IS-DOS are submitted, listed and verified; then
half of the candidates get a prediction and one in a hundred of these a result, and the table is read. It uses a
separate mongod on a free loopback port in a temporary folder (several GB for 10^6 candidates). Dated results are in
docs/explanation/scale.md.
"""

import argparse
import json
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.screening import fresh_store  # noqa: E402
from benchmarks.synthetic_campaign import campaign_with  # noqa: E402

NAME = "large"
PROGRAM = str(Path(sys.executable).parent / "campaign")


def main() -> None:
    """Write the campaign, and print the time of each step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the database lies; default: the system's temporary folder")
    parser.add_argument("--step", choices=["submit", "page"], help=argparse.SUPPRESS)
    parser.add_argument("--launchpad", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    if options.step is not None:
        {"submit": submit, "page": page}[options.step](options.launchpad)
        return
    if options.folder is not None:
        os.environ["TMPDIR"] = str(options.folder)
    with fresh_store() as (file, store, launchpad):
        run_steps(file, store, launchpad, options.candidates)


def run_steps(file: Path, store: Any, launchpad: Any, number: int) -> None:
    """Run all steps, one after the other."""
    began = time.perf_counter()
    campaign_with(store, launchpad, number, name=NAME)
    print(f"{number} candidates; the machine's load is {os.getloadavg()[0]:.0f}")
    print(f"documents written        {time.perf_counter() - began:8.1f} s", flush=True)
    own = [sys.executable, __file__, "--launchpad", str(file), "--step"]
    at = ["--launchpad", str(file)]
    measure("submit", [*own, "submit"], store, file)
    measure("status", [PROGRAM, "status", NAME, *at], store, file)
    measure("list", [PROGRAM, "list", *at], store, file)
    measure("verify", [PROGRAM, "verify", NAME, "--json", *at], store, file)
    began = time.perf_counter()
    predict_half(store, number)
    print(f"half of them predicted   {time.perf_counter() - began:8.1f} s", flush=True)
    measure("status", [PROGRAM, "status", NAME, *at], store, file)
    measure("a page of results", [*own, "page"], store, file)
    measure("all results as CSV", [PROGRAM, "results", NAME, "--format", "csv", *at], store, file)
    print_size(store)


def measure(what: str, words: list[str], store: Any, file: Path) -> None:
    """Run a command, and print its time, its peak memory and that of MongoDB."""
    began = time.perf_counter()
    # verify exits with 1 if it finds an error, and an unknown command with 2
    with (file.parent / "output").open("w+b") as output:
        process = subprocess.Popen(
            words, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        peak_mb, status, used = wait_for(process.pid)
        output.seek(0)
        said = output.read().decode(errors="replace")
    seconds = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    cost = f"{used.ru_utime + used.ru_stime:8.1f} CPU-s {peak_mb:8.0f} MiB"
    outcome = first_line(said) if code == 0 else f"exit code {code}: {first_line(said)} {said[-200:]}"
    print(f"{what:24} {seconds:8.1f} s {cost}; mongod {mongod_memory_mb(store):6.0f} MiB; {outcome}", flush=True)


def wait_for(pid: int) -> tuple[float, int, Any]:
    """Return the peak memory of a process in MiB, its exit status and its CPU time.

    The peak that `os.wait4` returns would include this process, from which the other one was forked.
    """
    peak_mb = 0.0
    while True:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        peak_mb = max(peak_mb, float(found[1]) / 1024 if found else 0.0)
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            return peak_mb, status, used
        time.sleep(0.1)


def first_line(said: str) -> str:
    """Return the first line of the output of a step, or what verify has checked."""
    if said.startswith("{"):
        found = json.loads(said)
        return f"checked {found.get('looked_at')}, {len(found.get('findings', []))} findings"
    return next(iter(said.splitlines()), "")[:100]


def mongod_memory_mb(store: Any) -> float:
    """Return the memory of the server, MB."""
    return float(store.database.client.admin.command("serverStatus")["mem"]["resident"])


def submit(file: Path) -> None:
    """Submit all IS-DOS, as `campaign submit` does after writing the documents."""
    from campaign.running_campaign import RunningCampaign
    from campaign.store.collections import CampaignStore
    from launchers.database.settings import DatabaseSettings

    launchpad = DatabaseSettings.from_file(file).launchpad(strm_lvl="ERROR")
    store = CampaignStore(launchpad.db)
    RunningCampaign.open(store, launchpad, NAME).advance()
    print(f"{launchpad.db['workflows'].estimated_document_count()} workflows")


def page(file: Path) -> None:
    """Run two queries of the README: fifty rows by predicted distance to the hull, and the most stable results."""
    from campaign.store.collections import CampaignStore
    from launchers.database.settings import DatabaseSettings

    store = CampaignStore(DatabaseSettings.from_file(file).launchpad(strm_lvl="ERROR").db)
    fields = ["formula", "prototype", "prediction", "decision", "result"]
    began = time.perf_counter()
    predicted = {"campaign": NAME, "prediction.e_above_hull": {"$gt": 0.1}}
    stable = {"campaign": NAME, "result.stable": True}
    rows = list(store.candidates.find(predicted, fields).sort("prediction.e_above_hull", 1).limit(50))
    rows += list(store.candidates.find(stable, fields).sort("result.e_above_hull", 1).limit(50))
    print(f"{len(rows)} rows in {1000 * (time.perf_counter() - began):.1f} ms")


def predict_half(store: Any, number: int) -> None:
    """Write predictions, decisions and results to half of the candidates, inside the database."""
    size = store.campaigns.find_one({"_id": NAME}, ["batch_sizes"])["batch_sizes"][0]
    half = {"campaign": NAME, "batch": {"$lt": number // size // 2}}
    random = {"$rand": {}}
    prediction = {"e_form_per_atom": {"$subtract": [random, 0.5]}, "e_above_hull": random, "step": f"{NAME}/screen/0"}
    decision = {"promoted": False, "outcome": "rejected", "audit": False, "relax_cpu_s": 1000.0}
    fields = {"state": "rejected", "prediction": prediction, "decision": decision, "is_dos.energy": -3.0}
    store.candidates.update_many(half, [{"$set": fields}])
    result = {"e_form_per_atom": -0.1, "e_above_hull": random, "stable": {"$lt": [random, 0.5]}}
    some = {**half, "prediction.e_above_hull": {"$lt": 0.01}}
    promoted = {"state": "relaxed", "result": result, "decision.promoted": True, "decision.outcome": "promoted"}
    store.candidates.update_many(some, [{"$set": promoted}])


def print_size(store: Any) -> None:
    """Print the size of the database on disk, by collection."""
    store.database.client.admin.command("fsync")
    for name in ("candidates", "fireworks", "workflows", "attempts"):
        found = store.database.command("collStats", name)
        print(
            f"{name:24} {found['count']} documents of {found.get('avgObjSize', 0)} bytes: "
            f"{found['storageSize'] / 2**20:.0f} MiB, indexes {found['totalIndexSize'] / 2**20:.0f} MiB"
        )
    whole = store.database.command("dbStats")
    print(f"all on disk              {(whole['storageSize'] + whole['indexSize']) / 2**20:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
