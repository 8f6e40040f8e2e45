"""Measure the cost of a Screen relative to the bare network, its scaling, and the speed of submitting workflows.

(a) Structures per second of the whole Screen step (features from MongoDB, a Ray actor, hull distances, decisions,
    writing promotions) with one actor, compared with ``model.predict_on_batch`` of the same network on arrays in
    memory, in a process with the same number of threads. The ratio should be at least 0.8. The start of the actor
    (loading TensorFlow) is part of the step, and is also given separately.
(b) Wall time and peak memory of the step as functions of the number of candidates; they should be linear and constant.
(c) Time per workflow for submitting the workflows of all candidates (documents and fireworks in transactions), compared
    with ``LaunchPad.add_wf`` in a loop for half a minute. The ratio should be at least 10.

    python benchmarks/screening.py [--candidates 22709] [--widths 32,64,128,256] [--sizes 1000,10000,100000]

It uses a separate mongod on a free loopback port in a temporary folder. The candidates are those of a real campaign
file (shipped prototypes, elements); `DIFFERENT` synthetic DOS (`esnet.dataset.synthetic`) are shared among them, and
the network has been trained on these for an epoch.

2026-11-29, two cores, 22,709 candidates, widths 32,64,128,256 (a quarter of the paper's parameters), two runs: bare 538
and 536 structures/s before and after, the whole step 431 (52.7 s, including about 7 s until the first batch of the
actor, and 3 s for decisions), ratio 0.80; bare 522 and 546, the whole step 438, ratio 0.82. The start of the actor
takes the same time for every network: with widths 16,32,64,128 (29 s, before that start was accelerated), the ratio was
0.48. A batch with folded normalisations is 1.10 and 1.09 times as fast. Submitting 22,756 workflows took 0.32 and 0.33
ms each, LaunchPad.add_wf 4.3 and 4.4 ms: ratio 13.2 both times.
2026-12-01, another machine with two cores, before (e398491) and after (15bf40c) the code was rearranged, one run each:
ratio 0.78 and 0.76, the whole step 410 and 420 structures/s, bare 521 to 529 and 540 to 561. Submitting 0.34 and 0.50
ms, ratio 13.4 and 8.4; the second was run in the first minutes of the machine, and two more runs with 12,000 candidates
gave 0.30 and 0.33 ms, ratio 12 to 14: equal within noise.
(b), the same network: 1,000 candidates 8.4 s and 478 MB, 10,000 27.2 s and 478 MB, 100,000 222.0 s and 833 MB: linear
in time; about 4 kB of memory per candidate, since the decisions of a Screen are made together.
"""

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from campaign.store.campaigns import Campaign, OpenCampaign

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ[_name] = "1"

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.synthetic_network import DIFFERENT, bare, folding, synthetic, train_one  # noqa: E402

__all__ = ["bare", "folding", "screen", "train_one"]  # each is called in a separate process

ELEMENTS = (
    *("Li", "Be", "Na", "Mg", "Al", "Si", "K", "Ca", "Sc", "Ti", "V", "Cr", "Fe", "Co", "Ni", "Cu", "Zn", "Ge"),
    *("Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Cs", "Ba", "Hf", "Ta", "W"),
    *("Re", "Os", "Ir", "Pt", "Au", "Tl", "Pb", "Bi", "Sb"),
)
PROTOTYPES = (
    "B1",
    "B2",
    "B3",
    "B4",
    "B8_1",
    "B19",
    "L1_0",
    "L1_2",
    "D0_3",
    "D0_19",
    "D0_22",
    "A15",
    "C11_b",
    "C14",
    "C15",
)


@contextmanager
def mongod() -> Iterator[Path]:
    """Start a mongod, and yield the path of its my_launchpad.yaml."""
    from launchers.database.settings import DatabaseSettings
    from launchers.mongod import server as mongo

    with tempfile.TemporaryDirectory(prefix="screening-") as folder, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.close()
        file = Path(folder) / "my_launchpad.yaml"
        file.write_text(f"uri_mode: true\nhost: mongodb://127.0.0.1:{port}/bench?replicaSet=rs0\nname: bench\n")
        data = Path(folder) / "mongodb"
        mongo.start(DatabaseSettings.from_file(file), data_dir=data)
        try:
            yield file
        finally:
            mongo.stop(data)


@contextmanager
def fresh_store() -> Iterator[tuple[Path, Any, Any]]:
    """Start a mongod, and yield its my_launchpad.yaml, the store of campaigns, and an initialised LaunchPad."""
    from campaign.store.collections import CampaignStore
    from campaign.store.fireworks import initialise_launchpad
    from launchers.database.settings import DatabaseSettings

    with mongod() as file:
        launchpad = DatabaseSettings.from_file(file).launchpad(strm_lvl="ERROR")
        initialise_launchpad(launchpad)
        yield file, CampaignStore(launchpad.db), launchpad


