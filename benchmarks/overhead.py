"""What does a campaign cost beside its calculations, and how does that grow with the number of candidates?

(a) Seconds for each job of a no-op flow: one jobflow job that returns an output made up beforehand. Three ways in one
    run, each in this one process and with the same MongoDB:
    * `run_locally` of jobflow, one flow after the other;
    * FireWorks alone: the same flow as a workflow (jobflow's `flow_to_workflow`), `LaunchPad.add_wf`, `rapidfire`;
    * a campaign: its candidates are promoted, `submit_ready` writes their workflows, `rapidfire` runs each one's two
      fireworks (the calculation, and the one that records and submits what is due).
    For the campaign alone, this program puts the no-op flow in the place of atomate2's relaxation
    (`campaign.execution.calculation.flow_for`); all else is what a campaign does: ledger, JobStore, record, result
    against the hull. It gives seconds of submission, of both tasks and of FireWorks' launching.
(b) Seconds of submitting all candidates, of `campaign status` (its numbers, and the counts that `campaign run` takes
    every second), of `campaign reconcile`, of asking the budget at one launch, and of one record (the state moved, the
    campaign advanced) after an IS-DOS and after a relaxation, against the number of candidates. The campaign is in its
    middle: half of the IS-DOS have ended, a tenth of the candidates are relaxed, a hundred jobs run. Submission and
    reconcile should be linear or better, a record should cost about the same at any size, and 100,000 candidates should
    give their status in under 5 s.

    python benchmarks/overhead.py [--jobs 100] [--sizes 1000,4000,16000,50000,100000] [--cpu-hours 1e6] [--held]

With --cpu-hours the campaigns of (b) have a budget, which is then looked at at every launch; with --held they have
candidates besides that it does not allow. A mongod of its own on a free loopback port in a temporary folder.

2026-11-24, two cores shared with other work (load 4 to 8, so times vary by two), (a) of 100 jobs: run_locally 0.005 s,
FireWorks alone 0.066 s (add_wf 0.005, rapidfire 0.060), a campaign 0.170 s (submit 0.0007, calculate 0.041, record
0.042, FireWorks' launching of its two fireworks 0.086). (b):

                        seconds for all            milliseconds for each
    candidates  submit  counts  status  reconcile  submit  launch  IS-DOS record  relaxation record
          1000     0.6    0.02    0.04       0.06    0.63     0.0            9.0               12.9
          4000     2.3    0.03    0.06       0.10    0.58     0.0            7.2               12.4
         16000     7.4    0.06    0.18       0.21    0.46     0.0            8.4               15.3
         50000    36.2    0.59    1.89       0.67    0.72     0.0           17.1               34.2
        100000   206.4    0.68    1.23       0.52    2.06     0.0           10.9               19.9
Submitting 100,000 in a database of their own, under load 3: 0.52 to 0.72 ms each, from the first 10,000 to the last.
With --cpu-hours 1e6:
          1000     0.4    0.02    0.05       0.06    0.44     1.3            9.6               13.2
         16000    10.0    0.09    0.18       0.23    0.63    12.3           11.6               20.0
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RECORDS = 20
RUNNING = 100
ELEMENTS = ("Al", "Cu", "Ag", "Au", "Pd", "Pt", "Ni", "Ti", "Zr", "Nb")
PROTOTYPES = ("B1", "B2", "B3", "L1_0", "L1_2", "D0_3", "D0_22", "A15")


def no_op(output: dict[str, Any]) -> dict[str, Any]:
    """Return what was made up for it."""
    return output


def task_document(structure: dict[str, Any]) -> dict[str, Any]:
    """The part of emmet's TaskDoc that a campaign reads."""
    return {
        "state": "successful",
        "output": {"energy": -8.0, "structure": structure},
        "calcs_reversed": [{"vasp_version": "6.9.9-gpaw-benchmark"}],
        "custodian": [{"corrections": []}],
        "run_stats": {"overall": {"total_time": 1.0, "cores": 1}},
        "dir_name": "localhost:/nowhere",
    }


