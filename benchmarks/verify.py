"""Measure time and memory of `campaign verify` for a finished campaign of many candidates.

    python benchmarks/verify.py [--candidates 100000]

The campaign is synthetic, complete and without errors: every candidate has its IS-DOS, prediction and decision, and one
in five is relaxed, with the corresponding workflows, ledger, features, outputs and GridFS files. The command runs in a
separate process. Features are small (1 kB instead of 100), since only their index is read. It uses a separate mongod on
a free loopback port in a temporary folder.

2026-12-01, two cores with ten other running processes (load 11; one run): 100,000 candidates (20,312 relaxed, 240,624
fireworks, 120,703 attempts, 220,312 outputs): 56.9 s of wall time, at most 629 MiB, no errors found. 300 candidates:
10.7 s and 261 MiB, due to Python and its packages.
"""

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.screening import fresh_store  # noqa: E402
from benchmarks.synthetic_campaign import campaign_with  # noqa: E402

NAME = "many"
RELAXED_SHARE = 5
CHUNKS = 4
CPU_S = 10.0


def main() -> None:
    """Write the campaign, and print time and memory of verifying it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", type=int, default=100_000)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with fresh_store() as (file, store, launchpad):
        began = time.perf_counter()
        make_finished(store, launchpad, options.candidates)
        print(f"{options.candidates} candidates made in {time.perf_counter() - began:.0f} s", flush=True)
        measure(file)


def measure(file: Path) -> None:
    """Run the command, and print its time, its peak memory and what it checked."""
    words = [str(Path(sys.executable).parent / "campaign"), "verify", NAME, "--json", "-l", str(file)]
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    seconds = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    found = json.loads(done.stdout) if done.stdout else {"findings": done.stderr}
    print(f"campaign verify: {seconds:.1f} s, {peak_mb:.0f} MiB at most, exit code {done.returncode}")
    print(
        f"    checked {found.get('looked_at')}, {len(found['findings'])} findings {found['findings'][:3]}", flush=True
    )


def make_finished(store: Any, launchpad: Any, number: int) -> None:
    """Write a complete, finished campaign."""
    from campaign.scheduling.submit import submit_ready
    from campaign.store.campaigns import OpenCampaign

    campaign_with(store, launchpad, number, name=NAME)
    keep_model(store)
    store.references.update_many(
        {"campaign": NAME}, {"$set": {"rs_dos.energy": -3.0, "relaxation.structure": STRUCTURE}}
    )
    submit_ready(OpenCampaign.open(store, launchpad, NAME))  # IS-DOS
    complete(store, "dos", number)
    decide(store, OpenCampaign.open(store, launchpad, NAME))
    submit_ready(OpenCampaign.open(store, launchpad, NAME))  # relaxations
    complete(store, "relax", number)
    launchpad.fireworks.update_many({"spec.campaign_name": NAME}, {"$set": {"state": "COMPLETED"}})
    launchpad.workflows.update_many({"metadata.campaign": NAME}, {"$set": {"state": "COMPLETED"}})
    store.campaigns.update_one({"_id": NAME}, {"$set": {"state": "finished", "summary": {"cpu_s": {}}}})


STRUCTURE = {"@class": "Structure", "@module": "pymatgen.core.structure"}


def keep_model(store: Any) -> None:
    """Store the model of the campaign, with the size of a bundle of two GridFS chunks."""
    from gridfs import GridFSBucket

    checksum = store.campaigns.find_one({"_id": NAME})["model"]["checksum"]
    file = GridFSBucket(store.database, bucket_name="bundles").upload_from_stream("model", bytes(300_000))
    store.models.insert_one({"_id": checksum, "file": file})


def complete(store: Any, stage_name: str, number: int) -> None:
    """Complete all running calculations of a stage: documents, ledger, outputs, features."""
    from pymongo import UpdateOne

    from campaign.store.collections import history_entry, in_chunks
    from campaign.store.states import STAGES

    stage = STAGES[stage_name]
    running = store.candidates.find({"campaign": NAME, "state": stage.running}, [stage.fields, "n_sites"])
    for chunk in in_chunks(running, 2000):
        updates = []
        for document in chunk:
            facts = {f"{stage.fields}.energy": -3.0 * document["n_sites"]}
            if stage_name == "relax":
                result = {"e_form_per_atom": 0.0, "e_above_hull": 0.0, "stable": True}
                facts |= {"relaxation.structure": STRUCTURE, "result": result | reference_set(store)}
            change = {"$set": {"state": stage.done, **facts}, "$push": {"history": history_entry(stage, stage.done)}}
            updates.append(UpdateOne({"_id": document["_id"]}, change))
        store.candidates.bulk_write(updates, ordered=False)
        store.attempts.insert_many(entries(chunk, stage))
        insert_data(store, chunk, stage)


def reference_set(store: Any) -> dict[str, str]:
    """Return the field that names the frozen reference set."""
    return {"reference_set": store.campaigns.find_one({"_id": NAME}, ["reference_set"])["reference_set"]}


def entries(documents: list[dict[str, Any]], stage: Any) -> Iterator[dict[str, Any]]:
    """Yield successful attempts."""
    from campaign.store.collections import now

    for document in documents:
        fw_id = document[stage.fields]["fw_id"]
        about = {"_id": f"{fw_id}.1", "campaign": NAME, "document": document["_id"], "stage": stage.name}
        yield about | {"fw_id": fw_id, "outcome": "completed", "cpu_s": CPU_S, "started": now(), "ended": now()}


def insert_data(store: Any, documents: list[dict[str, Any]], stage: Any) -> None:
    """Insert the results of the calculations into the JobStore, GridFS and the features."""
    from bson import ObjectId

    from campaign.attempts.outputs import uuids_of_try

    outputs, files, chunks, features = [], [], [], []
    for document in documents:
        uuids = list(uuids_of_try(document["_id"], stage, document[stage.fields]["attempt"]).values())
        outputs += [{"uuid": uuid, "index": 1, "output": {}} for uuid in uuids]
        if stage.name == "dos":
            file = ObjectId()
            files.append({"_id": file, "length": CHUNKS * 1000, "chunkSize": 1000, "metadata": {"job_uuid": uuids[0]}})
            chunks += [{"files_id": file, "n": n, "data": bytes(1000)} for n in range(CHUNKS)]
            about = {"_id": f"{document['_id']}:dos", "campaign": NAME, "document": document["_id"]}
            features.append(about | {"data": bytes(1000)})
    database = store.database
    database["outputs"].create_index([("uuid", 1), ("index", -1)])
    database["data.chunks"].create_index([("files_id", 1), ("n", 1)], unique=True)
    for collection, made in (("outputs", outputs), ("data.files", files), ("data.chunks", chunks)):
        if made:
            database[collection].insert_many(made)
    if features:
        store.features.insert_many(features)


def decide(store: Any, campaign: Any) -> None:
    """Predict and decide like Screens, promoting one candidate in `RELAXED_SHARE`."""
    from campaign.steps.decide import make_decisions
    from campaign.store.collections import now
    from campaign.store.fireworks import next_fw_ids
    from campaign.store.steps import Step

    fields = ["_id", "batch"]
    n_batches = len(campaign.document["batch_sizes"])
    for batch, fw_id in zip(range(n_batches), next_fw_ids(campaign.launchpad, n_batches), strict=False):
        step = Step.screen(NAME, batch)
        store.steps.insert_one(
            {"_id": step.id, "campaign": NAME, "kind": "screen", "batch": batch, "state": "done", "fw_id": fw_id}
        )
        done = {"_id": f"{fw_id}.1", "campaign": NAME, "document": None, "stage": "screen", "fw_id": fw_id}
        store.attempts.insert_one(done | {"outcome": "completed", "cpu_s": CPU_S, "ended": now()})
        ids = [found["_id"] for found in store.candidates.find({"campaign": NAME, "batch": batch}, fields).sort("_id")]
        for promoted in (True, False):
            part = [name for place, name in enumerate(ids) if (place % RELAXED_SHARE == 0) == promoted]
            e_form = -0.1 if promoted else 0.1
            prediction = {"e_form_per_atom": e_form, "e_above_hull": 0.0, "uncertainty": None, "novel": False}
            prediction |= {
                "model": campaign.model_checksum,
                "step": step.id,
                "relax_cpu_s": 100.0,
                **reference_set(store),
            }
            store.candidates.update_many({"_id": {"$in": part}}, {"$set": {"prediction": prediction}})
        make_decisions(campaign, step.id)


if __name__ == "__main__":
    main()
