"""A campaign whose calculations fail alike, one after the other, submits no more until the cause is mended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from custodian.custodian import ReturnCodeError
from prepared import BATCHES
from pymatgen.io.vasp.inputs import PmgVaspPspDirError

from campaign.attempts.ledger import attempt
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.steps.calculate import run_calculation
from campaign.steps.record import record_calculation
from campaign.store.campaigns import Campaign
from campaign.store.states import STAGES
from campaign.views.status.counts import campaign_status

pytestmark = pytest.mark.mongo

BIN = Path(sys.executable).parent
NO_POTCAR = PmgVaspPspDirError("Set PMG_VASP_PSP_DIR=<directory-path> in .pmgrc.yaml (needed to find POTCARs)")
CRASH = ReturnCodeError("Job return code is 139. Terminating...", raises=True)


@pytest.fixture
def campaign(store, launchpad, small_spec):
    """A campaign of 22 calculations or so."""
    start_campaign(store, launchpad, small_spec(**BATCHES))
    return RunningCampaign.open(store, launchpad, "small")


def waiting(store):
    """A candidate whose IS-DOS is to be computed, by id."""
    ids = store.database["fireworks"].distinct("spec.document", {"state": "READY", "spec._category": "dos"})
    return store.candidates.find_one({"state": "dos_running", "_id": {"$in": ids}})


def fail(store, database, document, error):
    """What FireWorks does with a calculation that raises (or not), and with the firework that records."""
    dos = document["is_dos"]
    store.database["fireworks"].update_one({"fw_id": dos["fw_id"]}, {"$set": {"state": "FIZZLED"}})
    state = {f"fw_states.{dos['fw_id']}": "FIZZLED"}
    store.database["workflows"].update_one({"nodes": dos["fw_id"]}, {"$set": state})
    try:
        with attempt(store, campaign="small", stage="dos", fw_id=dos["fw_id"], document=document["_id"]):
            if error is not None:
                raise error
    except type(error):
        pass
    stage = STAGES["dos"]
    record_calculation(
        Campaign.read(store, "small"), database, document_id=document["_id"], stage=stage, fw_id=dos["record_fw_id"]
    )


def is_stopped(store):
    return "stopped" in store.campaigns.find_one({"_id": "small"})


def test_three_calculations_that_fail_alike_stop_the_campaign_until_it_is_resumed(
    store, launchpad, database, campaign, launch_folder, launchpad_file
):
    ready = launchpad.fireworks.count_documents({"state": "READY"})
    for number in range(3):
        assert not is_stopped(store), number
        fail(store, database, waiting(store), NO_POTCAR)
    stop = store.campaigns.find_one({"_id": "small"})["stopped"]
    assert (stop["cause"], stop["number"]) == ("potcar_missing", 3)
    # nothing is left for a worker, and nothing new comes
    assert launchpad.fireworks.count_documents({"state": "READY"}) == 0
    assert launchpad.fireworks.count_documents({"state": "PAUSED"}) == ready - 3
    paused = launchpad.get_wf_by_fw_id(launchpad.fireworks.find_one({"state": "PAUSED"})["fw_id"])
    assert paused.state == "PAUSED"
    campaign.advance()
    campaign.reconcile()
    assert launchpad.fireworks.count_documents({"state": "PAUSED"}) == ready - 3
    assert store.candidates.count_documents({"state": "dos_running"}) == 13
    status = campaign_status(campaign.refresh())
    assert status.is_stopped
    assert not status.is_paused
    assert "PMG_VASP_PSP_DIR" in status.problem
    assert "`campaign resume small`" in status.problem

    def command(*words):
        done = subprocess.run(
            [BIN / "campaign", *words, "--launchpad", launchpad_file],
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "300"},
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    assert "3 consecutive calculations failed in the same way (potcar_missing)" in command("status", "small")[1]
    code, said = command("resume", "small")
    assert code == 0
    assert f"{ready - 3} paused calculations can run, 3 failed (potcar_missing) will be retried" in said
    assert store.candidates.count_documents({"state": "dos_running"}) == 16
    assert not launchpad.fireworks.count_documents({"state": "PAUSED"})
    assert launchpad.get_wf_by_fw_id(paused.fws[0].fw_id).state == "READY"
    assert "is not stopped" in command("resume", "small")[1]
    # what failed before counts no more
    fail(store, database, waiting(store), NO_POTCAR)
    assert not is_stopped(store)


def test_a_crash_counts_only_until_the_engine_has_worked(store, database, campaign, launch_folder):
    fail(store, database, waiting(store), CRASH)
    fail(store, database, waiting(store), CRASH)
    done = store.candidates.find_one({"role": "bootstrap"})
    with attempt(store, campaign="small", stage="relax", fw_id=999_999, document=done["_id"]):
        pass
    for _ in range(4):
        fail(store, database, waiting(store), CRASH)
    assert not is_stopped(store)
    # a program that is suddenly gone is another matter
    for _ in range(3):
        assert not is_stopped(store)
        fail(store, database, waiting(store), FileNotFoundError(2, "No such file or directory", "vasp_std"))
    assert is_stopped(store)


def test_crashes_at_the_start_stop_it_too_and_those_of_one_calculation_do_not(store, database, campaign, launch_folder):
    one = waiting(store)
    for _ in range(2):
        fail(store, database, one, CRASH)
        campaign.submit_ready()
        one = store.candidates.find_one({"_id": one["_id"]})
    fail(store, database, one, CRASH)
    assert not is_stopped(store)
    fail(store, database, waiting(store), CRASH)
    fail(store, database, waiting(store), CRASH)
    assert is_stopped(store)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_what_comes_from_elsewhere_stops_nothing(store, database, campaign, launch_folder, error):
    for _ in range(5):
        fail(store, database, waiting(store), error)
    assert not is_stopped(store)


def test_it_can_be_switched_off(store, launchpad, database, small_spec, launch_folder):
    start_campaign(store, launchpad, small_spec(**BATCHES, retries={"stop_after": 0}))
    for _ in range(5):
        fail(store, database, waiting(store), NO_POTCAR)
    assert not is_stopped(store)


def test_a_job_that_was_in_the_queue_already_is_not_begun(store, launchpad, database, campaign, launch_folder):
    queued = waiting(store)
    launchpad.fireworks.update_one({"fw_id": queued["is_dos"]["fw_id"]}, {"$set": {"state": "RESERVED"}})
    for _ in range(3):
        fail(store, database, waiting(store), NO_POTCAR)
    fw_id = queued["is_dos"]["fw_id"]
    run_calculation(campaign.refresh(), database, document_id=queued["_id"], stage=STAGES["dos"], fw_id=fw_id)
    assert store.candidates.find_one({"_id": queued["_id"]})["state"] == "new"
    assert not list(Path().iterdir())
    assert not store.attempts.find_one({"fw_id": fw_id})


def test_a_campaign_without_potcars_costs_three_jobs(store, launchpad, small_spec, launchpad_file, tmp_path):
    """From the workers' end: VASP without PMG_VASP_PSP_DIR (measured before: 25 x 3 jobs)."""
    dft = {"engine": "vasp", "vasp_command": "/bin/true"}
    start_campaign(store, launchpad, small_spec(**{**BATCHES, "dft": dft}))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PMG_")}
    done = subprocess.run(
        [BIN / "rlaunch", "-l", launchpad_file, "rapidfire"],
        cwd=tmp_path,
        env={**environment, "HOME": str(tmp_path), "PMG_CONFIG_FILE": str(tmp_path / "none.yaml")},
        capture_output=True,
        timeout=300,
        check=True,
    )
    entries = list(store.attempts.find({}))
    assert entries, done.stdout + done.stderr
    assert {entry["cause"] for entry in entries} == {"potcar_missing"}
    assert len(entries) == 3
    assert is_stopped(store)
    assert not launchpad.fireworks.count_documents({"state": "READY"})
