"""Measure how long a campaign takes to reuse the calculations of another one.

    python benchmarks/reuse.py [--candidates 10000]

A finished campaign is written in bulk, as in `benchmarks/verify.py`, with a DOS of realistic size (about 100 kB) for
each candidate. Then a second campaign with the same candidates reuses every IS-DOS. It uses a separate mongod on a free
loopback port in a temporary folder. Dated results are in docs/how-to/reuse.md.
"""

import argparse
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.screening import fresh_store  # noqa: E402
from benchmarks.verify import NAME, make_finished  # noqa: E402

SECOND = "second"


def main() -> None:
    """Write both campaigns, and print the time of the reuse."""
    from campaign.scheduling.reuse import take_over_all
    from campaign.store.campaigns import Campaign

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=10_000)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with fresh_store() as (_, store, launchpad):
        make_finished(store, launchpad, options.candidates)
        make_comparable(store)
        copy_campaign(store)
        began, used = time.perf_counter(), time.process_time()
        taken = take_over_all(Campaign.read(store, SECOND))
        seconds, used = time.perf_counter() - began, time.process_time() - used
        load = os.getloadavg()[0]
        print(f"{taken} IS-DOS taken over: {seconds:.0f} s, {used:.0f} CPU-s here; the machine's load is {load:.0f}")
        print(f"states: {store.state_counts(SECOND)}", flush=True)


def make_comparable(store: Any) -> None:
    """Give each candidate its own key, the version of the engine, and readable features."""
    import numpy as np

    from workflows.dos import DosFeatures
    from workflows.gpaw_vasp.version import version_string

    own = {"calculation_key": "$_id", "is_dos.vasp_version": version_string()}
    store.candidates.update_many({"campaign": NAME}, [{"$set": own}])
    dos = np.random.default_rng(1).random((2, 1500, 9)).astype(np.float32).round(3)
    encoded = DosFeatures.encode(
        dos, spacing=0.02, efermi=1.5, normalisation="atom", energy_reference="absolute"
    ).to_document()
    store.features.update_many({"campaign": NAME}, {"$set": encoded})


def copy_campaign(store: Any) -> None:
    """Write a second campaign with the same candidates and no results."""
    from campaign.store.collections import in_chunks

    store.campaigns.insert_one(
        {**store.campaigns.find_one({"_id": NAME}), "_id": SECOND, "state": "running", "summary": None}
        | {"spec": store.campaigns.find_one({"_id": NAME})["spec"] | {"name": SECOND}}
    )
    computed = ("is_dos", "relaxation", "rs_dos", "prediction", "decision", "result")
    for chunk in in_chunks(store.candidates.find({"campaign": NAME}), 1000):
        fresh = [{key: value for key, value in found.items() if key not in computed} for found in chunk]
        changes = {"campaign": SECOND, "state": "new", "history": []}
        store.candidates.insert_many([{**each, **changes, "_id": f"{SECOND}-{each['_id']}"} for each in fresh])


if __name__ == "__main__":
    main()
