"""Which steps are submitted when, and that a step cut short anywhere comes to the same end."""

import math
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from fireworks import FWorker
from predicted import store_predictions
from prepared import BATCHES, MODEL, finish_dos, relax_references, steps, with_model

from campaign.attempts.ledger import close_open_attempt
from campaign.recovery.reconcile import reconcile
from campaign.recovery.retry import retry_failed
from campaign.recovery.stuck_workflows import next_try
from campaign.references.reference_sets import freeze_reference_set, load_hull, restore_reference_set
from campaign.running_campaign import start_campaign
from campaign.scheduling.advance import advance
from campaign.scheduling.evaluate import evaluate_relaxed
from campaign.scheduling.submit import submit_step
from campaign.spec.sections.screening import ScreeningSection
from campaign.steps.decide import make_decisions
from campaign.steps.finish import finish_campaign
from campaign.steps.start import BootstrapSizeError
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.store.documents import step_parts
from campaign.store.steps import Step, count_sweeps, find_step, read_step
from campaign.verification.verify import verify
from campaign.views.results import result_rows
from campaign.views.status.counts import campaign_status
from esnet.files.errors import UserError

pytestmark = pytest.mark.mongo


@pytest.fixture
def campaign(store, launchpad, small_spec):
    """A campaign whose references are relaxed (at made-up energies) and whose model is there."""
    return with_model(store, launchpad, small_spec(**BATCHES))


def campaign_policy(store):
    return Campaign.read(store, "small").spec.policy.to_dict()


def test_a_batch_is_screened_once_its_share_is_done_and_the_rest_is_swept(store, launchpad, campaign):
    finish_dos(store, batch=0, number=3)
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert steps(store) == []  # 3 of 5 are fewer than 80 %
    finish_dos(store, batch=0, number=1)
    advance(OpenCampaign.open(store, launchpad, campaign), batch=0)
    advance(OpenCampaign.open(store, launchpad, campaign), batch=0)
    assert steps(store) == ["small/screen/0"]
    for batch in range(4):
        finish_dos(store, batch=batch, number=5)
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert steps(store) == [f"small/screen/{batch}" for batch in range(4)]
    for step in steps(store):
        store.close_step(step)
    advance(OpenCampaign.open(store, launchpad, campaign))  # somebody is still waiting, as if it had come late
    assert "small/screen/sweep-0" in steps(store)


def test_a_small_batch_waits_for_all_of_its_candidates_and_a_campaign_of_one_batch_has_one_screen(
    store, launchpad, small_spec
):
    name = with_model(store, launchpad, small_spec(**{**BATCHES, "screening": {"batch_size": 20}}))
    assert Campaign.read(store, name).document["batch_sizes"] == [16]
    finish_dos(store, batch=0, number=15)
    advance(OpenCampaign.open(store, launchpad, name))
    assert steps(store) == []
    # one that has failed is waited for no longer
    store.candidates.update_one({"batch": 0, "state": "dos_running"}, {"$set": {"state": "dos_failed"}})
    advance(OpenCampaign.open(store, launchpad, name))
    store.close_step("small/screen/0")
    advance(OpenCampaign.open(store, launchpad, name))
    assert [step for step in steps(store) if "screen" in step][:1] == ["small/screen/0"]


@pytest.mark.parametrize(
    ("fraction", "size", "enough"),
    [(None, 1, 1), (None, 99, 99), (None, 100, 95), (None, 256, 244), (0.95, 20, 19), (1.0, 256, 256)],
)
def test_how_much_of_a_batch_is_enough(fraction, size, enough):
    assert ScreeningSection(min_completed_fraction=fraction).enough_of(size) == enough


ALL_STEPS = [
    (Step.train("small"), "small/train"),
    (Step.retrain("small", 2), "small/retrain/2"),
    (Step.screen("small", 13), "small/screen/13"),
    (Step.sweep("small", 1), "small/screen/sweep-1"),
    (Step.screen_after("small", "small/retrain/0"), "small/screen/after-retrain-0"),
    (Step.screen_after("small", "small/screen/4"), "small/screen/after-screen-4"),
    (Step.screen_after("small", "small/screen/sweep-0"), "small/screen/after-screen-sweep-0"),
    (Step.screen_after("small", "small/screen/after-retrain-0"), "small/screen/after-screen-after-retrain-0"),
    (Step.report("small"), "small/report"),
]


