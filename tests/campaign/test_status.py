"""`campaign status`: its numbers are those of the documents, in the picture as in the JSON, whatever the state."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from math import nan, sqrt

import bson
import pytest
from fireworks import FWorker
from prepared import BATCHES, with_model
from pseudo_terminal import PseudoTerminal
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.running_campaign import start_campaign
from campaign.store.campaigns import Campaign, UnknownCampaignError
from campaign.store.collections import now
from campaign.views.metrics.campaign_metrics import campaign_metrics
from campaign.views.status.counts import campaign_status
from campaign.views.status.progress import format_progress
from campaign.views.status.report import status_report
from campaign.views.status.run_view import RunWatch

pytestmark = pytest.mark.mongo

COMMAND = (sys.executable, "-c", "from campaign.cli.main import main; main()")
MODEL, EARLIER = "0" * 64, "1" * 64


@pytest.fixture
def run(monkeypatch, launchpad_file):
    """Function that runs `campaign status small` and returns what it prints, JSON as objects."""
    monkeypatch.chdir(launchpad_file.parent)

    def call(*options):
        done = CliRunner().invoke(app, ["status", "small", *options], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.output) if "--json" in options else done.output

    return call


def words(printed):
    return " ".join(printed.split())


def ledger(store, entries):
    """Attempts (stage, outcome, hours since its end, CPU-s)."""
    store.attempts.insert_many(
        {
            **{"_id": f"made-up.{n}", "campaign": "small", "document": f"d{n}", "stage": stage, "fw_id": -n},
            **{"outcome": outcome, "ended": now() - timedelta(hours=hours), "cpu_s": cpu_s, "gpu_s": 0.0},
        }
        for n, (stage, outcome, hours, cpu_s) in enumerate(entries)
    )


def decided(state, *, promoted=True, e_form=None, stable=None, model=MODEL, hours=1.0, **more):
    """Fields of a candidate that was decided on; `e_form_per_atom` is predicted and calculated, eV/atom."""
    predicted, calculated = e_form or (-0.1, None)
    found = {
        "state": state,
        "prediction": {"e_form_per_atom": predicted, "e_above_hull": predicted, "model": model},
        "decision": {"promoted": promoted, "audit": False, "outcome": "promoted" if promoted else "rejected"},
        **more,
    }
    if stable is not None:
        result = {
            "e_form_per_atom": calculated,
            "e_above_hull": calculated,
            "stable": stable,
            "time": now() - timedelta(hours=hours),
        }
        found["result"] = result
    return found


def failure(stage, kind, hours, error="custodian gave up [VasprunErrorHandler]\nsecond line"):
    return {"final_failure": {"stage": stage, "kind": kind, "error": error, "time": now() - timedelta(hours=hours)}}


def made_up():
    """What becomes of the 16 screened candidates: 12 decided on, 8 promoted, 1 audited, 5 results, 2 stable."""
    return [
        decided("relaxed", e_form=(-0.30, -0.20), stable=True, hours=2.0),
        decided("relaxed", e_form=(-0.10, 0.10), stable=False, model=EARLIER),
        decided("relaxed", e_form=(-0.20, -0.30), stable=True, hours=30.0),
        decided("relaxed", e_form=(-0.50, 0.20), stable=False),
        # of the audit; without a prediction, so it is in no error
        decided("relaxed", promoted=False, e_form=(nan, 0.4), stable=False),
        decided("relax_failed", **failure("relax", "science", 1.0)),
        decided("relax_running"),
        decided("relax_running"),
        decided("promoted"),
        *[decided("rejected", promoted=False)] * 2,
        decided("held", promoted=False),
        {"state": "dos_done"},
        {"state": "dos_failed", **failure("dos", "machine", 3.0, error="killed")},
        {"state": "dos_running"},
        {"state": "new"},
    ]


@pytest.fixture
def campaign(store, launchpad, small_spec):
    """The campaign of `made_up`; the fireworks of its start are taken away."""
    budget = {"cpu_hours": 10.0, "dos_cpu_s": 10.0, "relax_cpu_s": 100.0}
    with_model(store, launchpad, small_spec(**BATCHES, budget=budget))
    launchpad.fireworks.delete_many({})
    launchpad.workflows.delete_many({})
    store.campaigns.update_one({"_id": "small"}, {"$set": {"created": now() - timedelta(days=3)}})
    ids = sorted(found["_id"] for found in store.candidates.find({"role": "screened"}, ["_id"]))
    for name, fields in zip(ids, made_up(), strict=True):
        store.candidates.update_one({"_id": name}, {"$set": fields})
    entries = [("dos", "completed", 2.0, 10.0)] * 12 + [("relax", "completed", 3.0, 600.0)] * 5
    entries += [("relax", "science", 5.0, 600.0), ("relax", "machine", 0.5, 300.0), ("dos", "lost", 20.0, None)]
    ledger(store, [*entries, ("dos", "completed", 50.0, 10.0), ("screen", "completed", 1.0, 3600.0)])
    return "small"


def numbers(report):
    return {step.key: step.number for step in report.funnel}


def test_the_funnel_counts_each_candidate_once_and_says_where_the_others_are(store, campaign):
    report = status_report(Campaign.read(store, campaign))
    expected = {"candidates": 16, "dos": 13, "decided": 12, "promoted": 8, "relaxed": 5, "stable": 2}
    assert numbers(report) == expected
    rest = {step.key: step.rest for step in report.funnel}
    assert rest["dos"] == {"waiting": 1, "queued or running": 1, "failed": 1}
    assert rest["decided"] == {"waiting for the Screen": 1}
    assert rest["promoted"] == {"rejected": 2, "held by the budget": 1, "relaxed for the audit": 1}
    assert rest["relaxed"] == {"waiting": 1, "queued or running": 2, "failed": 1}
    assert report.status.candidates == store.state_counts(campaign)
    assert (report.status.dos, report.status.promoted) == ({"done": 14, "all": 16}, {"done": 5, "all": 8})
    assert report.status.failures == {"machine": 1, "science": 1}


def test_rates_and_the_time_left_come_from_the_last_hours(store, campaign):
    report = status_report(Campaign.read(store, campaign))
    pace, left = report.pace, report.time_left
    # in the last hour too little ended to tell: 6 h it is, and what ended two days ago is in no rate
    assert pace.hours == 6.0
    assert pace.stages["dos"].per_hour == 12 / 6
    assert pace.stages["relax"].per_hour == 6 / 6
    assert (pace.stages["dos"].ended, pace.stages["dos"].failed) == (12, 1)
    assert (pace.stages["relax"].ended, pace.stages["relax"].failed) == (6, 2)
    assert pace.stages["dos"].mean_cpu_s == 130 / 13
    # failed attempts are part of what a relaxation costs
    relax = (6 * 600 + 300) / 6
    assert pace.stages["relax"].mean_cpu_s == relax
    rate = (12 * 10 + 6 * 600 + 300) / 3600 / 6
    assert pace.cpu_hours_per_hour == pytest.approx(rate)
    # 2 IS-DOS and 3 relaxations are certain; 9 of 12 that were decided on were relaxed, so of the next 3 likewise
    certain, to_come = (2 * 10 + 3 * relax) / 3600, (2 * 10 + (3 + 3 * 9 / 12) * relax) / 3600
    assert left.cpu_hours == pytest.approx(to_come)
    assert (left.hours, left.at_least_hours) == (pytest.approx(to_come / rate), pytest.approx(certain / rate))
    spent = (130 + 6 * 600 + 300 + 3600) / 3600
    assert report.budget.spent_cpu_hours == pytest.approx(spent)
    assert report.budget.left_cpu_hours == pytest.approx(10 - spent)
    # a budget that ends before the work does
    store.campaigns.update_one({"_id": campaign}, {"$set": {"budget": {"cpu_hours": spent + 0.1}}})
    shortened = status_report(Campaign.read(store, campaign)).time_left
    assert shortened.hours == pytest.approx(0.1 / rate)
    assert "the budget allows 0.1 of them" in shortened.how


@pytest.mark.parametrize(
    ("entries", "how"),
    [
        ([("dos", 4), ("relax", 6)], "fewer than 5 IS-DOS have finished"),
        ([("dos", 5), ("relax", 4)], "fewer than 5 relaxations have finished"),
        ([("dos", 5), ("relax", 5)], None),
    ],
)
def test_no_time_is_left_before_enough_has_ended_to_tell(store, campaign, run, entries, how):
    store.attempts.delete_many({})
    ledger(store, [(stage, "completed", 0.1, 10.0) for stage, number in entries for _ in range(number)])
    left = status_report(Campaign.read(store, campaign)).time_left
    if how is None:
        assert left.hours is not None
        return
    assert (left.hours, left.at_least_hours, left.how) == (None, None, how)
    assert f"time left not known yet: {how}" in words(run())
    assert " left" not in format_progress(RunWatch().look(Campaign.read(store, campaign)))


def test_where_nothing_ended_lately_the_time_left_is_unknown(store, campaign):
    report = status_report(Campaign.read(store, campaign), at=now() + timedelta(hours=48))
    assert (report.pace.hours, report.pace.cpu_hours_per_hour) == (None, None)
    assert (report.time_left.hours, report.time_left.how) == (None, "nothing finished in the last 24 h")
    assert report.pace.stages["dos"].per_hour == 0.0


def test_errors_of_predictions_leave_out_what_was_not_predicted(store, campaign):
    report = status_report(Campaign.read(store, campaign))
    errors = [-0.1, -0.2, 0.1, -0.7]
    every, latest = report.predictions, report.predictions_of_model
    assert (every.n, latest.n) == (4, 3)
    assert every.mae == pytest.approx(sum(map(abs, errors)) / 4)
    assert every.bias == pytest.approx(sum(errors) / 4)
    assert every.rmse == pytest.approx(sqrt(sum(error**2 for error in errors) / 4))
    assert latest.bias == pytest.approx((-0.1 + 0.1 - 0.7) / 3)
    assert (every.stable, every.promoted) == (2, 4)
    metrics = campaign_metrics(Campaign.read(store, campaign)).metrics
    assert every.success_ratio == pytest.approx(metrics.success_ratio)


def firework(fw_id, state, category, *, worker=None, reservation=None):
    launch = {
        **{"launch_id": fw_id, "fw_id": fw_id, "state": state, "host": "c1", "fworker": {"name": worker}},
        "time_start": "2026-11-24T10:00:00+00:00" if state == "RUNNING" else None,
        "state_history": [{"state": "RESERVED", "created_on": now(), "reservation_id": reservation}],
    }
    spec = {"campaign_name": "small", "_category": category}
    launches = [] if worker is None else [fw_id]
    return {"fw_id": fw_id, "name": f"fw {fw_id}", "state": state, "spec": spec, "launches": launches}, launch


def test_running_jobs_are_counted_by_queue_with_the_schedulers_ids(store, launchpad, campaign):
    made = [
        firework(101, "RUNNING", "dos", worker="cpu-node", reservation="77"),
        firework(102, "RESERVED", "dos", worker="cpu-node", reservation="78"),
        firework(103, "RUNNING", "relax", worker=f"local-worker laptop {os.getpid()} 1.5"),
        firework(104, "READY", "relax"),
        firework(105, "COMPLETED", "relax"),
    ]
    launchpad.fireworks.insert_many([document for document, _ in made])
    launchpad.launches.insert_many([launch for document, launch in made if document["launches"]])
    report = status_report(Campaign.read(store, campaign))
    found = {queue.category: queue for queue in report.queues}
    assert set(found) == {"dos", "relax"}
    assert (found["dos"].running, found["dos"].reserved, found["dos"].ready) == (1, 1, 0)
    assert (found["dos"].workers, found["dos"].job_ids) == ({"cpu-node": 2}, ["77", "78"])
    assert (found["relax"].running, found["relax"].ready, found["relax"].workers) == (1, 1, {"laptop": 1})
    assert [job.fw_id for job in report.jobs] == [101, 102, 103]
    assert report.jobs[0].since == "2026-11-24T10:00:00+00:00"


def test_the_json_has_the_numbers_that_are_drawn(store, campaign, run):
    found, printed = run("--json"), run()
    said = words(printed)
    rows = {step["title"]: step["number"] for step in found["funnel"]}
    for title, number in rows.items():
        assert re.search(rf"^{title} +{number} ", printed, re.MULTILINE), (title, number)
    every = found["predictions"]
    assert f"MAE {every['mae']:.3f}, bias {every['bias']:+.3f} eV/atom on {every['n']} relaxed" in said
    assert f"success ratio {every['success_ratio']:.2f} (2 of 4 promoted)" in said
    assert f"bias {found['predictions_of_model']['bias']:+.3f} eV/atom on 3 relaxed" in said
    budget = found["budget"]
    assert f"{budget['spent_cpu_hours']:.2f} spent, {budget['left_cpu_hours']:.2f} left of 10" in said
    assert f"{found['time_left']['cpu_hours']:.3g} CPU-h still to come" in said
    assert "12 IS-DOS, 6 relaxations, 1 stable found, 3 failed attempts" in said
    assert found["discoveries_24h"] == 1
    # the newest first, with its energy and its time
    first, second = found["discoveries"]
    assert first["time"] > second["time"]
    line = next(line for line in printed.splitlines() if line.startswith(f"{first['formula']} {first['prototype']} "))
    assert f"{first['e_hull']:+.3f}" in line
    assert first["time"][5:16].replace("T", " ") in line
    # failures: counted, the newest in one line each, and where to go on
    assert [(each["stage"], each["kind"], each["number"]) for each in found["failures_by_stage"]] == [
        ("dos", "machine", 1),
        ("relax", "science", 1),
    ]
    assert "1 IS-DOS (machine), 1 relaxation (science); `campaign failures small` for details" in said
    assert [each["error"] for each in found["newest_failures"]] == ["custodian gave up [VasprunErrorHandler]", "killed"]
    assert "custodian gave up [VasprunErrorHandler]" in printed
    assert "second line" not in printed
    # what scripts of earlier versions read stands where it was
    assert found["state"] == "running"
    assert found["failures"] == {"machine": 1, "science": 1}
    assert found["candidates"]["relaxed"] == 7


def test_a_campaign_of_which_nothing_is_done_yet_has_a_picture(store, launchpad, small_spec, run):
    start_campaign(store, launchpad, small_spec(**BATCHES))
    found, said = run("--json"), words(run())
    assert [step["number"] for step in found["funnel"]] == [16, 0, 0, 0, 0, 0]
    assert found["pace"]["stages"] == {}
    assert found["time_left"]["hours"] is None
    assert found["predictions"]["mae"] is None
    assert "time left not known yet: nothing finished in the last 24 h" in said
    assert "nothing has been started yet" in said
    assert "model not trained yet" in said
    assert "failed permanently" not in said
    # 16 IS-DOS, and relaxations of 2 for the training sample and of the references
    ready = {queue["category"]: queue["ready"] for queue in found["queues"]}
    assert ready == {"dos": 16, "relax": 2 + found["references"]["all"]}
    assert "start workers with `rlaunch rapidfire`" in said
    # with jobs in the queues more workers are not what is missing
    launchpad.fireworks.update_many({"spec._category": "dos", "state": "READY"}, {"$set": {"state": "RESERVED"}})
    said = words(run())
    assert "nothing is running, 16 in the queues" in said
    assert "start workers" not in said
    assert "paused" not in said
    launchpad.fireworks.update_many({"state": "RESERVED"}, {"$set": {"state": "PAUSED"}})
    assert "16 fireworks are paused: `lpad resume_fws -q" in words(run())
    launchpad.fireworks.update_one({"spec._category": "dos"}, {"$set": {"state": "RUNNING"}})
    assert "nothing has finished yet; running: 1" in words(run())


def test_a_campaign_with_nothing_but_failures_has_a_picture(store, launchpad, small_spec, run):
    start_campaign(store, launchpad, small_spec(**BATCHES))
    failed = {"state": "dos_failed", **failure("dos", "science", 1.0)}
    store.candidates.update_many({"role": "screened"}, {"$set": failed})
    store.candidates.update_many(
        {"role": "bootstrap"}, {"$set": {"state": "relax_failed", **failure("relax", "science", 1.0)}}
    )
    ledger(store, [("dos", "science", 1.0, 10.0)] * 16)
    found, said = run("--json"), words(run())
    assert [step["number"] for step in found["funnel"]] == [16, 0, 0, 0, 0, 0]
    assert found["pace"]["stages"]["dos"]["failed"] == 16
    assert "16 failed attempts" in said
    assert "16 IS-DOS (science), 2 relaxations (science)" in said


def test_a_finished_campaign_has_no_time_left(store, campaign, run):
    store.campaigns.update_one({"_id": campaign}, {"$set": {"state": "finished"}})
    found, said = run("--json"), words(run())
    assert found["time_left"]["hours"] == 0.0
    assert "campaign small: finished" in said
    assert "time left none: finished" in said


def everything(database):
    """All documents and indexes of a database."""
    return {
        name: ([bson.encode(found) for found in database[name].find().sort("_id")], database[name].index_information())
        for name in sorted(database.list_collection_names())
    }


@pytest.fixture
def lost_run(store, launchpad, small_spec):
    """A relaxation that runs in a process that is gone, its firework's id. The campaign's indexes are gone too."""
    start_campaign(store, launchpad, small_spec(**BATCHES))
    gone = FWorker(f"local-worker {socket.gethostname()} 2147483646 1.00", query={"spec.stage": "relax"})
    firework, _ = launchpad.checkout_fw(gone, "/nowhere")
    store.candidates.drop_indexes()
    return firework.fw_id


@pytest.mark.parametrize("options", [[], ["--json"], ["--watch"]])
def test_what_needs_recovery_is_said_and_nothing_is_written(store, launchpad, lost_run, run, options):
    if "--watch" in options:  # it ends with the campaign
        store.campaigns.update_one({"_id": "small"}, {"$set": {"state": "finished"}})
    before = everything(launchpad.db)
    shown = run(*options)
    assert everything(launchpad.db) == before
    lost = f"1 firework left by a process or job that is gone; run again while retries are left: {lost_run}"
    if "--json" in options:
        assert shown["needs_recovery"] == [lost]
    else:
        assert f"needs recovery: {lost} (run `campaign reconcile small`)" in words(shown)


def test_what_needs_recovery_is_what_reconcile_does(store, launchpad, lost_run, run, launchpad_file):
    (said,) = run("--json")["needs_recovery"]
    done = CliRunner().invoke(app, ["reconcile", "small", "--launchpad", str(launchpad_file)])
    assert done.exit_code == 0, done.output
    assert said in words(done.output)
    assert run("--json")["needs_recovery"] == []
    assert "chemsys_1" in store.candidates.index_information(), "a command that writes makes the indexes that lack"


@pytest.mark.parametrize("options", [["30"], ["--watch", "--json"]])
def test_options_that_do_not_go_together_are_refused(campaign, monkeypatch, launchpad_file, options):
    monkeypatch.chdir(launchpad_file.parent)
    done = CliRunner().invoke(app, ["status", campaign, *options])
    assert done.exit_code != 0
    assert "right:" in str(done.exception)


def test_an_unknown_campaign_is_named(store, campaign):
    with pytest.raises(UnknownCampaignError, match="this database has small"):
        status_report(Campaign.read(store, "other"))


def watching(folder):
    """`campaign status small --watch`, a child of the test alone."""
    return PseudoTerminal([*COMMAND, "status", "small", "--watch", "0.5"], rows=50, folder=folder)


def test_watch_redraws_until_the_campaign_ends_and_fits_a_narrow_terminal(store, campaign, launchpad_file):
    with watching(launchpad_file.parent) as terminal:
        first = terminal.read_until("failed permanently")
        assert "stable: 2" in first
        store.candidates.update_one(
            {"state": "relax_running"}, {"$set": decided("relaxed", e_form=(-0.4, -0.4), stable=True)}
        )
        terminal.read_until("stable: 3")
        store.campaigns.update_one({"_id": campaign}, {"$set": {"state": "finished"}})
        terminal.read_until("none: finished")
        assert terminal.wait() == 0
    # each picture begins at the upper left corner, and the last one where the command was typed
    pictures = re.sub(r"\x1b\[(H|\?1049l)", "\n", terminal.output)
    plain = re.sub(r"\x1b[\[(][0-9;?]*[a-zA-Z]", "", pictures).replace("\r", "")
    assert [line for line in plain.splitlines() if len(line) > 60] == []


def test_watch_ends_with_ctrl_c_without_a_traceback(store, campaign, launchpad_file):
    with watching(launchpad_file.parent) as terminal:
        terminal.read_until("failed permanently")
        os.kill(terminal.pid, signal.SIGINT)
        assert terminal.wait() == 0
    assert "Traceback" not in terminal.output
    assert campaign_status(Campaign.read(store, campaign)).state == "running"


def test_watch_prints_blocks_where_output_is_no_terminal(store, campaign, launchpad_file):
    command = [*COMMAND, "status", "small", "--watch", "0.5"]
    with subprocess.Popen(command, cwd=launchpad_file.parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("engine"):
                break
        store.campaigns.update_one({"_id": campaign}, {"$set": {"state": "finished"}})
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "campaign small: finished" in rest
    assert "\x1b" not in rest
