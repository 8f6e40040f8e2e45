"""Workflows that somebody deleted, archived or defused with lpad are named, and submitted again where asked."""

import os
import socket

import psutil
import pytest
from prepared import BATCHES, with_model
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.commands.failures import ResubmitOptionError
from campaign.recovery.reconcile import reconcile
from campaign.recovery.removed_workflows import removed_workflows, resubmit
from campaign.running_campaign import start_campaign
from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import ForeignDocumentError, OpenCampaign
from campaign.store.collections import now
from campaign.store.steps import Step
from campaign.views.status.counts import campaign_status

pytestmark = pytest.mark.mongo


@pytest.fixture
def run(launchpad_file):
    """Function that runs a command and returns its output on one line."""

    def command(*words, code=0):
        done = CliRunner().invoke(app, [*words, "--launchpad", str(launchpad_file)])
        assert done.exit_code == code, done.output
        return " ".join(done.output.split())

    return command


@pytest.fixture
def three(store, launchpad, small_spec):
    """Fireworks that compute three candidates: one each to delete, archive and defuse."""
    start_campaign(store, launchpad, small_spec(**BATCHES))
    return [found["is_dos"]["fw_id"] for found in store.candidates.find({"batch": 0}).sort("_id").limit(3)]


def test_what_was_removed_is_named_and_comes_back_as_it_is_asked_for(store, launchpad, three, run):
    deleted, archived, defused = three
    launchpad.delete_wf(deleted)
    launchpad.archive_wf(archived)
    launchpad.defuse_wf(defused)
    before = launchpad.fireworks.count_documents({})
    for said in (run("reconcile", "small"), run("status", "small")):
        for how, fw_id in zip(("deleted", "archived", "defused"), three, strict=True):
            assert f"the campaign waits for 1 {how} workflow" in said
            assert f"(firework {fw_id})" in said
        assert "campaign reconcile small --resubmit" in said
        assert f"lpad reignite_wfs -i {defused}" in said
    assert launchpad.fireworks.count_documents({}) == before

    said = run("reconcile", "small", "--resubmit")
    assert "1 removed workflow submitted again" in said
    assert "deleted" not in said
    assert "the campaign waits for 1 archived workflow" in said
    assert "2 removed workflows" in run("reconcile", "small", "--resubmit", "--archived", "--defused")
    assert "nothing to repair" in run("reconcile", "small")
    assert launchpad.fireworks.find_one({"fw_id": defused})["state"] == "READY"
    assert launchpad.fireworks.find_one({"fw_id": archived})["state"] == "ARCHIVED"
    live = {"spec.stage": "dos", "state": "READY", "spec._allow_fizzled_parents": None}
    of_documents = [found["spec"]["document"] for found in launchpad.fireworks.find(live)]
    assert len(of_documents) == len(set(of_documents)) == store.candidates.count_documents({"role": "screened"})


def test_asking_twice_at_once_submits_once(store, launchpad, three):
    launchpad.delete_wf(three[0])
    campaign = OpenCampaign.open(store, launchpad, "small")
    removed = removed_workflows(campaign)
    assert [resubmit(campaign, removed)[0], resubmit(campaign, removed)[0]] == [1, 0]


def test_what_a_process_still_computes_is_left_alone(store, launchpad, three, run):
    me = {"host": socket.gethostname(), "pid": os.getpid(), "pid_created": psutil.Process().create_time()}
    entry = {"_id": f"{three[0]}.1", "fw_id": three[0], "campaign": "small", "outcome": "running", "started": now()}
    store.attempts.insert_one(entry | me)
    launchpad.delete_wf(three[0])
    said = run("reconcile", "small", "--resubmit")
    assert "0 removed workflows submitted again" in said
    assert f"still being computed by process {os.getpid()}" in said


def test_a_step_whose_firework_was_deleted_is_submitted_again(store, launchpad, small_spec, run):
    with_model(store, launchpad, small_spec(**BATCHES))
    submit_step(OpenCampaign.open(store, launchpad, "small"), Step.screen("small", 0))
    launchpad.delete_wf(store.steps.find_one({"_id": "small/screen/0"})["fw_id"])
    assert "small/screen/0" in run("reconcile", "small")
    run("reconcile", "small", "--resubmit")
    fw_id = store.steps.find_one({"_id": "small/screen/0"})["fw_id"]
    assert launchpad.fireworks.find_one({"fw_id": fw_id})["spec"]["step"] == "small/screen/0"


def test_a_defused_calculation_does_not_count_as_something_that_can_go_on(store, launchpad, small_spec):
    """Its recording firework waits for ever: `campaign run` would wait with it."""
    start_campaign(store, launchpad, small_spec(**BATCHES))
    for firework in list(launchpad.fireworks.find({"state": "READY"})):
        launchpad.defuse_fw(firework["fw_id"])
    campaign = OpenCampaign.open(store, launchpad, "small")
    assert launchpad.fireworks.count_documents({"state": "WAITING"})
    assert not campaign_status(campaign).can_go_on
    assert not reconcile(campaign)


def test_what_resubmit_includes_needs_it(launchpad_file):
    with pytest.raises(ResubmitOptionError, match="right: give --resubmit too"):
        CliRunner().invoke(
            app, ["reconcile", "small", "--defused", "--launchpad", str(launchpad_file)], catch_exceptions=False
        )


def test_documents_of_others_are_passed_over_and_named(store, launchpad, small_spec, run):
    start_campaign(store, launchpad, small_spec())
    store.campaigns.insert_many([{"_id": "theirs", "foo": 1}, {"_id": "second", "state": "running"}])
    for collection in (store.candidates, store.references, store.features, store.attempts, store.steps):
        collection.insert_one({"foo": 1})
    store.reference_sets.insert_one({"foo": 1})
    said = run("reconcile")
    assert "are not campaigns: theirs, second" in said
    assert "small: nothing to repair" in said
    run("status", "small")
    run("references", "list")
    with pytest.raises(ForeignDocumentError, match="'theirs' in the collection campaigns"):
        start_campaign(store, launchpad, small_spec(name="theirs"))


def test_one_campaign_that_cannot_be_read_keeps_no_other_from_its_repair(store, launchpad, small_spec, run):
    for name in ("broken", "small"):
        start_campaign(store, launchpad, small_spec(name=name))
    store.campaigns.update_one({"_id": "broken"}, {"$set": {"spec.dft.encut": "much"}})
    said = run("reconcile", code=1)
    assert "broken: cannot be reconciled" in said
    assert "small: nothing to repair" in said