@pytest.mark.parametrize(("step", "step_id"), ALL_STEPS)
def test_the_id_of_a_step_says_what_its_fields_say(step, step_id):
    assert step.id == step_id
    assert step_parts(step_id) == {"batch": step.batch, "number": step.number, "after": step.after}


def test_a_step_that_version_0_1_stored_is_read_as_one_of_today(store, launchpad, campaign):
    opened = OpenCampaign.open(store, launchpad, campaign)
    for step, _ in ALL_STEPS:
        assert submit_step(opened, step)
        stored = find_step(opened, step.id)
        assert (stored["batch"], stored["number"], stored["after"]) == (step.batch, step.number, step.after)
    assert count_sweeps(opened) == 1
    store.steps.update_many({}, {"$unset": {"batch": "", "number": "", "after": ""}})
    assert [read_step(opened, step.id) for step, _ in ALL_STEPS] == [step for step, _ in ALL_STEPS]
    assert count_sweeps(opened) == 1
    with pytest.raises(LookupError, match="no step small/screen/14"):
        read_step(opened, "small/screen/14")


def test_a_batch_in_which_everything_failed_does_not_hold_the_campaign(store, launchpad, campaign):
    store.candidates.update_many({"role": "screened"}, {"$set": {"state": "dos_failed"}})
    for step in range(4):
        advance(OpenCampaign.open(store, launchpad, campaign))
        store.close_step(f"small/screen/{step}")
    assert "small/report" in steps(store)


def test_a_screen_cut_short_between_its_writes_decides_the_same(store, launchpad, campaign):
    ids = sorted(finish_dos(store, batch=0, number=5))
    predicted = dict(zip(ids, [-0.5, -0.03, 0.4, math.nan, -0.01], strict=True))
    advance(OpenCampaign.open(store, launchpad, campaign))
    loaded = Campaign.read(store, campaign)
    trust = {"uncertainty": {ids[0]: 0.05, ids[1]: None}, "novel": {ids[0]: True, ids[1]: False}}
    store_predictions(loaded, "small/screen/0", ids, predicted, **trust)
    # killed here, and run again: other predictions of the same model would change nothing any more
    store_predictions(loaded, "small/screen/0", ids, dict.fromkeys(ids, -9.0))
    first = make_decisions(loaded, "small/screen/0")
    # killed again before the relaxations were submitted
    assert make_decisions(loaded, "small/screen/0") == first
    advance(OpenCampaign.open(store, launchpad, campaign))
    advance(OpenCampaign.open(store, launchpad, campaign))
    states = {found["_id"]: found["state"] for found in store.candidates.find({"_id": {"$in": ids}})}
    assert [states[name] for name in ids] == ["relax_running"] * 2 + ["rejected"] * 3
    assert launchpad.workflows.count_documents({"metadata.document": {"$in": ids}, "metadata.stage": "relax"}) == 2
    said = [store.candidates.find_one({"_id": name})["prediction"] for name in ids[:3]]
    assert [(found["uncertainty"], found["novel"]) for found in said] == [(0.05, True), (None, False), (None, None)]
    decision = store.candidates.find_one({"_id": ids[0]})["decision"]
    assert decision["model"] == MODEL["checksum"]
    assert decision["policy"] == campaign_policy(store)
    assert [row.decision for row in result_rows(Campaign.read(store, campaign)) if row.id == ids[3]] == ["rejected"]


def test_results_are_formation_energies_against_the_frozen_references(store, launchpad, campaign):
    checksum = freeze_reference_set(Campaign.read(store, campaign))
    candidate = store.candidates.find_one({"formula": "AlCu", "prototype": "B1"})
    store.candidates.update_one(
        {"_id": candidate["_id"]}, {"$set": {"state": "relaxed", "relaxation.energy": -10.0}, "$unset": {"result": ""}}
    )
    assert evaluate_relaxed(Campaign.read(store, campaign), checksum) >= 1
    result = store.candidates.find_one({"_id": candidate["_id"]})["result"]
    # references in the order of their ids: Ag -3, Al -4, Cu -5 eV an atom
    assert result["e_form_per_atom"] == pytest.approx((-10.0 + 4.0 + 5.0) / 2)
    assert result["e_above_hull"] == pytest.approx(result["e_form_per_atom"])
    assert result["stable"] is True
    assert evaluate_relaxed(Campaign.read(store, campaign), checksum) == 0


