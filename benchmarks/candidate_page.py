"""Measure how fast the page of a candidate loads in a campaign with many candidates.

    python benchmarks/candidate_page.py [--candidates 100000]

A campaign is written in bulk: every candidate has a prediction, entries in the ledger and its own name, like given
crystals; one in five is relaxed, and some have both DOS. `campaign serve` runs in a separate process. Measured are the
first page after its start, the median over 20 candidates requested by id, by name and by an unknown name (server and
transfer), and the time in chromium from opening the address until both crystals are drawn. It uses a separate mongod on
a free loopback port in a temporary folder, and requires chromium and playwright (extra dev).

2026-12-02, two cores shared with a test run, 100,000 candidates: first page after its start in 0.50 s, by id in 0.024 s
(median; longest 0.094 s), by name in 0.11 s, unknown name in 0.10 s, in chromium 0.18 s (longest 0.57 s).
"""

import argparse
import logging
import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "campaign")]

from browser import chromium  # noqa: E402

from benchmarks.results import NAME, predict_and_relax  # noqa: E402
from benchmarks.screening import fresh_store  # noqa: E402
from benchmarks.synthetic_campaign import add_to_ledger, campaign_with  # noqa: E402

TRIES = 20
_DRAWN = (
    "[...document.querySelectorAll('.crystal')].every((one) => one.dataset.drawn) && document.querySelector('svg.dos')"
)


def main() -> None:
    """Write the campaign, and print the time of each page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=100_000)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with fresh_store() as (file, store, launchpad):
        began = time.perf_counter()
        campaign_with(store, launchpad, options.candidates, name=NAME)
        predict_and_relax(store)
        shown = complete(store)
        print(f"{options.candidates} candidates made in {time.perf_counter() - began:.0f} s", flush=True)
        with serving(file) as address:
            page = f"{address}campaigns/{NAME}/candidate/"
            print(f"first page after the start: {seconds(page + quote(shown[0])):.3f} s")
            kinds = {
                "by id": shown,
                "by name": [f"gen_{number:06d}" for number in range(TRIES)],
                "unknown name": [f"none_{number}" for number in range(TRIES)],
            }
            for title, wanted in kinds.items():
                times = [seconds(page + quote(one, safe="")) for one in wanted]
                print(f"{title}: median {statistics.median(times):.3f} s, longest {max(times):.3f} s", flush=True)
            opened = in_browser([page + quote(one, safe="") for one in shown])
            print(f"in chromium: median {statistics.median(opened):.3f} s, longest {max(opened):.3f} s")


def complete(store: Any) -> list[str]:
    """Give every candidate a name and ledger entries, and some relaxed ones both DOS; return the ids of the latter."""
    import numpy as np
    from pymongo import UpdateOne

    from esnet.representation.dos import DOS_SHAPE, ENERGY_GRID
    from workflows.dos import DosFeatures

    found = list(store.candidates.find({"campaign": NAME}, ["composition", "state"]).sort("_id"))
    names = (
        UpdateOne({"_id": one["_id"]}, {"$set": {"parent.name": f"run/gen_{number:06d}"}})
        for number, one in enumerate(found)
    )
    store.candidates.bulk_write(list(names), ordered=False)
    entries = [("dos", "completed", one) for one in found]
    add_to_ledger(store, NAME, entries + [("relax", "completed", one) for one in found if one["state"] == "relaxed"])
    relaxed = [one for one in found if one["state"] == "relaxed"]
    shown = relaxed[:: max(1, len(relaxed) // TRIES)][:TRIES]
    bands = np.exp(-((ENERGY_GRID[None, :, None] - np.linspace(-8.0, 2.0, 9)) ** 2)) * np.ones(DOS_SHAPE)
    dos = DosFeatures.encode(
        bands.astype(np.float32), spacing=0.02, efermi=1.0, normalisation="atom", energy_reference="absolute"
    )
    for one in shown:
        for kind in ("dos", "rs_dos"):
            about = {"_id": f"{one['_id']}:{kind}", "campaign": NAME, "composition": one["composition"]}
            store.features.insert_one(about | dos.to_document())
    return [one["_id"] for one in shown]


@contextmanager
def serving(file: Path) -> Iterator[str]:
    """Run `campaign serve` on a free port, and yield its address."""
    program = [
        sys.executable,
        "-c",
        "from campaign.cli.main import main; main()",
        "serve",
        "--port",
        "0",
        "-l",
        str(file),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
    finally:
        server.terminate()
        server.wait()


def seconds(address: str) -> float:
    """Return the time until a page is complete, including redirects, s."""
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(address) as answer:
            answer.read()
    except urllib.error.HTTPError as error:  # for an unknown name
        error.read()
    return time.perf_counter() - began


def in_browser(addresses: Sequence[str]) -> list[float]:
    """Return, for each address, the time until its crystals and its DOS are drawn, s."""
    times = []
    with chromium() as browser:
        page: Any = browser.new_page()
        for address in addresses:
            began = time.perf_counter()
            page.goto(address)
            while not page.evaluate(_DRAWN):
                page.wait_for_timeout(5)
            times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main()
