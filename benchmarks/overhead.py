"""Measure the overhead of a campaign, and how it grows with the number of candidates.

(a) Seconds per job of a no-op flow, i.e. one jobflow job that returns an output prepared beforehand. Three methods are
    compared in one run, in the same process and with the same MongoDB:
    * jobflow's `run_locally`, one flow after the other;
    * FireWorks alone: the same flow as a workflow (jobflow's `flow_to_workflow`), `LaunchPad.add_wf`, `rapidfire`;
    * a campaign: its candidates are promoted, `submit_ready` writes their workflows, and `rapidfire` runs the two
      fireworks of each (the calculation, and the one that records it and submits what is due).
    For the campaign, atomate2's relaxation is replaced by the no-op flow (`campaign.steps.calculate.flow_for`);
    everything else is as in a real campaign: ledger, JobStore, record, result relative to the hull. Times are given for
    submission, for both tasks and for launching by FireWorks.
(b) Times of submitting all candidates, of `campaign status` (its numbers, and the counts that `campaign run` takes
every
    second), of `campaign reconcile`, of checking the budget at a launch, and of one record (changing the state and
    advancing the campaign) after an IS-DOS and after a relaxation, as functions of the number of candidates. The
    campaign is half finished: half of the IS-DOS are done, a tenth of the candidates are relaxed, and a hundred jobs
    are running. Submission and reconcile should scale linearly or better, a record should take about the same time at
    any size, and the status of 100,000 candidates should take less than 5 s.

    python benchmarks/overhead.py [--jobs 100] [--sizes 1000,4000,16000,50000,100000] [--cpu-hours 1e6] [--held]

With --cpu-hours, the campaigns of (b) have a budget, which is checked at every launch; with --held, they also have
candidates that it does not allow. It uses a separate mongod on a free loopback port in a temporary folder.

2026-11-24, two cores shared with other work (load 4 to 8, so times vary by a factor of two), (a) with 100 jobs:
run_locally 0.005 s, FireWorks alone 0.066 s (add_wf 0.005, rapidfire 0.060), a campaign 0.170 s (submit 0.0007,
calculate 0.041, record 0.042, FireWorks' launching of its two fireworks 0.086). (b):

                        seconds for all            milliseconds for each
    candidates  submit  counts  status  reconcile  submit  launch  IS-DOS record  relaxation record
          1000     0.6    0.02    0.04       0.06    0.63     0.0            9.0               12.9
          4000     2.3    0.03    0.06       0.10    0.58     0.0            7.2               12.4
         16000     7.4    0.06    0.18       0.21    0.46     0.0            8.4               15.3
         50000    36.2    0.59    1.89       0.67    0.72     0.0           17.1               34.2
        100000   206.4    0.68    1.23       0.52    2.06     0.0           10.9               19.9
Submitting 100,000 in a separate database, under load 3: 0.52 to 0.72 ms each, from the first 10,000 to the last.
With --cpu-hours 1e6:
          1000     0.4    0.02    0.05       0.06    0.44     1.3            9.6               13.2
         16000    10.0    0.09    0.18       0.23    0.63    12.3           11.6               20.0
"""

import argparse
import importlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from campaign.store.campaigns import Campaign, OpenCampaign
from launchers.database.job_store import open_job_store

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.synthetic_campaign import bring_to_the_middle, campaign_with, hold_some  # noqa: E402

RECORDS = 20


def no_op(output: dict[str, Any]) -> dict[str, Any]:
    """Return the prepared output."""
    return output


def task_document(structure: dict[str, Any]) -> dict[str, Any]:
    """Return the part of emmet's TaskDoc that a campaign reads."""
    return {
        "state": "successful",
        "output": {"energy": -8.0, "structure": structure},
        "calcs_reversed": [{"vasp_version": "6.9.9-gpaw-benchmark"}],
        "custodian": [{"corrections": []}],
        "run_stats": {"overall": {"total_time": 1.0, "cores": 1}},
        "dir_name": "localhost:/nowhere",
    }