def test_an_altered_reference_set_is_refused(store, campaign):
    checksum = freeze_reference_set(Campaign.read(store, campaign))
    store.reference_sets.update_one({"_id": checksum}, {"$set": {"entries.0.energy": -99.0}})
    with pytest.raises(ValueError, match="was altered"):
        load_hull(store, checksum)


@pytest.mark.parametrize("damage", ["lost", "altered"])
def test_a_reference_set_that_is_lost_or_altered_is_named_and_made_again(store, launchpad, campaign, damage):
    checksum = freeze_reference_set(Campaign.read(store, campaign))
    if damage == "lost":
        store.reference_sets.delete_one({"_id": checksum})
    else:
        store.reference_sets.update_one({"_id": checksum}, {"$set": {"entries.0.energy": -99.0}})
    with pytest.raises(UserError, match=rf"reference set {checksum}.*campaign reconcile NAME"):
        load_hull(store, checksum)
    assert checksum in restore_reference_set(Campaign.read(store, campaign))
    assert load_hull(store, checksum)
    assert restore_reference_set(Campaign.read(store, campaign)) is None


def test_a_failed_elemental_reference_stops_the_campaign_and_the_remedy_works(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    relax_references(store)
    store.references.update_one(
        {"formula": "Cu"}, {"$set": {"state": "relax_failed", "final_failure": {"kind": "science"}}}
    )
    advance(OpenCampaign.open(store, launchpad, "small"))
    problem = campaign_status(Campaign.read(store, "small")).problem
    assert "Cu" in problem
    assert "`campaign retry small --kind science --candidate small/reference/Cu`" in problem
    assert retry_failed(OpenCampaign.open(store, launchpad, "small")) == 1
    assert store.references.find_one({"formula": "Cu"})["state"] == "relax_running"
    assert campaign_status(Campaign.read(store, "small")).problem is None


def test_nothing_is_decided_before_a_start_that_was_cut_short_is_complete(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    # the state after a kill -9 between the first write and the others
    store.campaigns.update_one({"_id": "small"}, {"$set": {"state": "starting"}})
    for collection in (store.candidates, store.references, launchpad.fireworks, launchpad.workflows):
        collection.delete_many({})
    reconcile(OpenCampaign.open(store, launchpad, "small"))
    assert steps(store) == []
    assert store.reference_sets.count_documents({}) == 0
    assert start_campaign(store, launchpad, small_spec()).added == 3
    assert store.campaigns.find_one({"_id": "small"})["state"] == "running"
    assert launchpad.fireworks.count_documents({}) == 10


def test_a_training_sample_that_leaves_nothing_to_screen_is_refused(store, launchpad, small_spec):
    with pytest.raises(BootstrapSizeError, match="found 3, but there are only 3 candidates"):
        start_campaign(store, launchpad, small_spec(model={"bootstrap_size": 3}))
    assert store.campaigns.count_documents({}) == 0


def test_a_step_that_fizzled_is_named_with_its_remedy(store, launchpad, campaign):
    finish_dos(store, batch=0, number=5)
    advance(OpenCampaign.open(store, launchpad, campaign))
    (firework,) = launchpad.fireworks.find({"spec.step": "small/screen/0"})
    launchpad.fireworks.update_one({"_id": firework["_id"]}, {"$set": {"state": "FIZZLED"}})
    problem = campaign_status(Campaign.read(store, campaign)).problem
    assert f"lpad rerun_fws -i {firework['fw_id']}" in problem


def test_a_step_that_fizzles_every_time_is_tried_a_few_times_with_growing_pauses(store, launchpad, small_spec):
    with_model(store, launchpad, small_spec(**BATCHES, retries={"max_retries": 30}))
    campaign = OpenCampaign.open(store, launchpad, "small")
    submit_step(campaign, Step.screen("small", 0))
    fw_id = store.steps.find_one({"_id": "small/screen/0"})["fw_id"]
    mine, ended = {"fw_id": fw_id}, datetime.now(UTC)
    pauses = []
    for number in range(10):
        entry = {"_id": f"{fw_id}.{number}", "campaign": "small", "stage": "screen", "outcome": "machine"}
        store.attempts.insert_one(entry | mine)
        launchpad.fireworks.update_one(mine, {"$set": {"state": "FIZZLED", "updated_on": ended.isoformat()}})
        due = next_try(campaign, launchpad.fireworks.find_one(mine))
        if due is None:
            break
        pauses.append((due - ended).total_seconds())
        done = reconcile(campaign)
        assert (done.retried or done.delayed) == [fw_id]
        assert bool(done.retried) == (pauses[-1] == 0)
    assert pauses == sorted(set(pauses))
    assert len(pauses) == 4
    assert not reconcile(campaign)
    assert "no retries are left" in campaign_status(campaign).problem


def test_a_campaign_with_a_job_that_ended_before_its_task_began_is_finished(store, launchpad, campaign):
    opened = OpenCampaign.open(store, launchpad, campaign)
    submit_step(opened, Step.screen(campaign, 0))
    screen = launchpad.fireworks.find_one({"spec.step": "small/screen/0"})
    start = {"fw_id": 10**6, "launches": [], "spec": {"campaign_name": campaign}}  # as `lpad add` submits it
    for firework in (screen, start):
        close_open_attempt(store, firework, campaign=campaign, outcome="lost", facts={"cause": "killed", "cpu_s": 2.0})
    freeze_reference_set(opened)
    store.candidates.update_many({}, {"$set": {"state": "rejected"}})  # a campaign with open candidates is not closed
    finish_campaign(Campaign.read(store, campaign), "small/report")
    cpu_s = store.campaigns.find_one({"_id": campaign})["summary"]["cpu_s"]
    assert cpu_s == {"other": 2.0, "screen": 2.0}
    found = verify(Campaign.read(store, campaign), lambda: reconcile(opened, dry_run=True), pause_s=0.0).findings
    assert not [each for each in found if "totals" in each.check]


def take_with_a_dead_process(launchpad, number):
    name = f"local-worker {socket.gethostname()} 2147483646 1.00"
    for _ in range(number):
        launchpad.checkout_fw(FWorker(name, query={"spec.stage": "dos"}), "/nowhere", host="h", ip="i")


def test_two_reconciles_at_once_run_a_lost_firework_again_once(store, launchpad, campaign, database):
    take_with_a_dead_process(launchpad, 6)
    assert launchpad.fireworks.count_documents({"state": "RUNNING"}) == 6

    def repair(_):
        own = database.launchpad()
        return reconcile(OpenCampaign.open(CampaignStore(own.db), own, campaign)).lost

    with ThreadPoolExecutor(3) as pool:
        lost = [fw_id for found in pool.map(repair, range(3)) for fw_id in found]
    assert len(lost) == len(set(lost)) == 6
    again = list(launchpad.fireworks.find({"fw_id": {"$in": lost}}))
    assert {firework["state"] for firework in again} == {"READY"}
    assert all(len(firework["archived_launches"]) == 1 for firework in again)


def test_a_firework_that_loses_its_process_every_time_ends_as_a_machine_failure(store, launchpad, campaign):
    store.candidates.update_many({"batch": {"$ne": 0}}, {"$set": {"state": "rejected"}})
    wanted = store.candidates.find_one({"batch": 0})["is_dos"]["fw_id"]
    name = f"local-worker {socket.gethostname()} 2147483646 1.00"
    for _ in range(3):  # max_retries is 2
        launchpad.checkout_fw(FWorker(name), "/nowhere", fw_id=wanted, host="h", ip="i")
        assert reconcile(OpenCampaign.open(store, launchpad, campaign)).lost == [wanted]
    assert launchpad.fireworks.find_one({"fw_id": wanted})["state"] == "FIZZLED"
    # reconcile has recorded it, as its own job would have done
    assert launchpad.fireworks.find_one({"fw_id": wanted + 1})["state"] == "COMPLETED"
    assert store.candidates.find_one({"is_dos.fw_id": wanted})["state"] == "dos_failed"
    assert store.attempts.count_documents({"fw_id": wanted, "outcome": "lost"}) == 3