def no_op_flow(structure: dict[str, Any], key: str | None = None) -> Any:
    """A flow of one no-op job; with a key its uuid is the one that the campaign looks for."""
    from jobflow import Flow, job

    from workflows.identity import job_uuid

    # the importable function, whichever way this file was started
    made = job(importlib.import_module("benchmarks.overhead").no_op)(task_document(structure))
    made.name = "relaxation"
    if key is not None:
        made.set_uuid(job_uuid(f"{key}:relaxation"))
    return Flow([made], name="no-op")


@contextmanager
def in_a_folder() -> Iterator[None]:
    """Work in a temporary folder."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def seconds(call: Callable[[], Any]) -> float:
    """Wall time of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


# ---- (a)


def jobflow_alone(job_store: Any, structures: list[dict[str, Any]]) -> float:
    """Seconds for each flow of run_locally."""
    from jobflow import run_locally

    flows = [no_op_flow(structure) for structure in structures]
    with in_a_folder():
        took = seconds(lambda: [run_locally(flow, log=False, store=job_store, create_folders=True) for flow in flows])
    return took / len(flows)


def fireworks_alone(launchpad: Any, job_store: Any, structures: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds for each flow: adding it, and running it with rapidfire."""
    from jobflow.managers.fireworks import flow_to_workflow

    flows = [no_op_flow(structure) for structure in structures]
    added = seconds(lambda: [launchpad.add_wf(flow_to_workflow(flow, job_store)) for flow in flows])
    return {"submit": added / len(flows), "run": rapidfire(launchpad) / len(flows)}


def rapidfire(launchpad: Any) -> float:
    """Run all that is ready; return the seconds."""
    from fireworks import FWorker
    from fireworks.core.rocket_launcher import rapidfire as fire

    with in_a_folder():
        return seconds(lambda: fire(launchpad, FWorker(), nlaunches=0, sleep_time=-1, strm_lvl="ERROR"))


def ours(store: Any, launchpad: Any, number: int) -> dict[str, float]:
    """Seconds for each promoted candidate: submission, both tasks, and FireWorks' launching of both."""
    from campaign import firetasks
    from campaign.execution import calculation
    from campaign.execution.submission import submit_ready

    importlib.import_module("pymatgen.analysis.phase_diagram")  # takes seconds the first time
    name = campaign_with(store, launchpad, number, name="jobs")
    store.candidates.update_many({"campaign": name}, {"$set": {"state": "promoted"}})

    def flow_for(document: dict[str, Any], _spec: Any, stage: Any, **_more: Any) -> Any:
        key = calculation.flow_key(document["_id"], stage, document[stage.facts]["attempt"])
        return no_op_flow(document["structure"], key)

    calculation.flow_for = flow_for
    spent = {task: timed(getattr(firetasks, task)) for task in ("RunCalculation", "RecordCalculation")}
    submitted = seconds(lambda: submit_ready(store, launchpad, name))
    ran = rapidfire(launchpad)
    done = store.candidates.count_documents({"campaign": name, "result.stable": {"$in": [True, False]}})
    if done != number:
        raise SystemExit(f"{done} of {number} candidates have a result")
    found = {"submit": submitted / number, "run": ran / number}
    return found | {task: sum(times) / number for task, times in spent.items()}


def timed(task: Any) -> list[float]:
    """Have every run of a Firetask write its seconds into the list."""
    times: list[float] = []
    run_task = task.run_task

    def run(self: Any, fw_spec: dict[str, Any]) -> Any:
        began = time.perf_counter()
        try:
            return run_task(self, fw_spec)
        finally:
            times.append(time.perf_counter() - began)

    task.run_task = run
    return times


# ---- (b)


def campaign_with(store: Any, launchpad: Any, number: int, *, name: str, cpu_hours: float | None = None) -> str:
    """A campaign of so many screened candidates, with a reference set and a model; nothing is submitted."""
    from benchmarks.screening import multiply
    from campaign.decisions.references import freeze_reference_set
    from campaign.execution import start
    from campaign.loading import load_campaign
    from campaign.spec import CampaignSpec

    content = {
        "candidates": {"prototypes": list(PROTOTYPES), "elements": list(ELEMENTS), "max_candidates": number + 2},
        "dft": {"engine": "gpaw"},
        "model": {"bootstrap_size": 2},
        "policy": {"max_formation_energy": 0.0, "max_hull_energy": 20.0},
        "budget": {} if cpu_hours is None else {"cpu_hours": cpu_hours},
    }
    advance, start.advance = start.advance, lambda *_args, **_more: None
    try:
        start.start_campaign(store, launchpad, CampaignSpec.from_firework_spec({"campaign": content}, name=name))
    finally:
        start.advance = advance
    store.candidates.delete_many({"campaign": name, "role": "bootstrap"})
    multiply(store, name, number)
    ended = {"state": "relaxed", "relaxation.vasp_version": "6.9.9-gpaw-benchmark", "rs_dos.state": "done"}
    for phase in store.references.find({"campaign": name}, ["n_sites"]):
        energy = {"relaxation.energy": -3.0 * phase["n_sites"]}
        store.references.update_one({"_id": phase["_id"]}, {"$set": ended | energy})
    freeze_reference_set(store, load_campaign(store, name))
    divide_into_batches(store, name, load_campaign(store, name).spec.screening.batch_size)
    model = {"checksum": "0" * 64, "n_structures": 5, "source": "bootstrap", "representation": {}}
    store.campaigns.update_one({"_id": name}, {"$set": {"model": model, "models": [model]}})
    return name


def divide_into_batches(store: Any, name: str, size: int) -> None:
    """Number the batches anew: `multiply` copies the number with the candidate."""
    ids = [found["_id"] for found in store.candidates.find({"campaign": name}, ["_id"])]
    parts = [ids[start : start + size] for start in range(0, len(ids), size)]
    for number, part in enumerate(parts):
        store.candidates.update_many({"_id": {"$in": part}}, {"$set": {"batch": number}})
    sizes = {"batch_sizes": [len(part) for part in parts], "n_screened": len(ids)}
    store.campaigns.update_one({"_id": name}, {"$set": sizes})


def bring_to_the_middle(store: Any, launchpad: Any, name: str) -> None:
    """Of the candidates with a queued IS-DOS let the first half be through: rejected, relaxed, failed, relaxing.

    Documents, ledger and fireworks say so together.
    """
    found = list(store.candidates.find({"campaign": name}, ["dos.fw_id", "batch"]).sort("batch"))
    half = found[: len(found) // 2]
    for number in sorted({candidate["batch"] for candidate in half}):
        step = {"_id": f"{name}/screen/{number}", "campaign": name, "kind": "screen", "state": "done"}
        store.insert_missing(store.steps, [step])
    tenth = len(half) // 10
    parts = {
        "relaxed": half[: 2 * tenth],
        "dos_failed": half[2 * tenth : 3 * tenth],
        "promoted": half[3 * tenth : 4 * tenth],
        "rejected": half[4 * tenth :],
    }
    for state, part in parts.items():
        ids = [candidate["_id"] for candidate in part]
        store.candidates.update_many({"_id": {"$in": ids}}, {"$set": {"state": state, **fields_of(state)}})
    outcomes = dict.fromkeys(parts, "completed") | {"dos_failed": "science"}
    entries = [("dos", outcomes[state], candidate) for state, part in parts.items() for candidate in part]
    entries += [("relax", "completed", candidate) for candidate in parts["relaxed"]]
    add_to_ledger(store, name, entries)
    for start in range(0, len(half), 1000):
        ids = [
            each for found in half[start : start + 1000] for each in (found["dos"]["fw_id"], found["dos"]["fw_id"] + 1)
        ]
        launchpad.fireworks.update_many({"fw_id": {"$in": ids}}, {"$set": {"state": "COMPLETED"}})
        launchpad.workflows.update_many({"nodes": {"$in": ids}}, {"$set": {"state": "COMPLETED"}})
    let_run(launchpad, [candidate["dos"]["fw_id"] for candidate in found[-RUNNING:]])


def fields_of(state: str) -> dict[str, Any]:
    """What stands in a candidate's document beside its state."""
    from campaign.store import now

    if state == "dos_failed":
        return {"failure": {"stage": "dos", "kind": "science", "error": "made up", "time": now()}}
    promoted = state != "rejected"
    outcome = "promoted" if promoted else "rejected"
    found: dict[str, Any] = {
        "prediction": {"e_form": -0.1, "e_hull": 0.0, "model": "0" * 64},
        "decision": {"promoted": promoted, "audit": False, "outcome": outcome, "relax_cpu_s": 1000.0},
    }
    if state == "relaxed":
        found["relaxation.energy"] = -8.0
        found["result"] = {"e_form": -0.05, "e_hull": 0.05, "stable": True, "time": now()}
    return found


def add_to_ledger(store: Any, name: str, entries: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Write ended attempts, spread over the last two days."""
    from campaign.store import now

    time_now, step = now(), timedelta(days=2) / len(entries)
    documents = [
        {
            **{"_id": f"{name}.{n}", "campaign": name, "document": candidate["_id"], "stage": stage, "fw_id": -n},
            **{"outcome": outcome, "ended": time_now - n * step, "cpu_s": 100.0, "gpu_s": 0.0, "schema_version": 1},
        }
        for n, (stage, outcome, candidate) in enumerate(entries)
    ]
    store.attempts.insert_many(documents)


def let_run(launchpad: Any, fw_ids: list[int]) -> None:
    """Let fireworks run on some other host, from where nobody can tell whether they still do."""
    from datetime import UTC, datetime

    started = datetime.now(UTC).isoformat()
    for fw_id in fw_ids:
        launch = {"launch_id": -fw_id, "fw_id": fw_id, "state": "RUNNING", "host": "elsewhere", "time_start": started}
        launchpad.launches.insert_one(launch | {"fworker": {"name": "elsewhere"}, "state_history": []})
        changes = {"state": "RUNNING", "launches": [-fw_id]}
        launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": changes})


def hold_some(store: Any, name: str) -> None:
    """Let candidates that were rejected be held instead, and the next of them need more than any budget has."""
    held = [found["_id"] for found in store.candidates.find({"campaign": name, "state": "rejected"}, ["_id"])][::2]
    changes = {"state": "held", "decision.outcome": "held", "prediction.relax_cpu_s": 1e15}
    store.candidates.update_many({"_id": {"$in": held}}, {"$set": changes})
    store.campaigns.update_one({"_id": name}, {"$set": {"next_held_cpu_s": 1e15}})


def growth(store: Any, launchpad: Any, number: int, cpu_hours: float | None, held: bool) -> dict[str, float]:
    """Seconds of everything for a campaign of so many candidates."""
    from campaign.execution.reconcile import reconcile
    from campaign.execution.submission import submit_ready
    from campaign.views.status import campaign_status
    from campaign.views.status_report import status_report

    name = campaign_with(store, launchpad, number, name=f"size-{number}", cpu_hours=cpu_hours)
    found = {"submit": seconds(lambda: submit_ready(store, launchpad, name))}
    bring_to_the_middle(store, launchpad, name)
    if held:
        hold_some(store, name)
    submit_ready(store, launchpad, name)  # the relaxations
    found["counts"] = best_of(lambda: campaign_status(store, name))
    found["status"] = best_of(lambda: status_report(store, name))
    found["reconcile"] = best_of(lambda: reconcile(store, launchpad, name))
    found["launch"] = launch(store, name)
    found["dos record"] = record(store, launchpad, name, "dos_running", "dos_done", {})
    found["relax record"] = record(store, launchpad, name, "relax_running", "relaxed", {"relaxation.energy": -8.0})
    return found


def launch(store: Any, name: str) -> float:
    """Mean seconds of asking the budget when a relaxation is about to begin."""
    from campaign.execution.held import hold_at_launch
    from campaign.loading import load_campaign
    from campaign.stages import STAGES

    campaign = load_campaign(store, name)
    found = list(store.candidates.find({"campaign": name, "state": "relax_running"}).limit(RECORDS))
    return seconds(lambda: [hold_at_launch(store, campaign, each, STAGES["relax"]) for each in found]) / len(found)


def best_of(call: Callable[[], Any]) -> float:
    """The lesser of two times: the first may have to read from disk."""
    return min(seconds(call) for _ in range(2))


def record(store: Any, launchpad: Any, name: str, state: str, to: str, changes: dict[str, Any]) -> float:
    """Mean seconds for moving a candidate and advancing the campaign, as the recording firework does."""
    from campaign.execution.advance import advance
    from campaign.stages import STAGES

    stage = STAGES["dos" if to == "dos_done" else "relax"]
    found = list(store.candidates.find({"campaign": name, "state": state}, ["batch"]).limit(RECORDS + 1))
    took = []
    for candidate in found:
        began = time.perf_counter()
        store.move(candidate["_id"], stage, to=to, changes=changes)
        advance(store, launchpad, name, batch=candidate["batch"])
        took.append(time.perf_counter() - began)
    return sum(took[1:]) / len(took[1:])


def main() -> None:
    """Measure and print."""
    from benchmarks.screening import mongod
    from campaign.execution.fireworks import initialise_launchpad
    from campaign.store import CampaignStore
    from launchers.database import DatabaseSettings

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--sizes", default="1000,4000,16000,50000,100000", help="for (b); a campaign each")
    parser.add_argument("--cpu-hours", type=float, default=None, help="budget of the campaigns of (b)")
    parser.add_argument("--held", action="store_true", help="with --cpu-hours: candidates that it does not allow")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with mongod() as file:
        settings = DatabaseSettings.from_file(file)
        launchpad = settings.launchpad(strm_lvl="ERROR")
        initialise_launchpad(launchpad)
        store = CampaignStore(launchpad.db)
        if options.jobs:
            compare(store, launchpad, settings, options.jobs)
        print("(b)                 seconds for all            milliseconds for each")
        print("    candidates  submit  counts  status  reconcile  submit  launch  IS-DOS record  relaxation record")
        for size in [int(size) for size in options.sizes.split(",") if size]:
            found = growth(store, launchpad, size, options.cpu_hours, options.held)
            each = {key: 1e3 * found[key] for key in ("launch", "dos record", "relax record")}
            print(
                f"    {size:10d} {found['submit']:7.1f} {found['counts']:7.2f} {found['status']:7.2f} "
                f"{found['reconcile']:10.2f} {1e3 * found['submit'] / size:7.2f} {each['launch']:7.1f} "
                f"{each['dos record']:14.1f} {each['relax record']:18.1f}",
                flush=True,
            )


def compare(store: Any, launchpad: Any, settings: Any, jobs: int) -> None:
    """Part (a)."""
    name = campaign_with(store, launchpad, jobs, name="structures")
    structures = [found["structure"] for found in store.candidates.find({"campaign": name}, ["structure"])]
    with settings.job_store() as job_store:
        alone = jobflow_alone(job_store, structures)
        bare = fireworks_alone(launchpad, job_store, structures)
    found = ours(store, launchpad, jobs)
    tasks = found["RunCalculation"] + found["RecordCalculation"]
    whole = found["submit"] + found["run"]
    print(f"(a) seconds for each of {jobs} no-op jobs")
    print(f"    jobflow run_locally:   {alone:.3f}")
    print(f"    FireWorks alone:       {bare['submit'] + bare['run']:.3f} (add_wf {bare['submit']:.3f}, ", end="")
    print(f"rapidfire {bare['run']:.3f})")
    print(f"    campaign:              {whole:.3f} (submit {found['submit']:.4f}, ", end="")
    print(f"calculate {found['RunCalculation']:.3f}, record {found['RecordCalculation']:.3f}, ", end="")
    print(f"FireWorks' launching of both {found['run'] - tasks:.3f})", flush=True)


if __name__ == "__main__":
    main()