def no_op_flow(structure: dict[str, Any], key: str | None = None) -> Any:
    """Return a flow of one no-op job; with a key, its uuid is the one that the campaign expects."""
    from jobflow import Flow, job

    from workflows.identity import job_uuid

    # the importable function, regardless of how this file was started
    made = job(importlib.import_module("benchmarks.overhead").no_op)(task_document(structure))
    made.name = "relaxation"
    if key is not None:
        made.set_uuid(job_uuid(f"{key}:relaxation"))
    return Flow([made], name="no-op")


@contextmanager
def in_a_folder() -> Iterator[None]:
    """Change to a temporary folder inside the block."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def seconds(call: Callable[[], Any]) -> float:
    """Return the wall time of a call, s."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


# ---- (a)


def jobflow_alone(job_store: Any, structures: list[dict[str, Any]]) -> float:
    """Return the seconds per flow with run_locally."""
    from jobflow import run_locally

    flows = [no_op_flow(structure) for structure in structures]
    with in_a_folder():
        took = seconds(lambda: [run_locally(flow, log=False, store=job_store, create_folders=True) for flow in flows])
    return took / len(flows)


def fireworks_alone(launchpad: Any, job_store: Any, structures: list[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds per flow for adding it, and for running it with rapidfire."""
    from jobflow.managers.fireworks import flow_to_workflow

    flows = [no_op_flow(structure) for structure in structures]
    added = seconds(lambda: [launchpad.add_wf(flow_to_workflow(flow, job_store)) for flow in flows])
    return {"submit": added / len(flows), "run": rapidfire(launchpad) / len(flows)}


def rapidfire(launchpad: Any) -> float:
    """Run everything that is ready, and return the seconds."""
    from fireworks import FWorker
    from fireworks.core.rocket_launcher import rapidfire as fire

    with in_a_folder():
        return seconds(lambda: fire(launchpad, FWorker(), nlaunches=0, sleep_time=-1, strm_lvl="ERROR"))


def ours(store: Any, launchpad: Any, number: int) -> dict[str, float]:
    """Return the seconds per promoted candidate for submission, for each task, and for launching by FireWorks."""
    from campaign import firetasks
    from campaign.scheduling.submit import submit_ready
    from campaign.steps import calculate

    importlib.import_module("pymatgen.analysis.phase_diagram")  # the first import takes seconds
    name = campaign_with(store, launchpad, number, name="jobs")
    store.candidates.update_many({"campaign": name}, {"$set": {"state": "promoted"}})

    def flow_for(document: dict[str, Any], _spec: Any, stage: Any, **_more: Any) -> Any:
        key = calculate.flow_key(document["_id"], stage, document[stage.fields]["attempt"])
        return no_op_flow(document["structure"], key)

    calculate.flow_for = flow_for
    spent = {task: timed(getattr(firetasks, task)) for task in ("RunCalculation",)}
    submitted = seconds(lambda: submit_ready(OpenCampaign.open(store, launchpad, name)))
    ran = rapidfire(launchpad)
    done = store.candidates.count_documents({"campaign": name, "result.stable": {"$in": [True, False]}})
    if done != number:
        raise SystemExit(f"{done} of {number} candidates have a result")
    found = {"submit": submitted / number, "run": ran / number}
    return found | {task: sum(times) / number for task, times in spent.items()}


def timed(task: Any) -> list[float]:
    """Return a list to which every run of a Firetask appends its seconds."""
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


def growth(store: Any, launchpad: Any, number: int, cpu_hours: float | None, held: bool) -> dict[str, float]:
    """Measure all times of (b) for a campaign with the given number of candidates, s."""
    from campaign.recovery.reconcile import reconcile
    from campaign.scheduling.submit import submit_ready
    from campaign.views.status.counts import campaign_status
    from campaign.views.status.report import status_report

    name = campaign_with(store, launchpad, number, name=f"size-{number}", cpu_hours=cpu_hours)
    found = {"submit": seconds(lambda: submit_ready(OpenCampaign.open(store, launchpad, name)))}
    bring_to_the_middle(store, launchpad, name)
    if held:
        hold_some(store, name)
    submit_ready(OpenCampaign.open(store, launchpad, name))  # the relaxations
    found["counts"] = best_of(lambda: campaign_status(Campaign.read(store, name)))
    found["status"] = best_of(lambda: status_report(Campaign.read(store, name)))
    found["reconcile"] = best_of(lambda: reconcile(OpenCampaign.open(store, launchpad, name)))
    found["launch"] = launch(store, name)
    found["dos record"] = record(store, launchpad, name, "dos_running", "dos_done", {})
    found["relax record"] = record(store, launchpad, name, "relax_running", "relaxed", {"relaxation.energy": -8.0})
    return found


def launch(store: Any, name: str) -> float:
    """Return the mean time of checking the budget before a relaxation, s."""
    from campaign.budget.at_launch import hold_at_launch
    from campaign.store.states import STAGES

    campaign = Campaign.read(store, name)
    found = list(store.candidates.find({"campaign": name, "state": "relax_running"}).limit(RECORDS))
    return seconds(lambda: [hold_at_launch(campaign, each, STAGES["relax"]) for each in found]) / len(found)


def best_of(call: Callable[[], Any]) -> float:
    """Return the smaller of two times, since the first call may have to read from disk."""
    return min(seconds(call) for _ in range(2))


def record(store: Any, launchpad: Any, name: str, state: str, to: str, changes: dict[str, Any]) -> float:
    """Return the mean time of changing a state and advancing the campaign, as the recording firework does, s."""
    from campaign.scheduling.advance import advance
    from campaign.store.states import STAGES

    stage = STAGES["dos" if to == "dos_done" else "relax"]
    found = list(store.candidates.find({"campaign": name, "state": state}, ["batch"]).limit(RECORDS + 1))
    took = []
    for candidate in found:
        began = time.perf_counter()
        store.move(candidate["_id"], stage, to=to, changes=changes)
        advance(OpenCampaign.open(store, launchpad, name), batch=candidate["batch"])
        took.append(time.perf_counter() - began)
    return sum(took[1:]) / len(took[1:])


def main() -> None:
    """Measure and print."""
    from benchmarks.screening import fresh_store
    from launchers.database.settings import DatabaseSettings

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--sizes", default="1000,4000,16000,50000,100000", help="for (b); a campaign each")
    parser.add_argument("--cpu-hours", type=float, default=None, help="budget of the campaigns of (b)")
    parser.add_argument("--held", action="store_true", help="with --cpu-hours: candidates that it does not allow")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with fresh_store() as (file, store, launchpad):
        settings = DatabaseSettings.from_file(file)
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
    """Run and print part (a)."""
    name = campaign_with(store, launchpad, jobs, name="structures")
    structures = [found["structure"] for found in store.candidates.find({"campaign": name}, ["structure"])]
    with open_job_store(settings) as job_store:
        alone = jobflow_alone(job_store, structures)
        bare = fireworks_alone(launchpad, job_store, structures)
    found = ours(store, launchpad, jobs)
    tasks = found["RunCalculation"]
    whole = found["submit"] + found["run"]
    print(f"(a) seconds for each of {jobs} no-op jobs")
    print(f"    jobflow run_locally:   {alone:.3f}")
    print(f"    FireWorks alone:       {bare['submit'] + bare['run']:.3f} (add_wf {bare['submit']:.3f}, ", end="")
    print(f"rapidfire {bare['run']:.3f})")
    print(f"    campaign:              {whole:.3f} (submit {found['submit']:.4f}, ", end="")
    print(f"calculate and record {found['RunCalculation']:.3f}, ", end="")
    print(f"FireWorks' launching {found['run'] - tasks:.3f})", flush=True)


if __name__ == "__main__":
    main()
