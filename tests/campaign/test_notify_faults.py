"""`campaign notify` where something is wrong: a run does not end of it, and what can be told of is told of."""

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
from prepared import BATCHES, with_model

from campaign.commands.lifecycle.notify import look_at_all
from campaign.notify.message import Message
from campaign.notify.notifier import Notifier
from campaign.notify.sending import Sender, send
from campaign.notify.settings import NotifySettings
from campaign.running_campaign import start_campaign
from campaign.scheduling.submit import submit_step
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.changes.events import who
from campaign.store.collections import now
from campaign.store.steps import Step
from campaign.views.status.counts import campaign_status
from esnet.commands.console import console


def message(**more):
    return Message(**{"event": "test", "campaign": "small", "text": "a text", **more})


def test_what_a_command_leaves_running_is_not_waited_for(tmp_path):
    left = tmp_path / "pid"
    send(NotifySettings(command=["sh", "-c", f"sleep 600 & echo $! > {left}"], timeout_s=20.0), message())
    os.kill(int(left.read_text()), signal.SIGKILL)


def test_after_a_message_that_cannot_be_handed_over_the_next_is_sent(tmp_path):
    told, problems = tmp_path / "told", []
    sender = Sender(NotifySettings(command=["sh", "-c", f"cat >> {told}"], timeout_s=60.0), problems.append)
    for each in (message(campaign="\0"), message(found=[{"id": object()}]), message(text="the last")):
        sender.put(each)
    sender.close(all_of_them=True)
    assert told.read_text() == "the last\n"
    (problem,) = problems
    assert "sh cannot be started: ValueError" in problem
    sender = Sender(NotifySettings(command=["true"]), problems.append)
    sender.put(message(found=[{"id": object()}]))
    sender.close()
    assert "not sent: TypeError" in problems[-1]


def test_all_that_waits_at_the_end_is_sent(tmp_path):
    told = tmp_path / "told"
    command = ["sh", "-c", f"cat >> {told}; sleep 600"]
    sender = Sender(NotifySettings(command=command, timeout_s=0.7), [].append)
    for number in range(6):  # together they take longer than two ways and a second
        sender.put(message(text=str(number)))
    sender.close()
    assert told.read_text().split() == list("012345")


class Outlet(list):
    put = list.append


@pytest.fixture
def outlet():
    return Outlet()


@pytest.fixture
def problems():
    return []


@pytest.fixture
def notifier(outlet, problems):
    return Notifier(NotifySettings(command=["true"], collect_s=0.0), outlet, problems.append)


def look(notifier, store):
    campaign = Campaign.read(store, "small")
    notifier.look(campaign, campaign_status(campaign))


def find(store, number):
    ids = [found["_id"] for found in store.candidates.find({"role": "screened"}, ["_id"]).limit(number)]
    result = {"stable": True, "e_form_per_atom": -0.1, "e_above_hull": -0.01, "time": now()}
    store.candidates.update_many({"_id": {"$in": ids}}, {"$set": {"result": result}})
    return ids


@pytest.mark.mongo
def test_discoveries_are_told_of_when_the_database_takes_the_claim_again(
    store, launchpad, small_spec, notifier, outlet, problems
):
    start_campaign(store, launchpad, small_spec(**BATCHES))
    ids = find(store, 3)
    candidates = store.candidates.name
    store.database.command("collMod", candidates, validator={"announced": {"$exists": False}})
    look(notifier, store)
    assert outlet == []
    store.database.command("collMod", candidates, validator={})
    look(notifier, store)
    (told,) = outlet
    assert sorted(each["id"] for each in told.found) == sorted(ids)
    look(notifier, store)
    assert (len(outlet), problems) == (1, [])