def multiply(store: Any, name: str, number: int) -> None:
    """Copy candidates under new ids until there are enough; the real prototypes and elements give about 22,709."""
    originals = list(store.candidates.find({"campaign": name, "role": "screened"}))
    missing = number - len(originals)
    for copy in range(1, 2 + missing // len(originals)):
        part = originals[: min(len(originals), missing - (copy - 1) * len(originals))]
        if part:
            store.candidates.insert_many([{**found, "_id": f"{found['_id']}-{copy}"} for found in part])


def start(store: Any, launchpad: Any, name: str, number: int) -> tuple[float, int]:
    """Start a campaign with this many candidates; return the time of submission in s, and the number of workflows."""
    from campaign.scheduling.submit import submit_ready
    from campaign.spec.reader import read_firework_spec
    from campaign.steps.start import write_campaign

    content = {
        "candidates": {"prototypes": list(PROTOTYPES), "elements": list(ELEMENTS), "max_candidates": number + 2},
        "dft": {"engine": "gpaw"},
        "model": {"bootstrap_size": 2},
        "screening": {"batch_size": number},
        "policy": {"max_formation_energy": 0.0, "max_hull_energy": 20.0},
    }
    spec = read_firework_spec({"campaign": content}, name=name)
    # the documents are written first, so that only the submission is timed
    write_campaign(store, spec)
    multiply(store, name, number)
    began = time.perf_counter()
    submitted = submit_ready(OpenCampaign.open(store, launchpad, name))
    return time.perf_counter() - began, submitted


def add_in_a_loop(launchpad: Any, store: Any, name: str, seconds: float) -> float:
    """Return the time per workflow of ``LaunchPad.add_wf`` for the same two fireworks, s."""
    from itertools import count

    from fireworks import Workflow

    from campaign.scheduling.workflows import stage_workflow
    from campaign.store.states import STAGES

    document = store.candidates.find_one({"campaign": name})
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        made = stage_workflow(document, STAGES["dos"], fw_ids=count(-1, -1))
        launchpad.add_wf(Workflow.from_dict({**made.workflow, "fws": made.fireworks}))
        done += 1
    return (time.perf_counter() - began) / done


def prepare(store: Any, name: str, bundle: Path) -> None:
    """Give every candidate an IS-DOS, the references synthetic energies, and the campaign its model."""
    from campaign.references.reference_sets import freeze_reference_set
    from campaign.store.models import model_summary, register_bundle
    from workflows.dos import DosFeatures

    encoded = [
        DosFeatures.encode(
            sample.dos, spacing=0.02, efermi=0.0, normalisation="atom", energy_reference="absolute"
        ).to_document()
        for sample in synthetic(DIFFERENT)
    ]
    chunk = []
    for place, found in enumerate(store.candidates.find({"campaign": name, "role": "screened"}, ["composition"])):
        facts = {"_id": f"{found['_id']}:dos", "campaign": name, "document": found["_id"], "kind": "dos"}
        chunk.append(encoded[place % DIFFERENT] | facts | {"composition": found["composition"]})
        if len(chunk) == 1000:
            store.features.insert_many(chunk, ordered=False)
            chunk = []
    if chunk:
        store.features.insert_many(chunk, ordered=False)
    store.candidates.update_many({"campaign": name, "role": "screened"}, {"$set": {"state": "dos_done"}})
    ended = {"state": "relaxed", "relaxation.vasp_version": "6.9.9-gpaw-benchmark", "rs_dos.state": "done"}
    for phase in store.references.find({"campaign": name}, ["n_sites"]):
        energy = {"relaxation.energy": -3.0 * phase["n_sites"]}
        store.references.update_one({"_id": phase["_id"]}, {"$set": ended | energy})
    store.candidates.update_many(
        {"campaign": name, "role": "bootstrap"},
        {"$set": ended | {"relaxation.energy": -8.0, "result": {"stable": False}}},
    )
    freeze_reference_set(Campaign.read(store, name))
    checksum = register_bundle(store, bundle)
    store.campaigns.update_one(
        {"_id": name}, {"$set": {"model": model_summary(store, checksum, source="bundle"), "models": []}}
    )


def screen(file: str, name: str) -> None:
    """Run the whole Screen step in this process, and print its time as JSON."""
    from campaign.steps.screen import screen_step
    from campaign.store.collections import CampaignStore
    from esnet.ray.session import ray_session
    from launchers.database.settings import DatabaseSettings

    database = DatabaseSettings.from_file(Path(file))
    launchpad = database.launchpad(strm_lvl="ERROR")
    store = CampaignStore(launchpad.db)
    store.steps.insert_one({"_id": f"{name}/screen/0", "campaign": name, "kind": "screen", "state": "submitted"})
    number = store.candidates.count_documents({"campaign": name, "state": "dos_done"})
    with ray_session("local"):
        started = time.perf_counter()
        screen_step(OpenCampaign.open(store, launchpad, name), database, f"{name}/screen/0", fw_id=0)
        wall = time.perf_counter() - started
    entry = store.attempts.find_one({"campaign": name, "stage": "screen"})
    decided = store.candidates.count_documents({"campaign": name, "decision": {"$exists": True}})
    if decided != number:
        raise SystemExit(f"{decided} of {number} candidates are decided on")
    print(
        json.dumps(
            {
                "structures": number,
                "wall_s": wall,
                "promoted": store.candidates.count_documents({"campaign": name, "decision.promoted": True}),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "cpu_s": entry["cpu_s"],
            }
        )
    )


def in_a_process(function: str, *arguments: Any) -> dict[str, Any]:
    """Call a function of this file in a new process, and return the JSON in the last line of its output."""
    root = str(Path(__file__).resolve().parents[1])
    code = f"from benchmarks.screening import {function}\n{function}(*{arguments!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{function} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def actor_start_s() -> float:
    """Return the time that a process needs to load everything that an actor loads, s."""
    code = (
        "import time; t = time.perf_counter(); import esnet.bundle.bundle, keras; keras.ops; "
        "print(time.perf_counter() - t)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def campaign_of(file: Path, name: str, number: int, bundle: Path) -> tuple[float, int, Any, Any]:
    """Write and prepare a campaign; return time and number of workflows of the submission, and its database."""
    from campaign.store.collections import CampaignStore
    from campaign.store.fireworks import initialise_launchpad
    from launchers.database.settings import DatabaseSettings

    launchpad = DatabaseSettings.from_file(file).launchpad(strm_lvl="ERROR")
    initialise_launchpad(launchpad)
    store = CampaignStore(launchpad.db)
    seconds, submitted = start(store, launchpad, name, number)
    prepare(store, name, bundle)
    return seconds, submitted, store, launchpad


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=22_709)
    parser.add_argument("--widths", default="32,64,128,256")
    parser.add_argument("--sizes", default="1000,10000,100000", help="for (b); a campaign each")
    options = parser.parse_args()
    widths = tuple(int(width) for width in options.widths.split(","))
    with mongod() as file:
        bundle = Path(in_a_process("train_one", str(file.parent / "bundle"), widths)["bundle"])
        name = "screened"
        seconds, submitted, store, launchpad = campaign_of(file, name, options.candidates, bundle)
        loop = add_in_a_loop(launchpad, store, name, 30.0)
        before = in_a_process("bare", str(bundle), options.candidates)
        step = in_a_process("screen", str(file), name)
        after = in_a_process("bare", str(bundle), options.candidates)
        per_s, bare_per_s = step["structures"] / step["wall_s"], (before["per_s"] + after["per_s"]) / 2
        print(f"(a) {step['structures']} candidates, network {options.widths}, one actor, one thread")
        print(f"    bare predict_on_batch: {before['per_s']:.1f} and {after['per_s']:.1f} structures/s")
        print(
            f"    whole Screen step:     {per_s:.1f} structures/s ({step['wall_s']:.1f} s, {step['promoted']} promoted)"
        )
        print(f"    ratio {per_s / bare_per_s:.2f}; loading TensorFlow and Keras alone takes {actor_start_s():.1f} s")
        folded = in_a_process("folding", str(bundle))["ratio"]
        print(f"    a batch of the network as it predicts (normalisations folded away) is {folded:.2f} times as fast")
        print(f"(c) submitting {submitted} workflows: {seconds:.1f} s, {1e3 * seconds / submitted:.2f} ms each")
        print(f"    LaunchPad.add_wf in a loop: {1e3 * loop:.2f} ms each; ratio {loop * submitted / seconds:.1f}")
        print("(b) candidates   wall s   ms each   peak MB of the Screen   CPU-s with the actor")
        for size in [int(size) for size in options.sizes.split(",") if size]:
            campaign_of(file, f"size-{size}", size, bundle)
            found = in_a_process("screen", str(file), f"size-{size}")
            print(
                f"    {found['structures']:10d} {found['wall_s']:8.1f} {1e3 * found['wall_s'] / size:9.2f} "
                f"{found['peak_mb']:23.0f} {found['cpu_s']:22.0f}"
            )


if __name__ == "__main__":
    main()