@pytest.mark.mongo
@pytest.mark.parametrize("damage", [{"$set": {"result.e_form_per_atom": None}}, {"$unset": {"prototype": ""}}])
def test_a_damaged_candidate_is_said_once_and_the_others_are_told_of(
    store, launchpad, small_spec, notifier, outlet, problems, damage
):
    start_campaign(store, launchpad, small_spec(**BATCHES))
    damaged, *others = find(store, 3)
    store.candidates.update_one({"_id": damaged}, damage)
    look(notifier, store)
    look(notifier, store)
    (told,) = outlet
    assert sorted(each["id"] for each in told.found) == sorted(others)
    (problem,) = problems
    assert problem.startswith("small: ")
    assert "Error)" in problem


@pytest.mark.mongo
def test_a_look_at_a_damaged_document_ends_no_run(store, launchpad, small_spec, notifier, outlet, problems):
    start_campaign(store, launchpad, small_spec(**BATCHES))
    store.campaigns.update_one({"_id": "small"}, {"$set": {"notices": [{"user": who()["user"]}]}})
    look(notifier, store)
    look(notifier, store)
    (problem,) = problems
    assert (outlet, "(KeyError)" in problem) == ([], True)


@pytest.mark.mongo
def test_a_damaged_campaign_keeps_nothing_from_the_others(store, launchpad, small_spec, notifier, outlet, problems):
    for name in ("a-damaged", "small"):
        start_campaign(store, launchpad, small_spec(name=name, **BATCHES))
    look_at_all(store, notifier, console(), collect=False)
    store.campaigns.update_one({"_id": "a-damaged"}, {"$unset": {"quality": ""}})
    store.campaigns.update_one({"_id": "small"}, {"$set": {"state": "finished"}})
    look_at_all(store, notifier, console(), collect=False)
    look_at_all(store, notifier, console(), collect=False)
    assert [each.event for each in outlet] == ["finished"]
    assert [problem.partition(":")[0] for problem in problems] == ["a-damaged"]


@pytest.mark.mongo
def test_a_step_that_is_about_to_be_tried_again_is_not_stuck(store, launchpad, small_spec, notifier, outlet):
    with_model(store, launchpad, small_spec(**BATCHES))
    submit_step(OpenCampaign.open(store, launchpad, "small"), Step.screen("small", 0))
    step = {"fw_id": store.steps.find_one({"_id": "small/screen/0"})["fw_id"]}
    look(notifier, store)
    launchpad.fireworks.delete_many({"fw_id": {"$ne": step["fw_id"]}})
    for number in range(2):
        entry = {"_id": f"{step['fw_id']}.{number}", "campaign": "small", "stage": "screen", "outcome": "machine"}
        store.attempts.insert_one(entry | step)

    def fizzled(ago):
        long_ago = datetime.now(UTC) - timedelta(minutes=5)
        store.campaigns.update_one({"_id": "small"}, {"$set": {"notices.0.idle_since": long_ago}})
        ended = {"state": "FIZZLED", "updated_on": (datetime.now(UTC) - ago).isoformat()}
        launchpad.fireworks.update_one(step, {"$set": ended})
        look(notifier, store)

    fizzled(timedelta(seconds=-600))  # its pause of 30 s lasts
    assert outlet == []
    assert "idle_since" not in store.campaigns.find_one({"_id": "small"})["notices"][0]
    fizzled(timedelta(hours=1))  # and here no one has tried
    assert [each.event for each in outlet] == ["stuck"]


@pytest.mark.mongo
def test_the_minute_of_standing_still_begins_anew_after_a_pause(store, launchpad, small_spec, notifier, outlet):
    start_campaign(store, launchpad, small_spec(**BATCHES))
    look(notifier, store)
    launchpad.fireworks.delete_many({})
    paused = {"kind": "paused", "by": "anna@here", "time": now()}
    notice = {"user": who()["user"], "said": "running", "idle_since": now() - timedelta(hours=1)}
    store.campaigns.update_one({"_id": "small"}, {"$set": {"stopped": paused, "notices": [notice]}})
    look(notifier, store)
    store.campaigns.update_one({"_id": "small"}, {"$unset": {"stopped": ""}})
    look(notifier, store)
    assert outlet == []
